"""Properties that hold for every input; `model.py` is the obvious twin of the replicated state."""
