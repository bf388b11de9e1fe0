"""What a voter keeps on disk besides its journal: the snapshot, what people ask for, and documents.

Layer 4. The only package that imports sqlite3 and aiosqlite; may import `model`, `config` and
`wire`. It decides nothing about the business: rows come in as plain tuples and go out the same.
Start with `rows.py`, then `state_store.py` and `documents.py`.
"""
