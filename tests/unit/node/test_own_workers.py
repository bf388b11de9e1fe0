"""Workers of one execution: started for it alone, bounded, ended with it; and what memory costs."""

import pytest

from molecule.config import Limits
from molecule.node.agent_rounds import AgentRounds
from molecule.wire.v1 import commands_pb2 as c
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w
from tests.unit.node.test_agent_rounds import LEASE_US, a_reply, a_run, an_agent, beat, names

LIMITS = Limits(own_workers_max=2, worker_memory_bytes_max=900, own_worker_memory_bytes_max=500)


def own_agent() -> AgentRounds:
    return an_agent(limits=LIMITS)


def alone(execution: str, token: int = 1) -> p.ToAgent:
    message = a_run(execution, token)
    message.run.alone = True
    return message


def running(execution: str, token: int = 1, *, step: str = "s") -> w.WorkerStatus:
    one = w.WorkerStatus.Running(execution=execution, token=token, step=step)
    return w.WorkerStatus(running=[one], complete=True)


def report(command: c.Command) -> list[tuple[str, str, bool]]:
    held = command.report_worker_death.held
    return [(one.execution, one.running_step, one.alone) for one in held]


def test_an_execution_that_runs_alone_gets_a_worker_on_top_of_the_shared_ones() -> None:
    agent = own_agent()
    agent.heard_leader(a_run("e1"), now_us=1)
    agent.worker_ready("w1", now_us=2)
    out = agent.heard_leader(alone("e2", 2), now_us=3)
    assert (out.start_workers, out.to_workers) == ([("w2", 500)], [])
    ready = agent.worker_ready("w2", now_us=4)
    assert [(worker, m.run.execution) for worker, m in ready.to_workers] == [("w2", "e2")]


def test_nothing_else_is_given_to_a_worker_of_its_own() -> None:
    agent = own_agent()
    agent.heard_leader(alone("e1"), now_us=1)
    agent.worker_ready("w1", now_us=2)
    assert names(agent.heard_leader(a_run("e2", 2), now_us=3)) == ["w2"]
    assert not agent.is_shared("w1")
    assert agent.is_shared("w2")


def test_own_workers_are_bounded_and_the_others_wait_their_turn() -> None:
    agent = own_agent()
    started = [names(agent.heard_leader(alone(f"e{n}", n), now_us=n)) for n in (1, 2, 3)]
    assert started == [["w1"], ["w2"], []]
    agent.worker_ready("w1", now_us=4)
    over = agent.ended("e1", 1, now_us=5)
    assert [m.WhichOneof("kind") for _, m in over.to_workers] == ["shutdown"]
    assert over.start_workers == []
    assert names(agent.worker_died("w1", evidence="", charges=False, now_us=6)) == ["w3"]


def test_no_more_workers_start_at_once_than_there_are_processors() -> None:
    agent = an_agent(workers_max=2, starting_max=2)
    heard = [a_run("e1", 1), *(alone(f"e{n}", n) for n in (2, 3, 4, 5)), a_run("e6", 6)]
    started = [name for message in heard for name in names(agent.heard_leader(message, now_us=1))]
    assert started == ["w1", "w2"]
    assert names(agent.round(now_us=2)) == []
    assert names(agent.worker_ready("w2", now_us=3)) == ["w3"]
    assert names(agent.worker_ready("w1", now_us=4)) == ["w4"]


def test_one_whose_start_was_in_vain_makes_room_for_the_next() -> None:
    agent = an_agent(starting_max=1, limits=LIMITS)
    assert names(agent.heard_leader(alone("e1", 1), now_us=1)) == ["w1"]
    assert names(agent.heard_leader(alone("e2", 2), now_us=2)) == []
    stop = p.ToAgent(stop=w.StopExecution(execution="e1", token=1))
    assert names(agent.heard_leader(stop, now_us=3)) == ["w2"]
    assert names(agent.worker_died("w2", evidence="exit code 1", charges=True, now_us=4)) == ["w3"]


def test_a_worker_that_leaves_is_not_waited_for_without_end() -> None:
    agent = own_agent()
    agent.heard_leader(alone("e1"), now_us=1)
    agent.worker_ready("w1", now_us=2)
    agent.ended("e1", 1, now_us=3)
    late_us = 3 + 2 * LEASE_US + 1
    agent.worker_status("w1", w.WorkerStatus(complete=True), now_us=late_us)
    assert agent.round(now_us=late_us).kill_workers == ["w1"]


def test_one_whose_execution_ended_before_it_was_ready_leaves_at_once() -> None:
    agent = own_agent()
    agent.heard_leader(alone("e1"), now_us=1)
    stop = p.ToAgent(stop=w.StopExecution(execution="e1", token=1))
    assert agent.heard_leader(stop, now_us=2).kill_workers == ["w1"]
    ready = agent.worker_ready("w1", now_us=3)
    assert [m.WhichOneof("kind") for _, m in ready.to_workers] == ["shutdown"]


def test_cancel_kills_a_worker_of_its_own_and_charges_nobody() -> None:
    agent = own_agent()
    agent.heard_leader(alone("e1"), now_us=1)
    agent.worker_ready("w1", now_us=2)
    stop = p.ToAgent(stop=w.StopExecution(execution="e1", token=1))
    assert agent.heard_leader(stop, now_us=3).kill_workers == ["w1"]
    assert not agent.is_to_blame("w1", by_lease=False, is_starved=True, now_us=4)
    assert agent.worker_died("w1", evidence="SIGKILL", charges=False, now_us=4).groups == []


def test_death_of_a_worker_of_its_own_is_charged_also_between_steps() -> None:
    agent = own_agent()
    agent.heard_leader(alone("e1"), now_us=1)
    agent.worker_ready("w1", now_us=2)
    ((command,),) = agent.worker_died("w1", evidence="SIGSEGV", charges=True, now_us=3).groups
    assert report(command) == [("e1", "between steps", True)]


def test_own_worker_that_dies_before_it_is_ready_is_started_again_and_charges_nobody() -> None:
    agent = own_agent()
    agent.heard_leader(alone("e1"), now_us=1)
    out = agent.worker_died("w1", evidence="exit code 1", charges=True, now_us=2)
    assert (out.groups, names(out)) == ([], ["w2"])


@pytest.mark.parametrize(("message", "limit"), [(a_run("e1"), 900), (alone("e1"), 500)])
def test_a_worker_over_its_memory_is_killed_once_and_alone(message: p.ToAgent, limit: int) -> None:
    agent = own_agent()
    agent.heard_leader(message, now_us=1)
    agent.worker_ready("w1", now_us=2)
    agent.worker_status("w1", running("e1"), now_us=2)
    assert agent.measured("w1", limit, now_us=3).kill_workers == []
    assert agent.measured("w1", limit + 1, now_us=4).kill_workers == ["w1"]
    assert agent.measured("w1", limit + 2, now_us=5).kill_workers == []
    ((command,),) = agent.worker_died("w1", evidence="SIGKILL", charges=True, now_us=6).groups
    told = command.report_worker_death
    assert (told.cause, told.memory_bytes, told.held[0].running_step) == ("memory", limit + 2, "s")


def test_memory_of_a_worker_that_is_not_there_is_nobodys() -> None:
    assert own_agent().measured("w9", 10_000, now_us=1).kill_workers == []


def test_a_worker_whose_timer_fires_in_the_middle_of_the_nodes_lease_was_stuck() -> None:
    agent = an_agent()
    agent.heard_leader(a_run("e1"), now_us=1)
    agent.heard_leader(a_reply(beat(agent, 1_000)), now_us=2_000)
    assert agent.is_to_blame("w1", by_lease=True, is_starved=False, now_us=1_000 + LEASE_US - 1)
    assert not agent.is_to_blame("w1", by_lease=True, is_starved=False, now_us=1_000 + LEASE_US)
    early_us = 1_000 + LEASE_US - 1
    assert not agent.is_to_blame("w1", by_lease=True, is_starved=True, now_us=early_us)
    assert agent.is_to_blame("w1", by_lease=False, is_starved=True, now_us=early_us)


def test_what_a_worker_runs_and_nobody_holds_is_stopped() -> None:
    agent = an_agent()
    agent.heard_leader(a_run("e1"), now_us=1)
    agent.worker_ready("w1", now_us=2)
    out = agent.worker_status("w1", running("e7", 9), now_us=3)
    assert [(worker, m.stop.execution, m.stop.token) for worker, m in out.to_workers] == [
        ("w1", "e7", 9)
    ]


def test_what_a_worker_ran_and_does_not_run_any_more_is_lost_and_charged_to_nobody() -> None:
    agent = an_agent()
    agent.heard_leader(a_run("e1"), now_us=1)
    agent.worker_ready("w1", now_us=2)
    agent.worker_status("w1", running("e1"), now_us=3)
    out = agent.worker_status("w1", w.WorkerStatus(complete=True), now_us=4)
    ((command,),) = out.groups
    assert report(command) == [("e1", "", False)]
    assert agent.heard_leader(a_run("e1"), now_us=5).to_workers == []
    agent.told(command)
    assert len(agent.heard_leader(a_run("e1", 2), now_us=6).to_workers) == 1


def test_what_is_on_its_way_to_a_worker_is_waited_for_but_not_for_ever() -> None:
    agent = an_agent()
    agent.heard_leader(a_run("e1"), now_us=1)
    agent.worker_ready("w1", now_us=2)
    nothing = w.WorkerStatus(complete=True)
    unheard_us = Limits().worker_start_ms_max * 1000
    assert agent.worker_status("w1", nothing, now_us=2 + unheard_us).groups == []
    assert len(agent.worker_status("w1", nothing, now_us=3 + unheard_us).groups) == 1


def test_a_word_about_one_step_does_not_end_the_others() -> None:
    agent = an_agent()
    agent.heard_leader(a_run("e1"), now_us=1)
    agent.heard_leader(a_run("e2", 2), now_us=1)
    agent.worker_ready("w1", now_us=2)
    agent.worker_status("w1", running("e1"), now_us=3)
    one = w.WorkerStatus(running=[w.WorkerStatus.Running(execution="e2", token=2, step="s")])
    assert agent.worker_status("w1", one, now_us=4).groups == []
