"""What the kernel tells of memory."""

import os

from molecule.node import memory


def test_memory_of_a_process_is_read_and_of_one_that_is_gone_is_nothing() -> None:
    assert memory.resident_bytes(os.getpid()) > 1_000_000
    assert memory.resident_bytes(2**22 + 1) == 0


def test_kill_by_the_kernel_explains_a_death_only_for_a_while() -> None:
    kills = memory.KernelKills()
    assert not kills.kernel_killed()
    kills.note_kills()
    assert not kills.kernel_killed()
