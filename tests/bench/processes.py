"""The processes of the workloads, as the repository that is applied to the cluster."""

import json
from typing import Final

ENVIRONMENT: Final = "bench"
BACKLOG_PROCESSES: Final = 20

_HEAD: Final = """molecule: 1
process: {name}
owner: bench@example.com
trigger: {{type: manual}}
"""

_TOUCH: Final = "  - {id: touch, type: bench.touch, connection: nothing}\n"
_LOOK: Final = "  - {id: look, type: bench.look, connection: nothing}\n"

_STEPS: Final = {
    # Nothing is evaluated, nothing is sent.
    "noop": "steps: [{id: nothing, type: log, message: done}]\n",
    # The effect is committed with the end of the attempt, which follows at once.
    "touched": "steps:\n" + _TOUCH,
    # The look may leave only after a checkpoint holds the touch: an entry of its own.
    "onestep": "steps:\n" + _TOUCH + _LOOK,
    "held": """steps:
  - id: ask
    type: http.request
    connection: target
    path: "/held/${name}"
    timeout: 120s
""",
}

_BACKLOG: Final = """options: {concurrency: {by: key, limit: 1}}
steps:
  - id: gate
    type: http.request
    connection: target
    method: POST
    path: "/doubt/${key}"
    when: blocks
    effect: once
    output: keep
    retry: {max: 0}
    timeout: 20s
"""


def backlog_name(number: int) -> str:
    """The name of one of the processes that the backlog is spread over."""
    return f"backlog{number}"


def repository(*, target: str) -> dict[str, str]:
    """Files to apply; `target` is the address of the bench's own target."""
    steps = dict(_STEPS)
    for number in range(BACKLOG_PROCESSES):
        steps[backlog_name(number)] = _BACKLOG
    environment = {"environment": ENVIRONMENT, "connections": {"target": {"base_url": target}}}
    return {
        **{
            f"processes/{name}.yaml": _HEAD.format(name=name) + text for name, text in steps.items()
        },
        "connections/target.yaml": "connection: target\nconnector: http\noptions: {pool: 500}\n",
        "connections/nothing.yaml": "connection: nothing\nconnector: bench\n",
        f"environments/{ENVIRONMENT}.yaml": json.dumps(environment),
    }
