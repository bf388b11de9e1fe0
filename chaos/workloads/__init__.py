"""What runs on the cluster while faults strike: one file for each kind of work."""
