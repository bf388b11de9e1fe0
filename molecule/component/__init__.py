"""What a component is: its spec, its configuration, the classes it works with, the registry.

Layer 1: imports `model`, `config` and `expression`; no I/O, clock, asyncio or logging. Start with
`contract.py` (what components and the engine say to each other), then `spec.py`.
"""
