"""Steps that need nothing but the document, one file each; registered by being here.

Layer 3: imports `component`, `expression`, `model`. Each file has one order: docstring, spec with a
runnable example, class, private helpers. Start with `decision.py`.
"""
