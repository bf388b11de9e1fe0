"""Rules of the code base that a machine can keep: layers, sizes, names, purity, unfinished work.

Each rule is a pure function from sources to a list of faults; `test_<rule>.py` runs it over the
tree and proves on small planted sources that it can fail. Start with `source.py`.
"""
