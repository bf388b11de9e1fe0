"""Which faults can be made, at whom, and what is never harmed unasked."""

import random
from collections.abc import Sequence
from typing import Any

from molecule.chaos import means
from molecule.chaos.faults import Aim, Kind
from molecule.chaos.hooks import Hook, Hooks
from molecule.chaos.means import Means, Members, Strike

HOOK = Hook(("a", "{node}"), ("b", "{node}"))


def members(*, voters: int = 3, workers: int = 0, may_lose: int | None = None) -> Members:
    names = tuple(f"n{number}" for number in range(1, voters + 1))
    others = tuple(f"w{number}" for number in range(1, workers + 1))
    lost = (voters - 1) // 2 if may_lose is None else may_lose
    return Members((*names, *others), names, "n1", lost)


def here(there: Members, **fields: Any) -> Means:
    return Means(frozenset(there.nodes), Hooks(), **fields)


def strikes(found: Means, there: Members, kind: Kind) -> list[Strike]:
    rng = random.Random(1)
    made = [means.strike(found, there, kind, rng) for _ in range(50)]
    return [one for one in made if one is not None]


def possible(found: Means, there: Members) -> dict[str, Sequence[str]]:
    return {one.kind.value: one.nodes for one in means.options(found, there) if one.is_possible}


def test_a_local_cluster_of_three_can_be_killed_and_frozen_and_not_parted() -> None:
    there = members()

    assert set(possible(here(there), there)) == {"kill", "kill_worker", "freeze"}
    parted = means.options(here(there), there)[-1]
    assert parted.why.endswith("the context has no hook `partition`")


def test_a_worker_of_a_single_node_can_be_killed_and_the_node_cannot() -> None:
    there = members(voters=1)

    assert possible(here(there), there) == {"kill_worker": ("n1",)}
    assert "--lose-majority" in means.options(here(there), there)[0].why
    assert strikes(here(there), there, Kind.KILL) == []
    assert {one.nodes for one in strikes(here(there), there, Kind.KILL_WORKER)} == {("n1",)}


def test_a_single_node_is_killed_when_that_is_asked_for() -> None:
    there = members(voters=1)
    made = strikes(here(there, lose_majority=True), there, Kind.KILL)

    assert {(one.aim, one.nodes) for one in made} == {(Aim.LEADER, ("n1",))}


def test_one_voter_at_a_time_is_harmed() -> None:
    there = members(voters=5, workers=1)

    for kind in (Kind.KILL, Kind.FREEZE):
        made = strikes(here(there), there, kind)
        assert {one.aim for one in made} == {Aim.LEADER, Aim.FOLLOWER, Aim.WORKER_NODE}
        assert {len(one.nodes) for one in made} == {1}


def test_a_cluster_that_can_lose_nobody_is_spared_but_for_its_worker_nodes() -> None:
    there = members(workers=1, may_lose=0)

    assert {one.nodes for one in strikes(here(there), there, Kind.KILL)} == {("w1",)}
    option = means.options(here(there), there)[0]
    assert option.nodes == ("w1",)
    assert option.why == "not at n1, n2, n3: the cluster can lose no voter now"


def test_a_majority_is_harmed_when_that_is_asked_for() -> None:
    there = members(voters=5)
    made = strikes(here(there, lose_majority=True), there, Kind.KILL)
    many = [one for one in made if one.aim is Aim.MAJORITY]

    assert {len(one.nodes) for one in many} == {3}
    assert all(one.aim is not Aim.MAJORITY for one in strikes(here(there), there, Kind.KILL))


def test_elsewhere_nothing_can_be_done_without_hooks() -> None:
    there = members()
    nobody = Means(frozenset(), Hooks())

    assert possible(nobody, there) == {}
    reasons = {one.kind.value: one.why for one in means.options(nobody, there)}
    assert "has no hook `kill`" in reasons["kill"]
    assert "hooks reach whole nodes only" in reasons["kill_worker"]


def test_hooks_reach_every_node_and_processes_go_first() -> None:
    there = members()
    given = Hooks({"kill": HOOK, "partition": HOOK})

    assert set(possible(Means(frozenset(), given), there)) == {"kill", "partition"}
    mixed = Means(frozenset({"n1"}), given)
    assert (mixed.by(Kind.KILL, "n1"), mixed.by(Kind.KILL, "n2")) == ("processes", "hook")


def test_a_node_that_is_down_already_is_no_victim() -> None:
    rows = [{"id": "n1", "up": True}, {"id": "n2", "up": False}]
    told = {"nodes": rows, "voters": ["n1", "n2"], "leader": "n1", "may_lose_voters": 0}

    assert Members.told(told) == Members(("n1",), ("n1", "n2"), "n1", 0)


def test_a_seed_gives_the_same_victims() -> None:
    there = members(voters=5)

    assert strikes(here(there), there, Kind.KILL) == strikes(here(there), there, Kind.KILL)
