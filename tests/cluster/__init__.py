"""Tests with real nodes: `molecule serve` processes with a data folder each, broken on purpose.

Start with `cluster.py`, the harness. A test file holds one story of failure; all files run in one
process of the test run, because two clusters at a time would be too many for a small machine.
"""
