"""The replicated state and the rules that change it. Layer 2, pure: model, config and wire only.

Start with `apply.py` (the one door), then `state.py` (what is kept), `transitions.py` (how an
execution moves) and one of the `apply_*.py` (what a command checks before it changes anything).
"""
