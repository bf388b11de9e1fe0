"""Connections as people and programs see them: their gates, who waits, how they stand."""

from typing import Any

from molecule.cluster import gates, rates
from molecule.cluster.connection import Connection
from molecule.cluster.state import ClusterState


def connections(state: ClusterState) -> list[dict[str, Any]]:
    """Every connection that a deployed process uses, by environment and name."""
    return [connection(state, state.connections[key]) for key in sorted(state.connections)]


def connection(state: ClusterState, known: Connection) -> dict[str, Any]:
    """One connection, its breaker and its rate; None for what it does not have."""
    phase = gates.phase(known, time_ms=state.time_ms)
    waiting = [state.executions[execution_id] for _, execution_id in known.waiting]
    return {
        "environment": known.environment,
        "connection": known.policy.connection,
        "breaker_state": phase if known.policy.has_breaker else "none",
        "breaker": _breaker(state, known) if known.policy.has_breaker else None,
        "rate": _rate(state, known) if known.policy.has_rate else None,
        "waiting": len(waiting),
        "waiting_first": waiting[0].id if waiting else "",
        "let_through": len(known.passes),
        "waited_ms": known.waited_ms,
    }


def _breaker(state: ClusterState, known: Connection) -> dict[str, Any]:
    policy = known.policy
    since_ms = state.time_ms - policy.within_ms
    recent = sum(count for at_ms, count in known.failures if at_ms > since_ms)
    return {
        "failures": policy.failures,
        "within_ms": policy.within_ms,
        "open_ms": policy.open_ms,
        "failures_now": recent,
        "opened_at_ms": known.opened_at_ms,
        "open_until_ms": known.open_until_ms,
        "tried_with_success": known.successes,
        "opened_times": known.trips,
    }


def _rate(state: ClusterState, known: Connection) -> dict[str, Any]:
    policy = known.policy
    now_us = state.time_ms * 1_000
    return {
        "limit": policy.rate_limit,
        "per_ms": policy.rate_per_ms,
        "burst": policy.rate_burst,
        "permit_ms": rates.permit_us(policy) // 1_000,
        "booked_ms": max(0, known.next_permit_us - now_us) // 1_000,
    }
