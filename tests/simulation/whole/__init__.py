"""Whole nodes in virtual time: the product's own shells on simulated loops, links, disks, clocks.

`python -m tests.simulation.whole.run --help` tells how a seed is replayed.
"""
