"""The node process: submits, deploys, leads, and runs assignments through workers. Layer 5.

It may import every layer below; surfaces talk to it over `door.proto`. Decisions live in round
classes without I/O (`agent_rounds.py`, `leader_rounds.py`); the other files are shells around them.

Start with `runtime.py` (what is wired to what), then `replica.py` (from a committed entry to what a
voter keeps), `leader.py` (the rounds of the leader) and `agent.py` (the rounds of a node's own
work). Where a lost node's work is moved: `molecule/scheduler/plan.py` decides, `leader.py`
proposes, `cluster` applies.
"""
