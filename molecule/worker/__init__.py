"""A worker process: runs executions and triggers for the node process that started it.

Layer 4. Start with `runner.py` (obeys the interpreter), `kernel.py` (the lease that the kernel
enforces) and `stream.py` (the way to the node process); `__main__.py` puts them together.
"""
