"""What a crash may leave: everything that was not synced is in doubt, and nothing else."""

from chaos.crashpoints.disk import Disk, Image
from chaos.crashpoints.syscalls import (
    Create,
    MakeFolder,
    Operation,
    Remove,
    Rename,
    Sync,
    Truncate,
    Write,
)


def images(*operations: Operation) -> dict[str, Image]:
    """Those behind the last operation, by kind and detail."""
    disk = Disk("/d")
    for operation in operations:
        disk.do(operation)
    return {f"{one.kind} {one.detail}".strip(): one for one in disk.images(operations[-1])}


def files(*operations: Operation) -> dict[str, dict[str, bytes]]:
    return {kind: dict(image.files) for kind, image in images(*operations).items()}


NEW = (Create("/d/f", empties=False), Write("/d/f", 0, b"abcd"))


def test_an_unsynced_file_is_whole_after_a_kill_and_nothing_after_a_power_loss() -> None:
    left = files(*NEW)

    assert left["killed"] == {"f": b"abcd"}
    assert left["power lost"] == {}
    assert left["names early"] == {"f": b""}


def test_bytes_are_kept_by_a_sync_of_the_file_and_the_name_by_one_of_its_folder() -> None:
    assert files(*NEW, Sync("/d/f"))["power lost"] == {}
    assert files(*NEW, Sync("/d"))["power lost"] == {"f": b""}
    assert files(*NEW, Sync("/d/f"), Sync("/d"))["power lost"] == {"f": b"abcd"}


def test_a_write_may_stop_half_way_and_may_reach_the_disk_before_an_earlier_one() -> None:
    synced = (*NEW, Sync("/d/f"), Sync("/d"))
    left = files(*synced, Write("/d/f", 0, b"EF"), Write("/d/f", 2, b"GH"))

    assert left["killed in a write 1 of 2 bytes"] == {"f": b"EFGd"}
    assert left["one write early"] == {"f": b"abGH"}
    assert left["part of a write early 1 of 2 bytes"] == {"f": b"abGd"}
    assert left["contents early"] == {"f": b"EFGH"}


def test_a_rename_is_undone_by_a_power_loss_until_the_folder_is_synced() -> None:
    old = (*NEW, Sync("/d/f"), Sync("/d"))
    new = (Create("/d/f.new", empties=True), Write("/d/f.new", 0, b"n"), Rename("/d/f.new", "/d/f"))

    assert files(*old, *new)["power lost"] == {"f": b"abcd"}
    assert files(*old, *new)["names early"] == {"f": b""}
    assert files(*old, *new, Sync("/d"))["power lost"] == {"f": b""}
    synced = (*new[:2], Sync("/d/f.new"), new[2], Sync("/d"))
    assert files(*old, *synced)["power lost"] == {"f": b"n"}


def test_a_removed_file_is_back_after_a_power_loss() -> None:
    left = files(*NEW, Sync("/d/f"), Sync("/d"), Remove("/d/f"))

    assert left["killed"] == {}
    assert left["power lost"] == {"f": b"abcd"}


def test_what_lies_in_a_folder_that_was_never_synced_is_gone_with_it() -> None:
    inside = (
        MakeFolder("/d/a"),
        Create("/d/a/f", empties=False),
        Write("/d/a/f", 0, b"x"),
        Sync("/d/a/f"),
        Sync("/d/a"),
    )

    assert images(*inside)["power lost"].files == {}
    assert images(*inside, Sync("/d"))["power lost"].files == {"a/f": b"x"}
    assert images(*inside, Sync("/d"))["power lost"].folders == {"a"}


def test_a_cut_is_a_change_like_a_write() -> None:
    synced = (*NEW, Sync("/d/f"), Sync("/d"))
    left = files(*synced, Truncate("/d/f", 2))

    assert (left["killed"], left["power lost"]) == ({"f": b"ab"}, {"f": b"abcd"})


def test_shared_memory_of_a_database_is_not_kept() -> None:
    left = files(Create("/d/x-shm", empties=False), Write("/d/x-shm", 0, b"1"))

    assert left["killed"] == {}
