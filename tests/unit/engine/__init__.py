"""The interpreter of one execution."""
