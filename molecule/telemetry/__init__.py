"""Metrics and logs. Layer 4, open to every layer from 4 up; imports `config` only."""
