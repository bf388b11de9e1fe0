"""How each kind of fault is done to a world, and undone.

Which faults strike, and when runs end, is left to `faults.py` and the world. What must stay true: a
fault counts only when it found something to break, and all that it does follows from its salt.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from tests.simulation.clock import EventQueue
from tests.simulation.disk import Survival
from tests.simulation.faults import Fault, FaultKind
from tests.simulation.host import Host, ProcessState
from tests.simulation.member import Role
from tests.simulation.network import Network

SLOWEST_SYNC_S = 2.0
# How long one voice stays unheard: long enough for two elections.
_HELD_S = 3.0


class Scene(Protocol):
    """The parts of a world that faults may touch."""

    queue: EventQueue
    network: Network
    hosts: dict[str, Host]
    survivals: tuple[Survival, ...]
    is_calm: bool

    def undo_after(self, seconds: float, undo: Callable[..., None], *args: object) -> None:
        """End a fault later, or at once when the faults of this run are over."""

    def crash(self, host: Host, *, power: Survival | None, restart_s: float) -> None:
        """End a process, and with `power` its machine; it comes back after `restart_s`."""

    def burst(self, host: Host, count: int) -> None:
        """Many clients at once ask this member to write."""

    def damage(self, host: Host, path: str, offset: int) -> None:
        """Flip a byte; the operator puts a copy back when the member refuses to start."""

    def is_damaged(self, host: Host) -> bool:
        """Was its disk damaged and not made good yet."""

    def reach_changed(self) -> None:
        """Who can talk with whom is different now."""

    def sync_normal(self, host: Host) -> None:
        """The disk is as fast as this run's disks are."""


Strike = Callable[[Scene, Fault, random.Random], bool]


def strike(scene: Scene, fault: Fault) -> bool:
    """Do a fault to the world and plan its end; no when it found nothing to break."""
    did = _STRIKES[fault.kind](scene, fault, random.Random(fault.salt))
    scene.reach_changed()
    return did


def choose(scene: Scene, fault: Fault, rng: random.Random) -> Host | None:
    awake = [host for host in scene.hosts.values() if host.state is not ProcessState.DOWN]
    leading = [host for host in awake if _leads(host)]
    among = awake
    if fault.target == "leader" and leading:
        among = leading
    elif fault.target == "follower":
        among = [host for host in awake if host not in leading] or awake
    return rng.choice(among) if among else None


def _kill(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    host = choose(scene, fault, rng)
    if host is None:
        return False
    scene.crash(host, power=None, restart_s=fault.seconds * rng.choice((0.1, 1.0)))
    return True


def _kill_in_write(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    host = choose(scene, fault, rng)
    if host is None or host.disk.dies_after is not None:
        return False
    host.disk.dies_after = rng.choice((0, 1, 2, 3, 5, 8, 20, 60))
    return True


def _power_loss(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    host = choose(scene, fault, rng)
    if host is None:
        return False
    scene.crash(host, power=rng.choice(scene.survivals), restart_s=fault.seconds)
    return True


def _power_loss_many(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    """One rack, or the whole room."""
    awake = [host for host in scene.hosts.values() if host.state is not ProcessState.DOWN]
    rng.shuffle(awake)
    struck = awake if rng.random() < 0.5 else awake[: len(scene.hosts) // 2 + 1]
    for host in struck:
        seconds = fault.seconds * rng.choice((0.2, 1.0))
        scene.crash(host, power=rng.choice(scene.survivals), restart_s=seconds)
    return bool(struck)


def _pause(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    host = choose(scene, fault, rng)
    if host is None or host.state is not ProcessState.RUNNING:
        return False
    _stop_for(scene, host, fault.seconds)
    return True


def _pause_many(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    awake = [host for host in scene.hosts.values() if host.state is ProcessState.RUNNING]
    rng.shuffle(awake)
    for host in awake[: len(scene.hosts) // 2 + 1]:
        _stop_for(scene, host, fault.seconds * (0.5 + rng.random()))
    return bool(awake)


def _stop_for(scene: Scene, host: Host, seconds: float) -> None:
    host.stop()
    scene.undo_after(seconds, _resume, scene, host)


def _resume(scene: Scene, host: Host) -> None:
    host.resume()
    scene.reach_changed()


def _isolate(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    host = choose(scene, fault, rng)
    if host is None:
        return False
    ways = [way for peer in scene.hosts if peer != host.name for way in _both(host.name, peer)]
    return _cut(scene, ways, fault.seconds)


def _halves(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    names = list(scene.hosts)
    rng.shuffle(names)
    middle = rng.randrange(1, len(names)) if len(names) > 1 else 0
    return _cut(
        scene,
        [way for a in names[:middle] for b in names[middle:] for way in _both(a, b)],
        fault.seconds,
    )


def _bridge(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    """Two sides that both reach one member in the middle but not each other."""
    names = list(scene.hosts)
    rng.shuffle(names)
    sides = names[1:]
    middle = len(sides) // 2
    return _cut(
        scene,
        [way for a in sides[:middle] for b in sides[middle:] for way in _both(a, b)],
        fault.seconds,
    )


def _one_way(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    host = choose(scene, fault, rng)
    if host is None:
        return False
    peers = [peer for peer in scene.hosts if peer != host.name]
    if rng.random() < 0.5:
        peers = peers[: rng.randrange(len(peers) + 1)]
    is_mute = rng.random() < 0.5
    ways = [(host.name, peer) if is_mute else (peer, host.name) for peer in peers]
    return _cut(scene, ways, fault.seconds)


def _flap(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    """A link that comes and goes."""
    if len(scene.hosts) < 2:
        return False
    a, b = rng.sample(list(scene.hosts), 2)
    period_s = rng.choice((0.05, 0.2, 0.5))
    for turn in range(max(1, int(fault.seconds / period_s / 2))):
        scene.queue.after(turn * 2 * period_s, _cut_again, scene, list(_both(a, b)), period_s)
    return True


def _reset(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    host = choose(scene, fault, rng)
    if host is None or len(scene.hosts) < 2:
        return False
    peers = [peer for peer in scene.hosts if peer != host.name]
    breaks = scene.network.reset if rng.random() < 0.6 else scene.network.abandon
    for peer in peers if rng.random() < 0.5 else [rng.choice(peers)]:
        breaks(host.name, peer)
    return True


def _held_words(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    """A leader's only follower is heard late, after others led and perhaps it again."""
    host = choose(scene, replace(fault, target="leader"), rng)
    if host is None or len(scene.hosts) < 2:
        return False
    peers = [peer for peer in scene.hosts if peer != host.name]
    held = rng.choice(peers)
    others = [way for peer in peers if peer != held for way in _both(host.name, peer)]
    _cut(scene, others, _HELD_S * (0.2 + 0.2 * rng.random()))
    # The leader gets much to do that only this follower hears of.
    scene.burst(host, rng.choice((5, 40)))
    soon_s = 0.2 * rng.random()
    scene.queue.after(
        soon_s, _cut_again, scene, [(held, host.name)], _HELD_S * (0.7 + rng.random())
    )
    successor = scene.hosts[rng.choice(peers)]
    scene.queue.after(_HELD_S * (0.45 + 0.2 * rng.random()), _stop_again, scene, successor)
    return True


def _stop_again(scene: Scene, host: Host) -> None:
    if not scene.is_calm:
        leading = [other for other in scene.hosts.values() if _leads(other)]
        _stop_for(scene, leading[0] if leading else host, _HELD_S / 3)
        scene.reach_changed()


def _leads(host: Host) -> bool:
    return host.view is not None and host.view.role is Role.LEADER


def _slow_link(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    if len(scene.hosts) < 2:
        return False
    a, b = rng.sample(list(scene.hosts), 2)
    scene.network.slow(a, b, rng.choice((0.02, 0.1, 0.4)))
    scene.undo_after(fault.seconds, scene.network.slow, a, b, 0.0)
    return True


def _slow_disk(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    host = choose(scene, fault, rng)
    if host is None:
        return False
    host.disk.profile.sync_max_s = rng.choice((0.15, 0.5, SLOWEST_SYNC_S))
    scene.undo_after(fault.seconds, scene.sync_normal, host)
    return True


def _sync_error(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    """The disk refuses to sync; mended after a while, when the operator has seen to it."""
    host = choose(scene, fault, rng)
    if host is None or host.disk.is_failing:
        return False
    host.disk.is_failing = True
    scene.undo_after(fault.seconds, _mend_disk, host)
    return True


def _disk_full(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    host = choose(scene, fault, rng)
    if host is None or host.disk.is_full:
        return False
    host.disk.is_full = True
    scene.undo_after(fault.seconds, _free_disk, host)
    return True


def _flipped_byte(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    """A journal is damaged while its machine is off; a majority keeps sound disks."""
    host = choose(scene, fault, rng)
    damaged = sum(scene.is_damaged(other) for other in scene.hosts.values() if other is not host)
    if host is None or damaged >= (len(scene.hosts) - 1) // 2:
        return False
    paths = [path for path in host.disk.paths("/data") if path.endswith(".segment")]
    if not paths:
        return False
    scene.crash(host, power=None, restart_s=fault.seconds)
    path = rng.choice(paths)
    written = len(host.disk.read(path).rstrip(b"\0"))
    scene.damage(host, path, rng.randrange(written + 1))
    return True


def _drift(scene: Scene, fault: Fault, rng: random.Random) -> bool:
    host = choose(scene, fault, rng)
    if host is None:
        return False
    host.clock.drift_to(rng.choice((0.9, 1.0, 1.1)))
    return True


def _mend_disk(host: Host) -> None:
    host.disk.is_failing = False


def _free_disk(host: Host) -> None:
    host.disk.is_full = False


def _both(a: str, b: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (a, b), (b, a)


def _cut(scene: Scene, ways: list[tuple[str, str]], seconds: float) -> bool:
    for source, target in ways:
        scene.network.block(source, target)
    scene.undo_after(seconds, _heal, scene, ways)
    scene.reach_changed()
    return bool(ways)


def _cut_again(scene: Scene, ways: list[tuple[str, str]], seconds: float) -> None:
    if not scene.is_calm:
        _cut(scene, ways, seconds)


def _heal(scene: Scene, ways: list[tuple[str, str]]) -> None:
    for source, target in ways:
        scene.network.unblock(source, target)
    scene.reach_changed()


_STRIKES: dict[FaultKind, Strike] = {
    FaultKind.KILL: _kill,
    FaultKind.KILL_IN_WRITE: _kill_in_write,
    FaultKind.POWER_LOSS: _power_loss,
    FaultKind.POWER_LOSS_MANY: _power_loss_many,
    FaultKind.PAUSE: _pause,
    FaultKind.PAUSE_MANY: _pause_many,
    FaultKind.ISOLATE: _isolate,
    FaultKind.HALVES: _halves,
    FaultKind.BRIDGE: _bridge,
    FaultKind.ONE_WAY: _one_way,
    FaultKind.FLAP: _flap,
    FaultKind.RESET: _reset,
    FaultKind.HELD_WORDS: _held_words,
    FaultKind.SLOW_LINK: _slow_link,
    FaultKind.SLOW_DISK: _slow_disk,
    FaultKind.SYNC_ERROR: _sync_error,
    FaultKind.DISK_FULL: _disk_full,
    FaultKind.FLIPPED_BYTE: _flipped_byte,
    FaultKind.DRIFT: _drift,
}
