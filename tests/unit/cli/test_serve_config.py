"""The configuration of a node: what it refuses, and that it says which field and why."""

from typing import Any

import pytest

from molecule.cli.serve import node_config
from molecule.model.errors import InvalidConfig

_GIVEN: dict[str, Any] = {
    "id": "n1",
    "data": "data",
    "tls": {"ca": "ca.pem", "certificate": "n1.pem", "key": "n1.key"},
    "admin_token_file": "admin.sha256",
}


def peers(*names: str) -> list[dict[str, str]]:
    return [{"id": name, "rpc": f"{name}.example:7400"} for name in names]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"limits": {"page_size_max": 0}}, r"limits: .*page_size_max must be at least 1"),
        ({"limits": {"wait_ms_max": -1}}, r"wait_ms_max must be at least 1; no limit can be"),
        ({"limits": {"page_size": 5}}, r"limits\.page_size: "),
        ({"timing": {"heartbeat_ms": 1_000}}, "lease_ms must be at least three heartbeats"),
        ({"timing": {"election_min_ms": 600}}, "election_min_ms must be below election_max_ms"),
        ({"slots": 0}, "slots: "),
        ({"peers": peers("n2", "n3", "n4")}, r"peers must name this node \(n1\) too"),
        ({"peers": peers("n1", "n2", "n2")}, "a peer is named twice"),
        ({"peers": peers("n1", "n2")}, "2 voters: use 1, 3, 5 or 7"),
        ({"role": "worker", "join": True, "peers": peers("n2")}, "a worker node needs no join"),
        ({"role": "worker"}, "peers must name members other than this node"),
        ({"join": True, "peers": peers("n1", "n2")}, "peers must name members other than this"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(settings: dict[str, Any], told: str) -> None:
    node_config(_GIVEN, {}, source="n1.yaml")
    with pytest.raises(InvalidConfig, match=rf"(?s)n1\.yaml: .*{told}"):
        node_config({**_GIVEN, **settings}, {}, source="n1.yaml")


def test_a_variable_overrides_a_field_and_is_checked_like_it() -> None:
    environ = {"MOLECULE_LIMITS__PAGE_SIZE_MAX": "7", "MOLECULE_CONTEXT": "elsewhere"}
    assert node_config(_GIVEN, environ, source="n1.yaml").limits.page_size_max == 7
    with pytest.raises(InvalidConfig, match="page_size_max must be at least 1"):
        node_config(_GIVEN, {"MOLECULE_LIMITS__PAGE_SIZE_MAX": "0"}, source="n1.yaml")


def test_every_duration_has_its_default_and_relaxed_makes_it_four_times_as_long() -> None:
    normal = node_config(_GIVEN, {}, source="n1.yaml").effective_timing
    relaxed = node_config({**_GIVEN, "timing_profile": "relaxed"}, {}, source="n1.yaml")
    assert normal.model_dump() == {
        "election_min_ms": 300,
        "election_max_ms": 600,
        "step_down_ms": 600,
        "raft_keepalive_ms": 100,
        "heartbeat_ms": 250,
        "lease_ms": 2_500,
        "lease_margin_ms": 250,
        "link_ping_ms": 500,
        "link_silence_ms": 2_000,
        "link_redial_max_ms": 1_000,
    }
    # What a renewal that came just before the leader died still allows.
    assert normal.lease_ms - normal.heartbeat_ms >= 2_000
    times_four = {name: 4 * ms for name, ms in normal.model_dump().items()}
    assert relaxed.effective_timing.model_dump() == times_four
