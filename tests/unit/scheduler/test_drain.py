"""What a drain would bring about: where work goes, what waits, when it makes no sense."""

from molecule.model.ids import NodeId
from molecule.scheduler.drain import DrainPlan, plan_drain
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import Replica


def planned(replica: Replica, node: str = "n1") -> DrainPlan:
    return plan_drain(replica.state, replica.state.nodes[NodeId(node)])


def test_work_goes_to_the_least_loaded_others() -> None:
    replica = Replica(nodes=3)
    for number in range(4):
        replica.start(f"e{number}", "n1")
    plan = planned(replica)
    assert (plan.refusal, plan.moves, plan.waits) == ("", {"n2": 2, "n3": 2}, {})


def test_what_no_slot_is_free_for_would_wait() -> None:
    replica = Replica(nodes=2, slots=1)
    replica.start("e1", "n1")
    replica.start("e2", "n2")
    assert planned(replica).waits == {"a free slot": 1}


def test_what_only_this_node_can_run_would_wait_for_the_label() -> None:
    replica = Replica()
    replica.register("n1", life="2", slots=4, labels={"disk": "fast"})
    replica.deploy("heavy", require={"disk": "fast"}, has_trigger=True, trigger_on=True)
    replica.start("e1", "n1", process="heavy")
    replica.say(
        assign_trigger=wire.AssignTrigger(
            epoch=1,
            environment="test",
            process="heavy",
            node="n1",
            incarnation=replica.state.nodes[NodeId("n1")].incarnation,
        )
    )
    plan = planned(replica)
    assert plan.waits == {"a node with the label disk": 1}
    assert [(move.node, move.why) for move in plan.triggers] == [
        (None, "a node with the label disk")
    ]


def test_a_trigger_goes_to_a_node_that_can_run_it() -> None:
    replica = Replica()
    replica.deploy("files", has_trigger=True, trigger_on=True)
    replica.say(
        assign_trigger=wire.AssignTrigger(
            epoch=1, environment="test", process="files", node="n1", incarnation=1
        )
    )
    assert [move.node for move in planned(replica).triggers] == ["n2"]


def give_trigger(replica: Replica, process: str, node: str) -> None:
    member = replica.state.nodes[NodeId(node)]
    replica.say(
        assign_trigger=wire.AssignTrigger(
            epoch=1,
            environment="test",
            process=process,
            node=node,
            incarnation=member.incarnation,
        )
    )


def test_triggers_go_where_the_planner_would_put_them() -> None:
    replica = Replica(nodes=3)
    for process in ("a", "b", "c"):
        replica.deploy(process, has_trigger=True, trigger_on=True)
    give_trigger(replica, "a", "n1")
    give_trigger(replica, "b", "n1")
    give_trigger(replica, "c", "n2")
    plan = planned(replica)
    assert [(move.process, move.node) for move in plan.triggers] == [("a", "n3"), ("b", "n2")]


def test_what_only_the_zone_of_this_node_can_run_would_wait_for_that_zone() -> None:
    replica = Replica()
    replica.register("n1", life="2", slots=4, zone="west")
    replica.deploy("near", zone="west")
    replica.start("e1", "n1", process="near")
    assert planned(replica).waits == {"a node in the zone west": 1}


def test_a_plan_that_makes_no_sense_says_why() -> None:
    replica = Replica(nodes=1)
    assert planned(replica).refusal == "no_other_node"
    replica.say(report_node_death=wire.ReportNodeDeath(node="n1", life="1"))
    assert planned(replica).refusal == "node_lost"
