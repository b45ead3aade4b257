"""The same app on Ray Serve: two nodes of a cluster on one machine, started, scaled, broken and ended."""
