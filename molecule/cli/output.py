"""What a command prints: data on stdout as table, JSON or YAML; talk on stderr.

Tables are for people and may change; programs take JSON, which is the REST answer itself.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

Form = Literal["table", "json", "yaml"]

_PIPE_WIDTH: Final = 200
_VERSION_SHOWN: Final = 12
_INSTANTS: Final = ("_at_ms", "_until_ms", "_before_ms", "_sent_after_ms")
"""How names of instants end; every other number of milliseconds is a length of time."""


def show(value: Any, *, form: Form, columns: Sequence[str] = ()) -> None:
    """Print an answer: the `items` of a page by `columns`, one thing as names and values."""
    if form == "json":
        _print_json(value)
    elif form == "yaml":
        _print_yaml(value)
    elif isinstance(value, Mapping) and "items" in value:
        table(value["items"], columns)
        if value.get("next"):
            talk(f"there is more: add --cursor {value['next']}")
    else:
        facts(value)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Rows below headings; nothing but talk when there are none."""
    if not rows:
        talk("none")
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    shown = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        shown.add_column(_heading(column), overflow="fold")
    for row in rows:
        shown.add_row(*(cell(column, row.get(column)) for column in columns))
    _console().print(shown)


def facts(thing: Mapping[str, Any]) -> None:
    """One thing, a line for each fact; lists and mappings below their names."""
    width = max((len(name) for name in thing), default=0)
    for name, value in thing.items():
        if name == "documents" and isinstance(value, list):
            print("documents:")
            for document in value:
                print(f"  {_json_line(document.get('value'))}")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            print(f"{name}:")
            for item in value:
                told = ", ".join(f"{key}={cell(key, inner)}" for key, inner in item.items())
                print(f"  - {told}")
        else:
            print(f"{name:<{width}}  {cell(name, value)}")


def cell(name: str, value: Any) -> str:
    """A value as people read it."""
    if value in (None, "", {}, []):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if f"_{name}".endswith(_INSTANTS) and isinstance(value, int):
        return instant(value)
    if name == "version" and isinstance(value, str):
        return value[:_VERSION_SHOWN]
    if isinstance(value, Mapping):
        return " ".join(f"{key}={cell(key, inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return " ".join(cell("", inner) for inner in value)
    return str(value)


def _heading(column: str) -> str:
    return "at" if column == "at_ms" else column.removesuffix("_at_ms").replace("_", " ")


def instant(at_ms: int) -> str:
    """UTC, to the millisecond; 0 is never."""
    if not at_ms:
        return "-"
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{at_ms % 1000:03d}Z"


def talk(text: str) -> None:
    """Say something to the person, not to the next program."""
    print(text, file=sys.stderr)


def _json_line(value: Any) -> str:
    import orjson

    return orjson.dumps(value).decode()


def _console() -> Any:
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    return Console(width=None if is_terminal else _PIPE_WIDTH, highlight=False, soft_wrap=False)


def _print_json(value: Any) -> None:
    import orjson

    print(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _print_yaml(value: Any) -> None:
    import yaml

    print(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), end="")
