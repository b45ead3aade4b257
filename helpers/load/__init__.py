"""The load test: what to send, the process that sends it, what came back, and whether to believe it."""
