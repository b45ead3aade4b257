"""A load that goes on while something is done to its server: what became of every request."""
