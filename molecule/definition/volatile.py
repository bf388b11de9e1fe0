"""What a process with `durability: volatile` must not have.

Its executions run and are answered, and nothing of them is kept, so all that needs something kept
is refused. What must stay true: a process that passes here leaves no trace outside, whatever step
of it runs how often.
"""

from collections.abc import Sequence
from typing import Final

from molecule.definition.definition import (
    OnError,
    Options,
    ProcessDefinition,
    StepNode,
    TriggerNode,
)
from molecule.definition.reading import Reader
from molecule.definition.yaml_guard import Node
from molecule.model.effect import Effect
from molecule.model.errors import Finding
from molecule.model.gate import GatePolicy

VOLATILE: Final = "volatile"
_KEEPS: Final = ("durability", "timeout")
"""The options that mean something without a record of the execution."""
_WITH: Final = "with durability: volatile"
_INSTEAD: Final = "remove durability, or remove it"


def check(
    root: Node,
    reader: Reader,
    *,
    options: Options,
    trigger: TriggerNode | None,
    steps: Sequence[StepNode],
    file: str,
) -> None:
    """A fault for each option, trigger and step, however deep, that a volatile process cannot have.

    Steps of called processes are told where the option stands, with their path.
    """
    if options.durability != VOLATILE:
        return
    written = root.items["options"]
    for name, node in written.items.items():
        if name not in _KEEPS:
            what = f"has no effect {_WITH}: nothing of its executions is kept"
            reader.fault(node, f"options.{name}", what, _INSTEAD)
    if trigger is not None:
        _check_trigger(root, reader, trigger)
    here = written.items["durability"]
    for top in steps:
        for step in top.all_steps():
            found = _refused(step)
            if found is not None:
                is_own = step.place.file == file
                node = Node("scalar", step.place.line, step.place.column) if is_own else here
                reader.fault(node, f"step {step.path} ({step.type})", *found)


def _check_trigger(root: Node, reader: Reader, trigger: TriggerNode) -> None:
    node = root.items.get("trigger", root)
    listening = trigger.listening
    if trigger.consumes:
        what = f"{trigger.type} starts executions that nobody waits for; {_WITH} somebody must wait"
        reader.fault(node, "trigger", what, "use manual or http.listen, or remove durability")
    if listening is not None and listening.reply != "result":
        what = f"must be result {_WITH}: the caller waits"
        reader.fault(node.items.get("reply", node), "trigger.reply", what)
    if "dedup" in node.items:
        what = f"has no effect {_WITH}: no key is remembered"
        reader.fault(node.items["dedup"], "trigger.dedup", what, _INSTEAD)


def _refused(step: StepNode) -> tuple[str, str] | None:
    if step.effect is not Effect.PURE:
        what = f"has the effect {step.effect}; {_WITH} steps only read"
        return what, "remove durability; if the target only reads, write effect: pure"
    if step.spec.inside == "cluster":
        return f"goes through the log of the cluster, which {VOLATILE} executions never do", ""
    if step.spec.waits:
        return f"waits, which executions {_WITH} cannot: nothing of them is kept meanwhile", ""
    if step.on_error is OnError.DEAD_LETTER:
        return f"on_error: dead_letter keeps a document; {_WITH} nothing is kept", ""
    return None


def check_gates(
    definition: ProcessDefinition, gates: Sequence[GatePolicy], findings: list[Finding]
) -> None:
    """A fault for each connection whose calls are counted in the log."""
    if definition.options.durability != VOLATILE:
        return
    for gate in gates:
        if gate.is_gated:
            place = definition.trigger.place
            what = f"the connection {gate.connection} has a breaker or a rate, which are counted in"
            what += f" the log of the cluster; {VOLATILE} executions never go through it"
            hint = "use a connection without them, or remove durability"
            where = "options.durability"
            findings.append(Finding(definition.file, place.line, place.column, where, what, hint))
