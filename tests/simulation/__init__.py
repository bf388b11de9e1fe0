"""The deterministic simulator of the consensus boundary.

One thread, one seed, a virtual clock, network and disk per run; may import `molecule.raft` and the
wire messages, nothing above them. Start reading at `world.py`; `run.py` is the command line.
"""
