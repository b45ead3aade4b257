"""The API under test, written as the post's reader would write it."""
