"""Each guard of the execution contract is needed: without it a promise breaks, with fresh seeds."""

import secrets

import pytest

from tests.simulation.whole.museum import GUARDS
from tests.simulation.whole.setups import WholeSetup

SEEDS_MAX = 60
"""The rarest one breaks in one run of four: so many in a row do not fail by chance."""


RARE = ("checkpoint_token", "intent_token", "end_token", "sync_before_acknowledgement")
"""Found too, but slowly: by `python -m tests.simulation.run --whole --guard-off NAME`."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in GUARDS if name not in RARE])
def test_without_a_guard_a_promise_breaks(name: str) -> None:
    setup = WholeSetup(guard_off=name)

    broken = next(
        (
            report.violation
            for report in (setup.run(secrets.randbits(40)) for _ in range(SEEDS_MAX))
            if report.violation is not None
        ),
        None,
    )

    assert broken is not None, f"nobody noticed that {GUARDS[name].promise} no longer holds"
