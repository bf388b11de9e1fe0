"""The command line of the simulator: replay one seed, or run many on several processes.

The runs themselves are `world.py`. What must stay true: every failure is printed with the command that replays it.
"""
