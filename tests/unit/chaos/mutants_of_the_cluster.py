"""Mutants of I6 to I9: copies, registers, recovery and leaks."""

from chaos import records as r
from chaos.records import Outcome
from molecule.model.execution import ExecutionState
from tests.unit.chaos.edits import Edit, first, fits
from tests.unit.chaos.good_runs import FINAL_US
from tests.unit.chaos.mutants import Mutants

MUTANTS = Mutants()
COMPLETED, FAILED, CANCELLED = (
    ExecutionState.COMPLETED,
    ExecutionState.FAILED,
    ExecutionState.CANCELLED,
)


# --- I6 -------------------------------------------------------------------


@MUTANTS.of("I6", "two leaders in one term")
def two_leaders_in_one_term(edit: Edit) -> str:
    edit.add(r.Led, at_us=220_000, node="n1", term=4, epoch=5)
    return "n1"


@MUTANTS.of("I6", "two leaders in one epoch")
def two_leaders_in_one_epoch(edit: Edit) -> str:
    edit.add(r.Led, at_us=220_000, node="n1", term=5, epoch=4)
    return "n1"


@MUTANTS.of("I6", "an epoch of an older term")
def epoch_minted_in_an_older_term(edit: Edit) -> str:
    edit.add(r.Led, at_us=220_000, node="n1", term=3, epoch=7)
    return "n1"


@MUTANTS.of("I6", "two votes in one term")
def two_votes_in_one_term(edit: Edit) -> str:
    edit.add(r.Voted, at_us=111_000, node="n1", term=2, candidate="n3")
    return "n1"


@MUTANTS.of("I6", "applied prefixes differ")
def replicas_differ(edit: Edit) -> str:
    applied = edit.good.each(r.Applied)[-1]
    edit.change(applied, digest="another hash")
    return applied.node


@MUTANTS.of("I6", "timelines differ")
def another_story_on_another_node(edit: Edit) -> str:
    timeline = edit.good.each(r.Timeline)[-1]
    edit.change(timeline, rows=timeline.rows[:-1])
    return timeline.execution


@MUTANTS.of("I6", "durable is less than promised")
def promised_and_not_on_disk(edit: Edit) -> str:
    restarted = edit.good.each(r.Restarted)[0]
    edit.change(restarted, index=7)
    return restarted.node


@MUTANTS.of("I6", "durable is less than promised")
def taken_back_by_no_leader(edit: Edit) -> str:
    edit.drop(r.Cut)
    return "n1"


@MUTANTS.of("I6", "an applied entry was cut")
def applied_entry_cut(edit: Edit) -> str:
    cut = edit.good.each(r.Cut)[0]
    edit.change(cut, index=10)
    return cut.node


# --- I7 -------------------------------------------------------------------


@MUTANTS.of("I7", "a register is not linearizable")
def stale_read_after_an_acknowledged_write(edit: Edit) -> str:
    name, operations = edit.register()
    last = operations[-1].answered.value
    old = first(
        one.ask.value
        for one in operations
        if isinstance(one.ask, r.Write) and one.ask.value not in {None, last}
    )
    edit.ask(r.Read(register_name=name), at_us=FINAL_US - 9, outcome=Outcome.OK, value=old)
    return name


@MUTANTS.of("I7", "a register is not linearizable")
def acknowledged_write_lost(edit: Edit) -> str:
    name, operations = edit.register()
    last = operations[-1].answered.value
    write = r.Write(register_name=name, value=9001)
    edit.ask(write, at_us=FINAL_US - 19, outcome=Outcome.OK)
    edit.ask(r.Read(register_name=name), at_us=FINAL_US - 9, outcome=Outcome.OK, value=last)
    return name


@MUTANTS.of("I7", "a register is not linearizable")
def two_swaps_won(edit: Edit) -> str:
    name, operations = edit.register()
    last = operations[-1].answered.value
    for number in (1, 2):
        swap = r.Swap(register_name=name, expected=last, value=9000 + number)
        edit.ask(swap, at_us=FINAL_US - 30 + 5 * number, outcome=Outcome.OK, matched=True)
    return name


@MUTANTS.of("I7", "a register is not linearizable")
def refused_write_is_read(edit: Edit) -> str:
    name, _ = edit.register()
    refused = r.Write(register_name=name, value=9009)
    edit.ask(refused, at_us=FINAL_US - 19, outcome=Outcome.REFUSED, code="no_leader")
    edit.ask(r.Read(register_name=name), at_us=FINAL_US - 9, outcome=Outcome.OK, value=9009)
    return name


# --- I8 -------------------------------------------------------------------


@MUTANTS.of("I8", "a node does not answer")
def node_silent_after_the_last_fault(edit: Edit) -> str:
    probed = edit.good.each(r.Probed)[1]
    edit.change(probed, answered=False)
    return probed.node


@MUTANTS.of("I8", "a node does not answer")
def node_answered_only_before_the_last_fault(edit: Edit) -> str:
    edit.drop(r.Probed, lambda one: one.node == "n3")
    edit.add(r.Probed, at_us=30_000, node="n3", answered=True)
    return "n3"


@MUTANTS.of("I8", "the backlog has not drained")
def backlog_left(edit: Edit) -> str:
    probed = edit.good.each(r.Probed)[0]
    edit.change(probed, backlog=3)
    return probed.node


@MUTANTS.of("I8", "nothing was accepted after a fault")
def cluster_takes_nothing_any_more(edit: Edit) -> str:
    fault = edit.good.faults[-1]
    fits(fault.ended is not None)
    late = {
        one.invoked.operation
        for _, one in edit.good.submissions
        if fault.ended is not None and one.invoked.at_us >= fault.ended.at_us
    }
    edit.change_each(
        r.Answered,
        lambda one: one.operation in late,
        lambda one: one.model_copy(update={"outcome": Outcome.UNKNOWN, "execution": ""}),
    )
    return str(fault.began.fault)


@MUTANTS.of("I8", "recovery took too long")
def recovery_over_its_bound(edit: Edit) -> str:
    bounds = edit.good.header.bounds.model_copy(update={"recovery_ms_max": 0})
    edit.change(edit.good.header, bounds=bounds)
    return "1"


# --- I9 -------------------------------------------------------------------


def grown(edit: Edit, **more: int) -> str:
    """A node uses more at the end than its base and the bound."""
    measured = first(one for one in edit.good.each(r.Measured) if one.moment == "end")
    edit.change(
        measured, **{name: getattr(measured, name) + number for name, number in more.items()}
    )
    return str(measured.node)


@MUTANTS.of("I9", "memory did not come back")
def memory_leaked(edit: Edit) -> str:
    return grown(edit, memory_bytes=200 * 2**20)


@MUTANTS.of("I9", "descriptors did not come back")
def descriptors_leaked(edit: Edit) -> str:
    return grown(edit, descriptors=50)


@MUTANTS.of("I9", "tasks did not come back")
def tasks_leaked(edit: Edit) -> str:
    return grown(edit, tasks=30)


@MUTANTS.of("I9", "disk did not come back")
def disk_not_given_back(edit: Edit) -> str:
    return grown(edit, disk_bytes=2 * 2**30)


@MUTANTS.of("I9", "the canary secret got out")
def secret_in_a_log(edit: Edit) -> str:
    searched = edit.good.each(r.Searched)[0]
    edit.change(searched, found=("line 12",))
    return searched.artefact
