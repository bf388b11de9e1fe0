"""Which faults strike, and that the processes of all workloads are ones that the product takes."""

import itertools
import random

from chaos.faults import network
from chaos.faults.at_target import Moody
from chaos.faults.fault import Aim, may_strike_together
from chaos.faults.kinds import KINDS, why_not
from chaos.faults.network import Cut, Halves, OneWay
from chaos.faults.processes import Kill
from chaos.faults.shaping import Resets, Slow
from chaos.runner.plan import strikes
from chaos.runner.target import Mood
from chaos.workloads import all as workloads
from chaos.workloads.workload import repository
from molecule.component.registry import discover
from molecule.config import Limits
from molecule.definition.calls import Processes
from molecule.definition.parse import parse_process


def planned(seed: int, count: int) -> list[str]:
    return [str(one) for one in itertools.islice(strikes(random.Random(seed), tuple(KINDS)), count)]


def test_a_seed_gives_one_plan() -> None:
    assert planned(7, 60) == planned(7, 60)
    assert planned(7, 60) != planned(8, 60)


def test_each_round_has_every_kind_and_few_rounds_have_every_aim() -> None:
    found = list(itertools.islice(strikes(random.Random(1), tuple(KINDS)), 5 * len(KINDS)))

    assert {one.kind.name for one in found[: len(KINDS)]} == set(KINDS)
    for kind in KINDS.values():
        assert {one.aim for one in found if one.kind is kind} == set(kind.aims)


def test_faults_that_would_confirm_or_heal_each_other_do_not_strike_together() -> None:
    one = Cut("isolate", ("n1",), False, (), 1.0)
    other = Cut("isolate", ("n2",), False, (), 1.0)
    fails, slow = Moody("fails", Mood(fails=1.0), 1.0), Moody("slow", Mood(delay_s=1.0), 1.0)

    assert not may_strike_together(one, other)
    assert not may_strike_together(fails, slow)
    assert not may_strike_together(one, Kill(("n1",), False, 0.0))
    assert may_strike_together(one, Kill(("n2",), False, 0.0))
    assert may_strike_together(one, fails)


def test_faults_of_links_do_not_strike_together_for_two_nodes_share_one() -> None:
    apart = Cut("isolate", ("n2",), False, (), 1.0)
    others = (
        OneWay(("n1",), False, is_mute=True, seconds=1.0, kind="mute"),
        Halves("halves", ("n1",), False, (), 1.0),
        Slow("slow_link", ("n1",), 0.1, 0.0, 1.0),
        Resets(("n1",), 1),
    )
    assert not any(may_strike_together(apart, other) for other in others)
    assert may_strike_together(apart, Kill(("n1",), unseats=False, down_s=1.0))


def test_what_changes_the_members_is_left_out_where_links_are_cut() -> None:
    assert not why_not("damage_and_rejoin", ["damage_and_rejoin", "kill"])
    for cut in network.KINDS:
        assert cut.name in why_not("damage_and_rejoin", ["damage_and_rejoin", "kill", cut.name])


def test_leaders_and_followers_with_work_are_among_the_victims() -> None:
    for aim in (Aim.LEADER, Aim.BUSY):
        assert sum(aim in kind.aims for kind in KINDS.values()) >= 8


def test_what_the_workloads_deploy_has_no_findings() -> None:
    made = workloads.made(workloads.NAMES)
    files = repository(made, target="http://127.0.0.1:9")
    texts = {name: text.encode() for name, text in files.items() if name.startswith("processes/")}
    registry = discover(extensions=False)

    for name, text in texts.items():
        parsed = parse_process(text, name, registry, Limits(), processes=Processes(texts, Limits()))
        assert [str(finding) for finding in parsed.findings] == [], name
    assert {name for one in made for name in one.declared()} == {
        name.removeprefix("processes/").removesuffix(".yaml") for name in texts
    }
