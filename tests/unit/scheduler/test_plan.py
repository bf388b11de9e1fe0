"""What the leader plans: order, fairness, bounds, and reasons."""

from collections import Counter

from molecule.cluster.outcome import Applied
from molecule.config import Limits, Timing
from molecule.model.ids import NodeId
from molecule.scheduler import hint, place
from molecule.scheduler.liveness import Liveness
from molecule.scheduler.plan import Moment, Planned, plan
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import ENVIRONMENT, NOW_MS, Replica

TIMING = Timing()


def heard(replica: Replica, *, now_ms: int = 0) -> Liveness:
    liveness = Liveness()
    liveness.notice(replica.state, now_ms=now_ms)
    return liveness


def planned(
    replica: Replica, *, now_ms: int = 0, later_ms: int = 0, limits: Limits | None = None
) -> list[Planned]:
    """One round of a leader that heard everybody at its moment 0."""
    moment = Moment(now_ms, replica.state.time_ms + later_ms)
    return plan(replica.state, heard(replica), moment, timing=TIMING, limits=limits or Limits())


def assigned(commands: list[Planned]) -> list[tuple[str, str]]:
    return [
        (item.command.assign_execution.execution, item.command.assign_execution.node)
        for item in commands
        if item.command.WhichOneof("kind") == "assign_execution"
    ]


def play(replica: Replica, *, rounds: int = 1) -> list[str]:
    """Rounds of planning and committing; returns what was assigned, in order."""
    order = []
    for _ in range(rounds):
        commands = planned(replica)
        order += [name for name, _ in assigned(commands)]
        if commands:
            replica.commit(*(item.command for item in commands))
    return order


def test_plan_of_an_idle_cluster_is_empty() -> None:
    assert planned(Replica()) == []


def test_plan_spreads_over_the_least_loaded() -> None:
    replica = Replica(nodes=3, slots=2)
    replica.start("e0", "n1")
    for name in ("e1", "e2", "e3"):
        replica.submit(name)
    assert assigned(planned(replica)) == [("e1", "n2"), ("e2", "n3"), ("e3", "n1")]


def test_plan_measures_load_by_slots() -> None:
    replica = Replica(nodes=1, slots=2)
    replica.register("big", slots=8)
    replica.start("e0", "n1")
    replica.start("e1", "big")
    replica.start("e2", "big")
    replica.submit("e3")
    assert assigned(planned(replica)) == [("e3", "big")]


def test_plan_promises_no_more_than_the_free_slots() -> None:
    replica = Replica(nodes=2, slots=1)
    for name in ("e1", "e2", "e3"):
        replica.submit(name)
    assert len(assigned(planned(replica))) == 2


def test_plan_is_bounded_and_goes_on_in_the_next_round() -> None:
    replica = Replica(nodes=1, slots=100)
    for number in range(10):
        replica.submit(f"e{number}")
    first = planned(replica, limits=Limits(plan_commands_per_round_max=4))
    assert [name for name, _ in assigned(first)] == ["e0", "e1", "e2", "e3"]
    replica.commit(*(item.command for item in first))
    assert [name for name, _ in assigned(planned(replica))] == [f"e{n}" for n in range(4, 10)]


def test_plan_gives_higher_priorities_first() -> None:
    replica = Replica(nodes=1, slots=2)
    for name, priority in (("low", 1), ("high", 9), ("middle", 5)):
        replica.submit(name, priority=priority)
    assert [name for name, _ in assigned(planned(replica))] == ["high", "middle"]


def test_plan_gives_what_was_lost_before_first() -> None:
    replica = Replica(nodes=2, slots=1)
    replica.start("lost", "n1")
    replica.submit("fresh")
    replica.start("busy", "n2")
    replica.say(report_node_death=wire.ReportNodeDeath(node="n1", life="1"))
    replica.end("busy", 2)
    commands = planned(replica)
    assert assigned(commands) == [("lost", "n2")]
    assert commands[0].reason == "returned"


def test_process_with_a_long_queue_does_not_starve_another() -> None:
    replica = Replica(nodes=1, slots=4)
    replica.deploy("many")
    replica.deploy("few")
    for number in range(20):
        replica.submit(f"many{number}", process="many")
    for number in range(3):
        replica.submit(f"few{number}", process="few")
    order = [name.rstrip("0123456789") for name, _ in assigned(planned(replica))]
    assert Counter(order) == {"many": 2, "few": 2}


def test_processes_take_turns_at_a_single_slot() -> None:
    replica = Replica(nodes=1, slots=1)
    replica.deploy("a")
    replica.deploy("b")
    for number in range(3):
        replica.submit(f"a{number}", process="a")
    for number in range(3):
        replica.submit(f"b{number}", process="b")
    order = []
    for _ in range(4):
        (name,) = play(replica)
        order.append(name)
        replica.end(name, replica.execution(name).token)
    assert order == ["a0", "b0", "a1", "b1"]


def test_blocked_keys_do_not_stand_in_the_way() -> None:
    replica = Replica(nodes=1, slots=9)
    for number in range(5):
        replica.submit(f"e{number}", concurrency_key="plane")
    replica.submit("other", concurrency_key="another")
    assert [name for name, _ in assigned(planned(replica))] == ["e0", "other"]


def test_key_with_a_limit_starts_as_many_in_order() -> None:
    replica = Replica(nodes=1, slots=9)
    replica.deploy("two", concurrency_limit=2)
    for number in range(4):
        replica.submit(f"e{number}", process="two", concurrency_key="k")
    assert play(replica) == ["e0", "e1"]
    replica.end("e0", replica.execution("e0").token)
    assert play(replica) == ["e2"]


def test_required_labels_decide_and_preferred_ones_lead() -> None:
    replica = Replica(nodes=2)
    replica.register("fast", slots=4, labels={"disk": "fast"})
    replica.deploy("picky", require={"disk": "fast"})
    replica.deploy("choosy", prefer={"disk": "fast"})
    replica.start("e0", "fast")
    replica.submit("e1", process="picky")
    replica.submit("e2", process="choosy")
    assert assigned(planned(replica)) == [("e2", "fast"), ("e1", "fast")]


def test_every_node_not_chosen_has_its_reason() -> None:
    replica = Replica(nodes=3, slots=1)
    replica.register("fast", slots=2, labels={"disk": "fast"})
    replica.register("other", slots=2, labels={"disk": "fast"})
    replica.deploy("picky", require={"disk": "fast"})
    replica.start("e0", "other")
    replica.say(report_node_death=wire.ReportNodeDeath(node="n3", life="1"))
    replica.submit("e1", process="picky")
    (item,) = planned(replica)
    told = {other.node: other.reason for other in item.command.assign_execution.not_chosen}
    assert told == {"n1": "label disk", "n2": "label disk", "n3": "lost", "other": "more_loaded"}


def test_told_reasons_are_bounded() -> None:
    replica = Replica(nodes=6)
    replica.submit("e1")
    (item,) = planned(replica, limits=Limits(plan_nodes_not_chosen_max=2))
    assert len(item.command.assign_execution.not_chosen) == 2


def test_pending_execution_is_explained() -> None:
    replica = Replica(nodes=2, slots=1)
    replica.start("e1", "n1", concurrency_key="k")
    replica.submit("e2", concurrency_key="k")
    replica.submit("e3")
    replica.state.nodes[NodeId("n2")].is_draining = True

    def why(name: str) -> list[tuple[str, str]]:
        reasons = place.explain(
            replica.state, replica.execution(name), heard(replica), now_ms=0, timing=TIMING
        )
        return [(item.node, item.reason) for item in reasons]

    assert why("e2") == [("", "key_held")]
    assert why("e3") == [("n1", "full"), ("n2", "draining")]
    assert planned(replica) == []


def test_quiet_node_gets_no_new_work() -> None:
    replica = Replica(nodes=2)
    liveness = heard(replica)
    liveness.hear(NodeId("n2"), replica.state.nodes[NodeId("n2")].incarnation, now_ms=1_400)
    replica.submit("e1")
    moment = Moment(1_400, NOW_MS)
    commands = plan(replica.state, liveness, moment, timing=TIMING, limits=Limits())
    assert assigned(commands) == [("e1", "n2")]
    (other,) = commands[0].command.assign_execution.not_chosen
    assert (other.node, other.reason) == ("n1", "silent")


def test_due_waits_and_time_outs_are_planned_once_due() -> None:
    replica = Replica(nodes=1)
    replica.deploy("timed", timeout_ms=10_000)
    replica.end("e1", replica.start("e1"), "WAITING", wait_ms=5_000)
    replica.start("e2", process="timed")
    assert planned(replica, later_ms=4_999) == []
    kinds = [item.command.WhichOneof("kind") for item in planned(replica, later_ms=10_000)]
    assert kinds == ["release_execution", "fail_execution"]


def test_a_wait_for_a_doubt_is_not_ended_before_the_leases_of_a_newer_leader() -> None:
    replica = Replica(nodes=1)
    token = replica.start("e1")
    replica.intend("e1", token, "a", timeout_ms=5_000)
    replica.end("e1", token, "WAITING", wait_ms=1)
    bounds = wire.Bounds(lease_ms=20_000, lease_margin_ms=250)
    replica.say(claim_leadership=wire.ClaimLeadership(node="n1", bounds=bounds))
    # By the shorter lease the wait is due; apply would refuse to end it, and the leader would ask
    # again in the next round, for ever faster than anybody's clock.
    assert planned(replica, later_ms=10_000) == []
    (release,) = planned(replica, later_ms=5_000 + 20_250)
    replica.at_ms += 5_000 + 20_250
    assert isinstance(replica.commit(release.command).outcomes[0], Applied)


def test_silent_node_is_planned_to_expire_and_nothing_else_of_it() -> None:
    replica = Replica(nodes=1)
    replica.start("e1")
    assert planned(replica, now_ms=2_749) == [], "the lease is over and the margin is not"
    (item,) = planned(replica, now_ms=2_750)
    assert item.command.expire_node == wire.ExpireNode(
        epoch=1, node="n1", incarnation=1, silent_for_ms=2_750
    )


def test_execution_held_for_a_node_is_passed_over_by_others() -> None:
    replica = Replica(nodes=2, slots=4)
    replica.deploy("holds", failover="hold")
    replica.start("e1", "n1", process="holds")
    replica.say(report_node_death=wire.ReportNodeDeath(node="n1", life="1"))
    replica.register("n1", life="2", slots=1)
    replica.start("busy", "n1")
    replica.submit("e2", process="holds")
    assert assigned(planned(replica)) == [("e2", "n2")]


def test_trigger_goes_to_the_node_with_the_fewest() -> None:
    replica = Replica(nodes=2)
    for name in ("a", "b", "c"):
        replica.deploy(name, has_trigger=True, trigger_on=name != "c")
    commands = [item.command.assign_trigger for item in planned(replica)]
    assert [(item.process, item.node) for item in commands] == [("a", "n1"), ("b", "n2")]
    replica.commit(*(item.command for item in planned(replica)))
    assert planned(replica) == []


def test_trigger_without_a_fitting_node_waits() -> None:
    replica = Replica(nodes=1)
    replica.deploy("a", has_trigger=True, trigger_on=True, require={"disk": "fast"})
    assert planned(replica) == []


def test_hint_names_the_least_loaded_and_counts_what_is_promised() -> None:
    replica = Replica(nodes=2, slots=2)
    command = replica.submission("e1")
    replica.start("e0", "n1")
    assert hint.choose(replica.state, command, reserved={}) == wire.PlacementHint(
        node="n2", incarnation=2
    )
    promised = {NodeId("n2"): 2}
    assert hint.choose(replica.state, command, reserved=promised) == wire.PlacementHint(
        node="n1", incarnation=1
    )
    everywhere = {NodeId("n1"): 1, NodeId("n2"): 2}
    assert hint.choose(replica.state, command, reserved=everywhere) is None
    silent = hint.choose(replica.state, command, reserved={}, avoid=[NodeId("n2")])
    assert silent == wire.PlacementHint(node="n1", incarnation=1)


def test_hint_prefers_the_node_that_has_the_caller_among_equals_only() -> None:
    replica = Replica(nodes=3, slots=2)
    command = replica.submission("e1")

    def chosen() -> str:
        found = hint.choose(replica.state, command, reserved={}, near=NodeId("n3"))
        return found.node if found is not None else ""

    assert chosen() == "n3"
    replica.start("e0", "n3")
    assert chosen() == "n1"


def test_hint_is_none_when_the_submission_must_queue() -> None:
    replica = Replica(nodes=1)
    replica.start("e0", concurrency_key="k")
    keyed = replica.submission("e1", concurrency_key="k")
    assert hint.choose(replica.state, keyed, reserved={}) is None
    assert hint.choose(replica.state, replica.submission("e1", process="no"), reserved={}) is None
    strange = replica.submission("e1", version="v9", environment=ENVIRONMENT)
    assert hint.choose(replica.state, strange, reserved={}) is None
    replica.submit("waits")
    assert hint.choose(replica.state, replica.submission("e1"), reserved={}) is None
