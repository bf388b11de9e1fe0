"""Stories of a virtual cluster; start with `node_cut_off.txt`, then `runner.py`."""
