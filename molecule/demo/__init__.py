"""The demo: real flight data through a real cluster, with faults, and a count that trusts nobody.

May import model, config and the local cluster of `cli`; speaks HTTPS to the nodes like any user.
Start with `run.py`; what is decided (`faults.py`, `counts.py`, `report.py`) is pure.
"""
