"""The service under test: launching it, looking at it, stopping it."""
