"""The interpreter of one execution: events in, instructions out.

Layer 2, pure: may import `model`, `config`, `component`, `expression` and `definition`; no clock,
chance, I/O, thread, asyncio or logging. Start with `events.py` and `instructions.py`, then
`interpreter.py`.
"""
