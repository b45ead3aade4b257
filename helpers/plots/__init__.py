"""Every picture of the course, one module per question; each function returns a `Picture`."""
