"""Bytes to records and back, streamed: CSV, JSON, JSON lines, text, bytes; gzip; declared charset.

Layer 1: works on iterables of bytes it is handed. Start with `reading.py`.
"""
