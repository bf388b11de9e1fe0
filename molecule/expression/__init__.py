"""Expressions (JSONata) and templates (`${...}`) over documents.

Layer 1: imports `model` and `config`; no I/O, clock or chance: instant and seed are given. Start
with `expression.py`; the engines stand behind `engine.py`.
"""
