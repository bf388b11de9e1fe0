"""`file.read` and `file.write` in real folders."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from molecule.connectors import file_write
from molecule.connectors.file import File
from molecule.model.effect import ErrorClass
from molecule.model.errors import StaleToken, StepError
from tests.components.calls import Fence, a_call, a_client, a_context, a_document, a_step

WRITE = "{type: file.write, connection: out, path: 'late/${name}.json'}"


async def perform(root: Path, config: str, value: Any, settings: str = "", **call: Any) -> Any:
    client = a_client("file", f"{{root: {root}{settings}}}")
    await client.open()
    operation = a_step(config).component
    request = operation.prepare(a_document(value), a_context())
    reply = await operation.perform(client, request, a_call(**call))
    await client.close()
    return reply


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def test_a_document_is_written_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    await perform(tmp_path, WRITE, {"name": "UA1"})
    assert files(tmp_path) == ["late/UA1.json"]
    assert (tmp_path / "late/UA1.json").read_bytes() == b'{"name":"UA1"}'


async def test_a_repeat_takes_over_what_a_dead_one_had_begun(tmp_path: Path) -> None:
    with pytest.raises(StaleToken):
        await perform(tmp_path, WRITE, {"name": "UA1"}, fence=Fence(down=True))
    assert not (tmp_path / "late/UA1.json").exists()
    for _ in range(2):
        await perform(tmp_path, WRITE, {"name": "UA1"})
    assert files(tmp_path) == ["late/UA1.json"]


async def test_a_thread_of_an_earlier_try_that_wakes_up_late_spoils_nothing(tmp_path: Path) -> None:
    client: File = a_client("file", f"{{root: {tmp_path}}}")

    class Late(Fence):
        def __call__(self) -> None:
            # It has opened its file, and gets no further.
            with pytest.raises(TypeError):
                file_write._put(client, "late/UA1.json", None, a_call().effect_key)  # type: ignore[arg-type]

    await perform(tmp_path, WRITE, {"name": "UA1"}, fence=Late())
    assert (tmp_path / "late/UA1.json").read_bytes() == b'{"name":"UA1"}'


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/etc/out", "x\0y", "..", "a/./b"])
async def test_a_name_that_leaves_the_root_is_an_error_of_the_document(
    tmp_path: Path, name: str
) -> None:
    for config in ("{type: file.write, connection: o, path: '${name}'}",):
        with pytest.raises(StepError, match="no name below the root") as raised:
            await perform(tmp_path / "in", config, {"name": name})
        assert raised.value.error_class is ErrorClass.DATA
    assert files(tmp_path) == []


async def test_a_link_out_of_the_root_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.json").write_text("1")
    (tmp_path / "in" / "way").symlink_to(tmp_path)
    for type_ in ("read", "write"):
        config = f"{{type: file.{type_}, connection: i, path: way/secret.json}}"
        with pytest.raises(StepError, match="leaves the root"):
            await perform(tmp_path / "in", config, {})
    assert (tmp_path / "secret.json").read_text() == "1"


@pytest.mark.parametrize(
    ("format_", "content", "values"),
    [
        ("json", b'{"id": 9007199254740993}', ({"id": "9007199254740993"},)),
        ("json_lines", b'{"a":1}\n\n{"a":2}\n', ({"a": 1}, {"a": 2})),
        ("csv", b'a,b\n1,"x\ny"\n', ({"a": "1", "b": "x\ny"},)),
        ("text", "Köln".encode(), ("Köln",)),
        ("bytes", b"\x00\xff", (b"\x00\xff",)),
    ],
)
async def test_a_file_is_read_in_its_format(
    tmp_path: Path, format_: str, content: bytes, values: tuple[Any, ...]
) -> None:
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    plain = f"{{type: file.read, connection: i, path: a, format: {format_}}}"
    packed = f"{{type: file.read, connection: i, path: a.gz, format: {format_}, compression: gzip}}"
    assert (await perform(tmp_path, plain, {})).values == values
    assert (await perform(tmp_path, packed, {})).values == values


@pytest.mark.parametrize(
    ("format_", "content", "told"),
    [
        ("csv", b"a,b\n1,2\n3\n", "a:3: 1 fields, the header has 2"),
        ("json", b"{", "not JSON"),
        ("text", b"\xff", "not utf-8"),
        ("csv", b"", "must name each column"),
    ],
)
async def test_a_bad_record_is_a_data_error_with_its_line(
    tmp_path: Path, format_: str, content: bytes, told: str
) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(StepError, match=told) as raised:
        await perform(
            tmp_path, f"{{type: file.read, connection: i, path: a, format: {format_}}}", {}
        )
    assert raised.value.error_class is ErrorClass.DATA


async def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    read = "{type: file.read, connection: i, path: a, format: text}"
    with pytest.raises(StepError) as raised:
        await perform(tmp_path, read, {})
    assert (raised.value.error_class, raised.value.error_code) == (
        ErrorClass.PERMANENT,
        "not_found",
    )
    (tmp_path / "a").write_text("x" * 100)
    with pytest.raises(StepError, match="file_bytes_max") as raised:
        await perform(tmp_path, read, {}, settings=", file_bytes_max: 50")
    assert raised.value.error_class is ErrorClass.LIMIT


@pytest.mark.parametrize(
    ("format_", "value", "content"),
    [
        ("json", {"b": 1, "a": [None]}, b'{"b":1,"a":[null]}'),
        ("json_lines", [{"a": 1}, {"a": 2}], b'{"a":1}\n{"a":2}\n'),
        ("csv", [{"a": "x,y", "b": None}, {"c": 1}], b'a,b,c\r\n"x,y",,\r\n,,1\r\n'),
        ("text", "Köln", "Köln".encode()),
        ("bytes", b"\x00", b"\x00"),
    ],
)
async def test_a_value_is_written_in_its_format(
    tmp_path: Path, format_: str, value: Any, content: bytes
) -> None:
    config = f"{{type: file.write, connection: o, path: a, format: {format_}, content: '${{v}}'}}"
    if isinstance(value, bytes):
        config = "{type: file.write, connection: o, path: a, format: bytes}"
        await perform(tmp_path, config, value)
    else:
        await perform(tmp_path, config, {"v": value})
    assert (tmp_path / "a").read_bytes() == content


@pytest.mark.parametrize(
    ("format_", "value"), [("text", 1), ("bytes", "x"), ("csv", [1]), ("csv", [{"a": [1]}])]
)
async def test_a_value_that_the_format_cannot_hold_is_a_data_error(
    tmp_path: Path, format_: str, value: Any
) -> None:
    config = f"{{type: file.write, connection: o, path: a, format: {format_}}}"
    with pytest.raises(StepError, match="format") as raised:
        await perform(tmp_path, config, value)
    assert raised.value.error_class is ErrorClass.DATA
