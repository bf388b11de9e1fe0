"""`breaker` and `rate` of a connection's file."""

import pytest

from molecule.definition.package import build, open_package
from molecule.model.gate import GatePolicy
from tests.unit.definition.builders import REGISTRY, told
from tests.unit.definition.late_flights import FILES

_FILE = "connections/airline-desk.yaml"


def with_gate(text: str) -> dict[str, bytes]:
    head = b"connection: airline-desk\nconnector: http\n"
    return {**FILES, _FILE: head + text.encode()}


def test_a_gate_is_told_to_the_cluster_and_to_the_worker() -> None:
    files = with_gate(
        "breaker: {failures: 5, within: 30s, open: 60s}\nrate: {limit: 50, per: 1s, burst: 10}\n"
    )
    built = build(files, "dev", REGISTRY)
    assert told(built.findings) == []
    policy = GatePolicy("airline-desk", 5, 30_000, 60_000, 50, 1_000, 10)
    version = built.versions[0]
    assert policy in version.options.gates
    opened = open_package(version.package, built.environment_settings, REGISTRY)
    assert opened.connections["airline-desk"].gate == policy


def test_a_connection_without_a_gate_is_told_too_so_that_an_old_one_ends() -> None:
    gates = build(FILES, "dev", REGISTRY).versions[0].options.gates
    assert GatePolicy("airline-desk") in gates
    assert not any(policy.is_gated for policy in gates)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("breaker: {failures: 5, within: 30s}", "breaker: open is missing"),
        ("breaker: {failures: 0, within: 30s, open: 1m}", "breaker.failures: must be from 1 to"),
        ("breaker: {failures: 5, within: soon, open: 1m}", "breaker.within: must be a duration"),
        ("breaker: {failures: 5, within: 30s, open: 2d}", "breaker.open: must be from 1ms to 1d"),
        ("breaker: 5", "breaker: must be"),
        ("rate: {per: 1s}", "rate: limit is missing"),
        ("rate: {limit: many, per: 1s}", "rate.limit: must be a whole number"),
        ("rate: {limit: 5, per: 0s}", "rate.per: must be from 1ms to 1d"),
        ("rate: {limit: 5, per: 1s, bursts: 2}", "rate.bursts: unknown field bursts"),
        ("rate: {limit: 5, per: 1s, burst: -1}", "rate.burst: must be from 0 to"),
    ],
)
def test_a_gate_that_is_not_whole_is_a_finding(text: str, what: str) -> None:
    findings = "\n".join(told(build(with_gate(f"{text}\n"), "dev", REGISTRY).findings))
    assert what in findings
    assert _FILE in findings
