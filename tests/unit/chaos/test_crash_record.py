"""What strace wrote becomes operations, and what is not understood is an error."""

import pytest

from chaos.crashpoints.syscalls import (
    Create,
    Misread,
    Operation,
    Remove,
    Rename,
    Said,
    Sync,
    Truncate,
    Write,
    operations,
)


def hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def quoted(text: str) -> str:
    return f'"{hexed(text)}"'


def descriptor(number: int, path: str) -> str:
    return f"{number}<{hexed(path)}>"


def read(*lines: str) -> list[Operation]:
    return operations(lines, within="/d")


FILE = descriptor(3, "/d/f")


def test_plain_writes_go_on_where_the_last_one_ended() -> None:
    opened = (
        f"7 openat(AT_FDCWD<{hexed('/')}>, {quoted('/d/f')}, O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3"
    )

    assert read(
        opened,
        f"7 write({FILE}, {quoted('ab')}, 2) = 2",
        f"7 write({FILE}, {quoted('cd')}, 2) = 1",
        f"7 lseek({FILE}, 0, SEEK_SET) = 0",
        f"7 write({FILE}, {quoted('e')}, 1) = 1",
    ) == [
        Create("/d/f", empties=True),
        Write("/d/f", 0, b"ab"),
        Write("/d/f", 2, b"c"),
        Write("/d/f", 0, b"e"),
    ]


def test_calls_on_names_and_syncs_are_kept_in_their_order() -> None:
    assert read(
        f"7 pwrite64({FILE}, {quoted('xy')}, 2, 4096) = 2",
        f"7 ftruncate({FILE}, 8) = 0",
        f"7 fdatasync({FILE}) = 0",
        f"7 rename({quoted('/d/f')}, {quoted('/d/g')}) = 0",
        f"7 fsync({descriptor(4, '/d')}) = 0",
        f"7 unlinkat({descriptor(4, '/d')}, {quoted('g')}, 0) = 0",
    ) == [
        Write("/d/f", 4096, b"xy"),
        Truncate("/d/f", 8),
        Sync("/d/f"),
        Rename("/d/f", "/d/g"),
        Sync("/d"),
        Remove("/d/g"),
    ]


def test_a_call_that_another_thread_interrupts_counts_when_it_returns() -> None:
    assert read(
        f"7 pwrite64({FILE}, {quoted('ab')}, 2, 0 <unfinished ...>",
        f"8 write({descriptor(1, '/dev/null')}, {quoted('done 1')}, 6) = 6",
        "7 <... pwrite64 resumed>) = 2",
    ) == [Said("done 1"), Write("/d/f", 0, b"ab")]


@pytest.mark.parametrize(
    "line",
    [
        f"7 unlink({quoted('/d/f')}) = -1 ENOENT (No such file or directory)",
        f"7 fsync({descriptor(3, '/elsewhere')}) = 0",
        f"7 fdatasync({FILE}(deleted)) = 0",
        "7 +++ exited with 0 +++",
    ],
)
def test_what_changed_nothing_that_can_be_found_again_is_left_out(line: str) -> None:
    assert read(line) == []


@pytest.mark.parametrize(
    "line",
    [
        f"7 fallocate({FILE}, 0, 0, 4096) = 0",
        f"7 writev({FILE}, [], 0) = 0",
        f"7 rename({quoted('/d/f')}, {quoted('/elsewhere')}) = 0",
        f'7 pwrite64({FILE}, "\\x00"..., 9999, 0) = 9999',
        "nonsense",
    ],
)
def test_what_is_not_understood_is_an_error(line: str) -> None:
    with pytest.raises(Misread):
        read(line)
