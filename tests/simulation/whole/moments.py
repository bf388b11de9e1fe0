"""Virtual time and chance for code that asks the interpreter for them.

Inside of a simulated process the functions of `time` and `secrets` that the product uses answer by
the clock of its machine and the chance of its seed; outside they are what they were.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.simulation.whole.loop import ProcessLoop

WALL_EPOCH_S = 1_700_000_000.0


def _process() -> ProcessLoop | None:
    loop = asyncio._get_running_loop()
    return loop if isinstance(loop, ProcessLoop) else None


def _clock(real: Callable[..., Any], unit: float, *, is_wall: bool = False) -> Callable[..., Any]:
    def read(*args: Any) -> Any:
        process = _process()
        if process is None:
            return real(*args)
        seconds = WALL_EPOCH_S + process.wall_s() if is_wall else process.clock.now_s()
        return seconds if unit == 1 else int(seconds * unit)

    return read


def _chance(
    real: Callable[..., Any], draw: Callable[[ProcessLoop, int], Any]
) -> Callable[..., Any]:
    def drawn(size: int | None = None) -> Any:
        process = _process()
        return real(size) if process is None else draw(process, 32 if size is None else size)

    return drawn


@contextlib.contextmanager
def virtual() -> Iterator[None]:
    """Within it simulated processes know no other time and chance than their own."""
    replaced: list[tuple[Any, str, Callable[..., Any]]] = [
        (time, "monotonic", _clock(time.monotonic, 1)),
        (time, "monotonic_ns", _clock(time.monotonic_ns, 1e9)),
        (time, "perf_counter", _clock(time.perf_counter, 1)),
        (time, "perf_counter_ns", _clock(time.perf_counter_ns, 1e9)),
        (time, "clock_gettime_ns", _clock(time.clock_gettime_ns, 1e9)),
        (time, "time", _clock(time.time, 1, is_wall=True)),
        (time, "time_ns", _clock(time.time_ns, 1e9, is_wall=True)),
        (secrets, "randbits", _chance(secrets.randbits, lambda p, n: p.rng.getrandbits(n))),
        (secrets, "token_bytes", _chance(secrets.token_bytes, lambda p, n: p.rng.randbytes(n))),
        (secrets, "token_hex", _chance(secrets.token_hex, lambda p, n: p.rng.randbytes(n).hex())),
    ]
    with contextlib.ExitStack() as stack:
        for module, name, function in replaced:
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, function)
        yield
