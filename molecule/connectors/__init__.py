"""Connectors and their operations: all that talks to outside systems; registered by being here.

Layer 3: imports `component`, `expression` and `model`. A library that is an extra is imported when
a client is opened, so that specs can be read without it. Start with `http.py`.
"""
