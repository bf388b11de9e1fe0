"""`./dev bench`: what a cluster of three real nodes carries, beside the goals for it.

Not collected by pytest. Start at `__main__.py`; each workload is a module of its own, `goals.py`
holds what is to be reached, `page.py` draws the result for the documentation.
"""
