"""What users write: guarded YAML, process definitions, environments, packages.

Layer 1: imports `model`, `config`, `component` and `expression`; works on bytes it is handed,
never on files. Start with `definition.py` (the parsed process), then `package.py` (how it
travels).
"""
