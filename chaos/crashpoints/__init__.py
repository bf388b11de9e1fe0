"""Crash points: what every write, sync and rename of the product leaves behind when it is the last.

A script of operations runs with the real storage classes on real files while `strace` writes down
each system call that changes the disk (`syscalls.py`). From that record alone every state is built
in which a kill or a power loss could have left the files (`disk.py`), and from each of them the
product has to recover (`scripts/`). All points are taken, none is drawn by lot.
"""
