"""The states of an execution as a picture, drawn from the one table.

The docs hold the result, and a test holds them to it. What stays true: the picture shows exactly
the transitions that the table has.
"""

from molecule.model.execution import TERMINAL, TRANSITIONS, ExecutionState


def state_diagram() -> str:
    """The transition table as the text of a mermaid state diagram, in the order of the enum."""
    lines = ["stateDiagram-v2", f"    [*] --> {ExecutionState.PENDING}"]
    lines += [
        f"    {state} --> {target}"
        for state in ExecutionState
        for target in ExecutionState
        if target in TRANSITIONS[state]
    ]
    lines += [f"    {state} --> [*]" for state in ExecutionState if state in TERMINAL]
    return "\n".join(lines) + "\n"
