"""Consensus: the PySyncObj core inside a boundary that owns clock, disk, network and membership.

Layer 4: may import `molecule.model`, `molecule.config` and `molecule.wire`, nothing else of
molecule. Start with `replica.py` (messages and time in, one `Outbox` out), then `journal.py` (what
is durable), then `driver.py` (the asyncio shell). `library.py` is the only file that imports the
core.
"""
