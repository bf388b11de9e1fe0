"""A disk in memory that forgets what was not synced."""

import random


class MemoryFiles:
    """The `Files` of one voter: what is visible and what would survive a power cut."""

    def __init__(self) -> None:
        self.visible: dict[str, bytearray] = {}
        self.durable: dict[str, bytes] = {}
        self.full = False
        self.broken = False
        self.syncs = 0

    def names(self) -> list[str]:
        return sorted(self.visible)

    def read(self, name: str) -> bytes:
        return bytes(self.visible[name])

    def allocate(self, name: str, size_bytes: int) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.visible[name] = bytearray(size_bytes)
        self.durable[name] = bytes(size_bytes)

    def write(self, name: str, offset: int, data: bytes) -> None:
        if self.broken:
            raise OSError(5, "Input/output error")
        assert offset + len(data) <= len(self.visible[name]), "a write past the end of the file"
        self.visible[name][offset : offset + len(data)] = data

    def sync(self, name: str) -> None:
        if self.broken:
            raise OSError(5, "Input/output error")
        self.syncs += 1
        self.durable[name] = bytes(self.visible[name])

    def remove(self, name: str) -> None:
        self.visible.pop(name, None)
        self.durable.pop(name, None)

    def lose_power(self, chance: random.Random | None = None) -> None:
        """Back to what was synced; with chance, some blocks of what was not landed on disk too."""
        for name, durable in self.durable.items():
            after = bytearray(durable)
            visible = self.visible[name]
            for block in range(0, len(after), 512):
                if chance is not None and chance.random() < 0.5:
                    after[block : block + 512] = visible[block : block + 512]
            self.visible[name] = after
        self.visible = {name: self.visible[name] for name in self.durable}
