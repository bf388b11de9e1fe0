"""An idle node speaks less often, as long as several beats may be lost in a lease."""

import pytest

from molecule.node.idle import beat_every_s


@pytest.mark.parametrize(
    ("heartbeat_s", "is_idle", "every_s"),
    [
        (0.25, False, 0.25),
        (0.25, True, 0.5),
        # Five of them are in a lease of 2.5 s, and not fewer.
        (0.4, True, 0.5),
        (0.8, True, 0.8),
    ],
)
def test_beats_are_rarer_only_on_an_idle_node_and_never_too_rare(
    heartbeat_s: float, is_idle: bool, every_s: float
) -> None:
    assert beat_every_s(heartbeat_s, lease_us=2_500_000, is_idle=is_idle) == every_s
