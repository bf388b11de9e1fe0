"""The command line: speaks HTTPS to any node of a cluster, and starts or stops local ones.

Start with `main.py`; `local.py` is `molecule up`, `demo.py` is `molecule demo`.
"""
