"""Triggers: what causes executions; registered by being here.

Layer 3: imports `component`, `expression`, `model`, and the connector of the same system. Start
with `file_watch.py`.
"""
