"""A package that happens to have the same name as the course's."""
