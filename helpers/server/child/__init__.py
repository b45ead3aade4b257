"""What runs inside the server's own processes."""
