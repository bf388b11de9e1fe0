"""Nouns: ids, states, documents, effects, errors. Layer 0: imports nothing of molecule.

Start with `execution.py` (the states and the one transition table), then `errors.py`.
"""
