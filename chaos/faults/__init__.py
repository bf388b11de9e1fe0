"""Faults with real means: each begins, is seen to work, and is healed."""
