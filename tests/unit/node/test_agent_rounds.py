"""The agent's decisions: leases, who runs what, what the leader is told of a dead worker."""

from molecule.config import Limits
from molecule.node.agent_rounds import AgentRounds
from molecule.node.holdings import AgentOutbox
from molecule.node.seats import Seats
from molecule.wire.v1 import peer_pb2 as p
from molecule.wire.v1 import worker_pb2 as w

LEASE_US = 2_500_000


def an_agent(
    *, workers_max: int = 1, starting_max: int = 8, limits: Limits | None = None
) -> AgentRounds:
    limits = limits or Limits()
    seats = Seats(
        shared_max=workers_max, starting_max=starting_max, lease_us=LEASE_US, limits=limits
    )
    agent = AgentRounds(node="n1", life="life-1", seats=seats, lease_us=LEASE_US, limits=limits)
    agent.registered(7)
    return agent


def a_reply(
    number: int,
    *,
    epoch: int = 1,
    incarnation: int = 7,
    superseded: bool = False,
    lease_ms: int = LEASE_US // 1000,
) -> p.ToAgent:
    return p.ToAgent(
        heartbeat=p.HeartbeatReply(
            number=number,
            epoch=epoch,
            incarnation=incarnation,
            superseded=superseded,
            lease_ms=lease_ms,
        )
    )


def a_run(execution: str, token: int = 1) -> p.ToAgent:
    return p.ToAgent(run=w.RunExecution(execution=execution, token=token, process="orders"))


def names(out: AgentOutbox) -> list[str]:
    """Workers that are to be started."""
    return [worker for worker, _ in out.start_workers]


def beat(agent: AgentRounds, now_us: int) -> int:
    return agent.heartbeat(now_us=now_us, slots=8, wall_clock_ms=0).number


def test_lease_counts_from_the_moment_the_heartbeat_was_sent() -> None:
    agent = an_agent()
    number = beat(agent, 1_000_000)
    agent.heard_leader(a_reply(number), now_us=1_900_000)
    assert agent.lease_until_us == 1_000_000 + LEASE_US


def test_a_leader_with_shorter_leases_grants_no_longer_one_than_it_waits_for() -> None:
    agent = an_agent()
    agent.heard_leader(a_reply(beat(agent, 1_000_000), lease_ms=500), now_us=1_100_000)
    assert agent.lease_until_us == 1_000_000 + 500_000


def test_lease_never_goes_back_when_replies_arrive_out_of_order() -> None:
    agent = an_agent()
    first, second = beat(agent, 1_000_000), beat(agent, 2_000_000)
    agent.heard_leader(a_reply(second), now_us=2_100_000)
    agent.heard_leader(a_reply(first), now_us=2_200_000)
    assert agent.lease_until_us == 2_000_000 + LEASE_US


def test_lease_is_not_renewed_by_a_leader_of_a_lower_epoch() -> None:
    agent = an_agent()
    agent.heard_leader(a_reply(beat(agent, 1_000_000), epoch=5), now_us=1_100_000)
    agent.heard_leader(a_reply(beat(agent, 3_000_000), epoch=4), now_us=3_100_000)
    assert agent.lease_until_us == 1_000_000 + LEASE_US


def test_lease_is_not_renewed_for_an_incarnation_that_was_lost() -> None:
    agent = an_agent()
    out = agent.heard_leader(a_reply(beat(agent, 1_000_000), incarnation=0), now_us=1_100_000)
    assert (agent.lease_until_us, out.register) == (0, True)


def test_a_repeated_reply_renews_nothing() -> None:
    agent = an_agent()
    number = beat(agent, 1_000_000)
    agent.heard_leader(a_reply(number), now_us=1_100_000)
    agent.lease_until_us = 0
    agent.heard_leader(a_reply(number), now_us=1_200_000)
    assert agent.lease_until_us == 0


def test_superseded_life_stops() -> None:
    agent = an_agent()
    out = agent.heard_leader(a_reply(beat(agent, 1), superseded=True), now_us=2)
    assert out.fatal is not None
    assert "another process runs as node n1" in out.fatal


def test_first_assignment_starts_a_worker_and_waits_for_it() -> None:
    agent = an_agent()
    out = agent.heard_leader(a_run("e1"), now_us=1)
    assert (names(out), out.to_workers) == (["w1"], [])

    ready = agent.worker_ready("w1", now_us=2)
    assert [(worker, message.run.execution) for worker, message in ready.to_workers] == [
        ("w1", "e1")
    ]


def test_a_ready_worker_gets_the_lease_before_any_work() -> None:
    agent = an_agent()
    agent.heard_leader(a_run("e1"), now_us=1)
    agent.heard_leader(a_reply(beat(agent, 1_000)), now_us=2_000)
    ready = agent.worker_ready("w1", now_us=3_000)
    assert [message.WhichOneof("kind") for _, message in ready.to_workers] == ["lease", "run"]


def test_work_goes_to_the_least_busy_worker() -> None:
    agent = an_agent(workers_max=2)
    agent.heard_leader(a_run("e1"), now_us=1)
    agent.heard_leader(a_run("e2", 2), now_us=1)
    agent.worker_ready("w1", now_us=2)
    agent.worker_ready("w2", now_us=2)
    out = agent.heard_leader(a_run("e3", 3), now_us=3)
    assert [worker for worker, _ in out.to_workers] == ["w2"]


def test_the_same_assignment_delivered_twice_runs_once() -> None:
    agent = an_agent()
    agent.heard_leader(a_run("e1"), now_us=1)
    agent.worker_ready("w1", now_us=2)
    assert agent.heard_leader(a_run("e1"), now_us=3).to_workers == []


def test_a_newer_token_stops_the_older_assignment_first() -> None:
    agent = an_agent()
    agent.heard_leader(a_run("e1", 1), now_us=1)
    agent.worker_ready("w1", now_us=2)
    out = agent.heard_leader(a_run("e1", 9), now_us=3)
    assert [message.WhichOneof("kind") for _, message in out.to_workers] == ["stop", "run"]
    assert agent.holds("e1", 9)
    assert not agent.holds("e1", 1)


def test_stop_with_an_older_token_leaves_the_newer_assignment() -> None:
    agent = an_agent()
    agent.heard_leader(a_run("e1", 5), now_us=1)
    agent.heard_leader(p.ToAgent(stop=w.StopExecution(execution="e1", token=4)), now_us=2)
    assert agent.holds("e1", 5)


def test_dead_worker_is_reported_with_the_step_that_ran() -> None:
    agent = an_agent()
    agent.heard_leader(a_run("e1", 1), now_us=1)
    agent.heard_leader(a_run("e2", 2), now_us=1)
    agent.worker_ready("w1", now_us=2)
    running = w.WorkerStatus.Running(execution="e2", token=2, step="late/store")
    agent.worker_status("w1", w.WorkerStatus(running=[running]), now_us=2)

    out = agent.worker_died("w1", evidence="SIGSEGV", charges=True, now_us=3)
    ((command,),) = out.groups
    report = command.report_worker_death
    assert (report.node, report.incarnation, report.evidence) == ("n1", 7, "SIGSEGV")
    assert [(held.execution, held.running_step) for held in report.held] == [
        ("e1", ""),
        ("e2", "late/store"),
    ]
    assert agent.held == {}


def test_a_worker_that_its_lease_ended_charges_nobody() -> None:
    agent = an_agent()
    agent.heard_leader(a_run("e1", 1), now_us=1)
    agent.worker_ready("w1", now_us=2)
    running = w.WorkerStatus.Running(execution="e1", token=1, step="s")
    agent.worker_status("w1", w.WorkerStatus(running=[running]), now_us=2)
    out = agent.worker_died("w1", evidence="SIGALRM", charges=False, now_us=3)
    assert out.groups[0][0].report_worker_death.held[0].running_step == ""


def test_workers_that_die_again_and_again_are_started_more_slowly() -> None:
    agent = an_agent()
    agent.heard_leader(p.ToAgent(run_trigger=w.RunTrigger(process="orders", token=1)), now_us=0)
    agent.worker_died("w1", evidence="exit code 1", charges=True, now_us=0)
    out = agent.worker_died("w2", evidence="exit code 1", charges=True, now_us=0)
    assert out.start_workers == []
    assert names(agent.round(now_us=10_000_000)) == ["w3"]


def test_trigger_of_a_dead_worker_runs_in_the_next_one() -> None:
    agent = an_agent()
    agent.heard_leader(p.ToAgent(run_trigger=w.RunTrigger(process="orders", token=1)), now_us=0)
    agent.worker_ready("w1", now_us=1)
    agent.worker_died("w1", evidence="SIGKILL", charges=True, now_us=2)
    ready = agent.worker_ready("w2", now_us=3)
    assert [m.WhichOneof("kind") for _, m in ready.to_workers] == ["run_trigger"]


def test_a_trigger_is_begun_and_stopped_by_its_newest_token_only() -> None:
    agent = an_agent()
    agent.worker_ready("w1", now_us=0)

    def told(kind: str, token: int) -> list[tuple[str, int]]:
        run = w.RunTrigger(environment="test", process="orders", token=token)
        stop = w.StopTrigger(environment="test", process="orders", token=token)
        said = p.ToAgent(stop_trigger=stop) if kind == "stop" else p.ToAgent(run_trigger=run)
        out = agent.heard_leader(said, now_us=1)
        kinds = [(str(m.WhichOneof("kind")), m) for _, m in out.to_workers]
        return [(kind, getattr(m, kind).token) for kind, m in kinds]

    assert told("run", 2) == [("run_trigger", 2)]
    assert told("run", 2) == []
    assert told("run", 1) == []
    assert told("stop", 1) == [], "an older one was meant"
    assert told("run", 3) == [("stop_trigger", 2), ("run_trigger", 3)]
    assert told("stop", 3) == [("stop_trigger", 3)]
    assert told("stop", 3) == []
    assert agent.is_empty


def test_heartbeat_names_what_is_held_and_what_is_free() -> None:
    agent = an_agent()
    agent.heard_leader(a_run("e1", 4), now_us=1)
    sent = agent.heartbeat(now_us=2, slots=8, wall_clock_ms=99)
    assert [(held.execution, held.token) for held in sent.held] == [("e1", 4)]
    assert (sent.slots_free, sent.incarnation, sent.wall_clock_ms) == (7, 7, 99)


def test_what_a_dead_worker_held_is_not_run_again_under_its_token() -> None:
    agent = an_agent()
    agent.heard_leader(a_run("e1", 5), now_us=1)
    agent.worker_ready("w1", now_us=2)
    out = agent.worker_died("w1", evidence="SIGKILL", charges=True, now_us=3)
    agent.worker_ready("w2", now_us=4)

    # The leader compares before the report has committed, and delivers again.
    assert agent.heard_leader(a_run("e1", 5), now_us=5).to_workers == []
    agent.told(out.groups[0][0])
    again = agent.heard_leader(a_run("e1", 6), now_us=6)
    assert [message.run.token for _, message in again.to_workers] == [6]


def test_a_worker_that_never_opens_its_stream_is_killed() -> None:
    agent = an_agent()
    agent.want_worker(now_us=0)
    start_us = Limits().worker_start_ms_max * 1000
    assert agent.round(now_us=start_us).kill_workers == []
    assert agent.round(now_us=start_us + 1).kill_workers == ["w1"]


def test_a_silent_worker_is_killed_and_one_that_speaks_is_not() -> None:
    agent = an_agent(workers_max=2)
    agent.heard_leader(a_run("e1"), now_us=0)
    agent.heard_leader(a_run("e2", 2), now_us=0)
    agent.worker_ready("w1", now_us=0)
    agent.worker_ready("w2", now_us=0)
    late_us = 2 * LEASE_US + 1
    agent.worker_status("w2", w.WorkerStatus(), now_us=late_us)
    assert agent.round(now_us=late_us).kill_workers == ["w1"]


def test_a_node_whose_supervisor_does_not_end_a_silent_worker_gives_up_its_work() -> None:
    agent = an_agent()
    agent.heard_leader(a_run("e1"), now_us=0)
    agent.worker_ready("w1", now_us=0)
    asked_us = 2 * LEASE_US + 1
    assert agent.round(now_us=asked_us).fatal is None
    assert agent.round(now_us=asked_us + 2 * LEASE_US).fatal is None
    assert "w1" in str(agent.round(now_us=asked_us + 2 * LEASE_US + 1).fatal)


def test_a_trigger_that_no_worker_was_told_of_is_not_called_held() -> None:
    agent = an_agent()
    run = w.RunTrigger(environment="prod", process="orders", token=3)
    agent.heard_leader(p.ToAgent(run_trigger=run), now_us=0)
    agent.trigger_undelivered(run)
    assert not agent.heartbeat(now_us=0, slots=8, wall_clock_ms=0).triggers
