"""`molecule chaos`: faults on a cluster of one's own, with a history, and a verdict from it.

Who breaks things writes the history; who judges reads it and nothing else.
"""
