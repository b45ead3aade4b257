"""What limits an API, found by experiment: probes, a decision that can be read, and the fix."""
