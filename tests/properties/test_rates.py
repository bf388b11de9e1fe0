"""The bound of a rate: never more calls in any period than limit plus burst, whatever happens.

Nodes ask for as many permits as they like, answers are late by anything, leaders change and their
clocks jump ahead, calls leave at any instant that their permits allow.
"""

from hypothesis import given
from hypothesis import strategies as st

from molecule.cluster import rates
from molecule.model.gate import GatePolicy

POLICIES = st.builds(
    GatePolicy,
    connection=st.just("crm"),
    rate_limit=st.integers(1, 60),
    rate_per_ms=st.sampled_from((10, 100, 1_000, 60_000)),
    rate_burst=st.integers(0, 20),
)
ASKS = st.lists(
    st.tuples(
        st.integers(0, 3_000_000),  # cluster time that passes before, also by a leader's clock
        st.integers(1, 40),  # how many are asked for
        st.integers(0, 500_000),  # how late answers come to the one who asks
        st.booleans(),  # whether the calls leave as late as they may
    ),
    max_size=40,
)


def most_in_a_period(calls: list[int], period_us: int) -> int:
    calls = sorted(calls)
    most = first = 0
    for last, at_us in enumerate(calls):
        while calls[first] <= at_us - period_us:
            first += 1
        most = max(most, last - first + 1)
    return most


@given(POLICIES, ASKS)
def test_no_period_has_more_calls_than_limit_and_burst(
    policy: GatePolicy, asks: list[tuple[int, int, int, bool]]
) -> None:
    next_us, now_us = 0, 1_000_000_000
    late_us = rates.permit_us(policy)
    calls: list[int] = []
    for passes_us, count, lead_us, is_late in asks:
        now_us += passes_us
        offered = rates.room(policy, next_us=next_us, now_us=now_us)
        instants, next_us = rates.grant(
            policy,
            next_us=next_us,
            now_us=now_us,
            earliest_us=now_us + lead_us,
            count=count,
        )
        assert len(instants) <= min(count, offered)
        assert instants == sorted(instants)
        calls += [instant + late_us * is_late for instant in instants]
    assert most_in_a_period(calls, policy.rate_per_ms * 1_000) <= (
        policy.rate_limit + policy.rate_burst
    )


@given(POLICIES)
def test_the_rate_is_reached_when_calls_never_stop(policy: GatePolicy) -> None:
    """All but a tenth of it, that lets calls be late; and the time that a number is rounded to."""
    next_us = 0
    given_out = 0
    per_us = policy.rate_per_ms * 1_000
    for now_us in range(0, 20 * per_us + 1, min(max(per_us // 4, 1_000), 500_000)):
        instants, next_us = rates.grant(
            policy, next_us=next_us, now_us=now_us, earliest_us=now_us, count=200
        )
        given_out += len(instants)
    even = per_us + rates.permit_us(policy) + policy.rate_limit
    assert given_out >= 20 * per_us * policy.rate_limit // even
