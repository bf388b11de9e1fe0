"""REST for callers and probes, in the gateway process. Layer 6: imports model, config and wire.

Start with `application.py` (how it is put together), then `executions.py` and `submissions.py`.
"""
