"""The course's helper modules. Notebooks name the room they use; nothing is imported here."""
