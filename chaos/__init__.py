"""Faults against real processes, and the proof of what held: histories, checks, verdicts.

Start with `records.py`, what a history consists of; then `verdict.py`, which asks every check of
`checks/`. Reading and judging is pure and imports `molecule.model` alone of the product; whatever
makes faults or traffic writes a history and is judged by nothing else.
"""
