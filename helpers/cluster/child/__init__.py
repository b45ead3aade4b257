"""What runs in the cluster's own processes."""
