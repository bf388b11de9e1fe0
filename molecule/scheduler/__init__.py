"""What the leader would like to commit next. Layer 2, pure: reads the state, never changes it.

Start with `plan.py`; `place.py` chooses nodes, `liveness.py` remembers heartbeats, `hint.py`
chooses at the door.
"""
