"""The app's own package; it only happens to be called like the course's."""
