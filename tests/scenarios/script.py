"""The text of a scenario: blocks of commands, the line `----`, and what they must bring about."""

from dataclasses import dataclass

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}


@dataclass(frozen=True, slots=True)
class Command:
    """One line: a verb, plain words, and `name=value` options."""

    verb: str
    words: tuple[str, ...]
    options: dict[str, str]

    def number(self, name: str, default: int) -> int:
        """An option that is a whole number."""
        return int(self.options.get(name, default))

    def duration_ms(self, name: str, default: str) -> int:
        """An option that is a duration like `30s`."""
        return milliseconds(self.options.get(name, default))


@dataclass(frozen=True, slots=True)
class Block:
    """Lines as they are written, the commands among them, and the expected output."""

    lines: tuple[str, ...]
    commands: tuple[Command, ...]
    expected: tuple[str, ...]


def parse(text: str) -> list[Block]:
    """The blocks of a scenario; a line that starts with `#` is for the reader only."""
    blocks = []
    for part in text.strip().split("\n\n"):
        lines = part.split("\n")
        if "----" not in lines:
            blocks.append(Block(tuple(lines), (), ()))
            continue
        cut = lines.index("----")
        commands = tuple(command(line) for line in lines[:cut] if not line.startswith("#"))
        blocks.append(Block(tuple(lines[:cut]), commands, tuple(lines[cut + 1 :])))
    return blocks


def command(line: str) -> Command:
    """One command line."""
    verb, *rest = line.split()
    words = tuple(word for word in rest if "=" not in word)
    options = dict(word.split("=", 1) for word in rest if "=" in word)
    return Command(verb, words, options)


def render(blocks: list[Block], outputs: list[list[str]]) -> str:
    """The scenario as text, with these outputs in the place of the expected ones."""
    parts = []
    for block, output in zip(blocks, outputs, strict=True):
        if not block.commands:
            parts.append("\n".join(block.lines))
            continue
        parts.append("\n".join((*block.lines, "----", *(output or ["nothing"]))))
    return "\n\n".join(parts) + "\n"


def milliseconds(text: str) -> int:
    """`30s` as 30000."""
    for unit in ("ms", "s", "m", "h"):
        number = text.removesuffix(unit)
        if number.isdigit():
            return int(number) * UNITS_MS[unit]
    raise ValueError(text)
