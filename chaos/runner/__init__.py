"""Runs with real processes: a cluster, a target outside, clients, faults, and the history of all.

What it means is judged afterwards, from the history alone (`chaos.verdict`).
"""
