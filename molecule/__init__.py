"""Molecule: a clustered integration runtime. Start reading at `docs/architecture.md`."""

__version__ = "0.1.0.dev0"
