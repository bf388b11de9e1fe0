"""The lease, enforced by the kernel in real child processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from molecule.worker import kernel
from molecule.worker.kernel import Fenced, Lease

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, time
from molecule.worker.kernel import Lease, boottime_us
lease = Lease()
lease.arm()
lease.renew(boottime_us() + int(sys.argv[1]))
print("armed", flush=True)
sys.stdin.readline()
lease.renew(boottime_us() + int(sys.argv[2]))
print("alive", flush=True)
sys.stdin.readline()
print("executed after the lease", flush=True)
"""
ORPHAN = """
import os, subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-c", sys.argv[1], str(os.getpid())], stdout=subprocess.PIPE
)
print(child.pid, child.stdout.readline().decode().strip(), flush=True)
sys.stdin.readline()
"""
CHILD = """
import sys, time
from molecule.worker.kernel import die_with_parent
die_with_parent(int(sys.argv[1]))
print("ready", flush=True)
time.sleep(60)
"""


def child(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def say(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_process_that_is_not_renewed_dies_at_the_end_of_its_lease() -> None:
    with child(HOLD, "300000", "1") as process:
        assert line(process) == "armed"
        assert process.wait(30) == -signal.SIGALRM


def test_a_renewal_pushes_the_end_back() -> None:
    with child(HOLD, "2000000", "60000000") as process:
        assert line(process) == "armed"
        say(process)
        assert line(process) == "alive"
        # The first lease is over now; only the renewal keeps it.
        signal.sigtimedwait([], 2.5)
        say(process)
        assert line(process) == "executed after the lease"
        assert process.wait(30) == 0


def test_a_frozen_process_wakes_up_dead_before_it_executes_anything() -> None:
    with child(HOLD, "60000000", "500000") as process:
        assert line(process) == "armed"
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGCONT)
        # An earlier end changes nothing, so this child holds 60 s; a second one is frozen for real.
        say(process)
        assert line(process) == "alive"
        process.kill()
    with child(HOLD, "700000", "700000") as frozen:
        assert line(frozen) == "armed"
        frozen.send_signal(signal.SIGSTOP)
        say(frozen)
        say(frozen)
        signal.sigtimedwait([], 1.0)
        frozen.send_signal(signal.SIGCONT)
        assert frozen.wait(30) == -signal.SIGALRM
        assert line(frozen) == ""


def test_a_lease_that_is_already_over_kills_instead_of_disarming() -> None:
    code = HOLD.replace("lease.renew(boottime_us() + int(sys.argv[1]))", "").replace(
        "boottime_us() + int(sys.argv[2])", "1"
    )
    with child(code, "0", "0") as process:
        assert line(process) == "armed"
        say(process)
        assert process.wait(30) == -signal.SIGALRM


def test_the_death_of_the_parent_kills_it() -> None:
    with child(ORPHAN, CHILD) as parent:
        pid, told = line(parent).split()
        assert told == "ready"
        descriptor = os.pidfd_open(int(pid))
        parent.kill()
        parent.wait(30)
        assert _ended(descriptor)


def test_a_parent_that_is_gone_already_kills_it_at_once() -> None:
    with child(CHILD, "1") as process:
        assert process.wait(30) == -signal.SIGKILL


def test_the_check_before_a_send_reads_the_clock_itself() -> None:
    now = 1_000
    lease = Lease(lambda: now)
    lease.until_us = 2_000
    lease.check()
    now = 2_000
    try:
        lease.check()
    except Fenced:
        return
    raise AssertionError("not fenced")


def test_memory_is_told_in_bytes() -> None:
    assert kernel.resident_bytes() > 1_000_000


def _ended(descriptor: int) -> bool:
    import select

    ready, _, _ = select.select([descriptor], [], [], 30)
    os.close(descriptor)
    return bool(ready)
