"""The processes that the cluster tests run: small, and named by what they do to the target."""

import json
from pathlib import Path
from typing import Final

ENVIRONMENT: Final = "test"
NOWHERE: Final = "http://127.0.0.1:9"

_HEAD: Final = """molecule: 1
process: {process}
owner: tests@example.com
trigger: {{type: manual}}
"""

_TELL: Final = """  - id: {id}
    type: http.request
    connection: target
    method: POST
    path: "/told/${{name}}{suffix}"
    effect: once
    timeout: 5s
    output: keep
"""

_VERIFY: Final = """    verify:
      steps:
        - id: ask_{id}
          type: http.request
          connection: target
          path: "/told/${{name}}{suffix}"
          timeout: 5s
      done_if: status = 200
      not_done_if: status = 404
"""

NOTHING: Final = _HEAD.format(process="nothing") + "steps: [{id: note, type: log, message: ran}]\n"

ONCE: Final = (
    _HEAD.format(process="once") + "steps:\n" + (_TELL + _VERIFY).format(id="tell", suffix="")
)

BLIND: Final = _HEAD.format(process="blind") + "steps:\n" + _TELL.format(id="tell", suffix="")

TEN: Final = (
    _HEAD.format(process="ten")
    + "steps:\n"
    + "".join(
        (_TELL + _VERIFY).format(id=f"tell{number}", suffix=f"-{number}") for number in range(1, 11)
    )
)

KEEPS: Final = (
    _HEAD.format(process="keeps")
    + """steps:
  - {id: found, type: table.get, table: kept, key: name, missing: "null", output: {into: before}}
  - {id: keep, type: table.put, table: kept, key: name, value: {before: "${before}"}}
"""
)

READS: Final = (
    _HEAD.format(process="reads")
    + """steps:
  - id: read
    type: http.request
    connection: target
    path: "/read/${name}"
    timeout: 60s
"""
)

KEYED: Final = (
    _HEAD.format(process="keyed")
    + "options: {concurrency: {by: key, limit: 1}}\nsteps:\n"
    + (_TELL + _VERIFY).format(id="tell", suffix="")
)

NUMBERS: Final = (
    _HEAD.format(process="numbers")
    + "steps: [{id: shape, type: map, to: {minutes: $number(delay)}}]\n"
)

ENDLESS: Final = (
    _HEAD.format(process="endless")
    + """steps:
  - id: shape
    type: map
    to: {never: "($f := function($n) {$f($n + 1)}; $f(1))"}
"""
)

HUNGRY: Final = (
    _HEAD.format(process="hungry")
    + """steps:
  - id: shape
    type: map
    to: {much: "$map([1..9999999], function($n) {[1..9999999]})"}
"""
)

WAITS: Final = (
    _HEAD.format(process="waits")
    + "steps:\n"
    + (_TELL + _VERIFY).format(id="before", suffix="-before")
    + """  - {id: rest, type: wait, until: due}
"""
    + (_TELL + _VERIFY).format(id="behind", suffix="-behind")
)

AWAITS: Final = (
    _HEAD.format(process="awaits")
    + "steps:\n"
    + (_TELL + _VERIFY).format(id="before", suffix="-before")
    + """  - {id: answer, type: await, signal: approved, output: {into: answer}}
"""
    + (_TELL + _VERIFY).format(id="behind", suffix="-behind")
)

LATE: Final = (
    _HEAD.format(process="late")
    + """options: {timeout: 30s}
steps:
  - {id: answer, type: await, signal: never}
"""
)

FRAGILE: Final = (
    _HEAD.format(process="fragile")
    + "options: {concurrency: {by: key, limit: 1}}\nsteps:\n"
    + _TELL.format(id="tell", suffix="").replace("target", "fragile")
    + "    retry: {max: 4, first: 1s, cap: 1s}\n"
)

PACED: Final = (
    _HEAD.format(process="paced")
    + "steps:\n"
    + (_TELL + _VERIFY)
    .format(id="tell", suffix="")
    .replace("connection: target", "connection: paced")
)

LISTENS: Final = (
    _HEAD.format(process="listens").replace(
        "{type: manual}", '{type: http.listen, path: "/listens/{name}", timeout: 60s}'
    )
    + """steps:
  - {id: take, type: map, to: {name: $trigger.path.name}}
"""
    + (_TELL + _VERIFY).format(id="tell", suffix="")
)

RESPONDS: Final = (
    _HEAD.format(process="responds").replace(
        "{type: manual}", '{type: http.listen, path: "/responds/{name}", timeout: 60s}'
    )
    + """steps:
  - {id: take, type: map, to: {name: $trigger.path.name}}
  - {id: answer, type: respond, status: 202, headers: {x-name: "${name}"}, body: {at: "${name}"}}
"""
    + (_TELL + _VERIFY).format(id="tell", suffix="")
)

_VOLATILE: Final = "options: {durability: volatile}\n"

QUICK: Final = (
    _HEAD.format(process="quick") + _VOLATILE + "steps: [{id: note, type: log, message: ran}]\n"
)

LOOKS: Final = (
    _HEAD.format(process="looks")
    + _VOLATILE
    + """steps:
  - id: read
    type: http.request
    connection: target
    path: "/read/${name}"
    timeout: 60s
"""
)

ASKED: Final = (
    _HEAD.format(process="asked").replace(
        "{type: manual}", '{type: http.listen, path: "/asked/{name}", timeout: 60s}'
    )
    + _VOLATILE
    + """steps:
  - {id: take, type: map, to: {name: $trigger.path.name}}
  - {id: answer, type: respond, status: 202, headers: {x-name: "${name}"}, body: {at: "${name}"}}
  - id: read
    type: http.request
    connection: target
    path: "/read/${name}"
    timeout: 60s
"""
)

FILES: Final = """molecule: 1
process: files
owner: tests@example.com
trigger:
  type: file.watch
  connection: inbox
  pattern: "*.csv"
  format: csv
  per: document
  after: {completed: {move: done/}, failed: {move: failed/}}
steps:
""" + (_TELL + _VERIFY).format(id="tell", suffix="")


TICKS: Final = """molecule: 1
process: ticks
owner: tests@example.com
trigger: {type: schedule, every: 1s, missed: all}
steps:
  - id: name
    type: map
    to: {name: '"tick." & $replace($trigger.nominal, ":", "-")'}
""" + (_TELL + _VERIFY).format(id="tell", suffix="")


def ticking(*, target: str, is_on: bool) -> dict[str, str]:
    """Files of an environment in which something happens every second."""
    environment = {
        "environment": "ticking",
        "connections": {"target": {"base_url": target}},
        "triggers": {"ticks": "on" if is_on else "off"},
    }
    return {
        "processes/ticks.yaml": TICKS,
        "connections/target.yaml": "connection: target\nconnector: http\n",
        "environments/ticking.yaml": json.dumps(environment),
    }


def guarded(*, target: str) -> dict[str, str]:
    """Files of an environment whose one connection stays closed for long once it failed twice."""
    environment = {"environment": "guarded", "connections": {"guarded": {"base_url": target}}}
    return {
        "processes/guarded.yaml": _HEAD.format(process="guarded")
        + "steps:\n"
        + _TELL.format(id="tell", suffix="").replace("target", "guarded")
        + "    retry: {max: 4, first: 1s, cap: 1s}\n",
        "connections/guarded.yaml": (
            "connection: guarded\nconnector: http\nbreaker: {failures: 2, within: 60s, open: 1h}\n"
        ),
        "environments/guarded.yaml": json.dumps(environment),
    }


def repository(*, target: str, inbox: Path, fragile: str = NOWHERE) -> dict[str, str]:
    """The files to apply."""
    processes = {
        "nothing": NOTHING,
        "once": ONCE,
        "blind": BLIND,
        "ten": TEN,
        "reads": READS,
        "keyed": KEYED,
        "numbers": NUMBERS,
        "endless": ENDLESS,
        "hungry": HUNGRY,
        "files": FILES,
        "waits": WAITS,
        "awaits": AWAITS,
        "late": LATE,
        "keeps": KEEPS,
        "fragile": FRAGILE,
        "paced": PACED,
        "listens": LISTENS,
        "responds": RESPONDS,
        "quick": QUICK,
        "looks": LOOKS,
        "asked": ASKED,
    }
    environment = {
        "environment": ENVIRONMENT,
        "connections": {
            "target": {"base_url": target},
            "fragile": {"base_url": fragile},
            "paced": {"base_url": fragile},
            "inbox": {"root": str(inbox)},
        },
        "triggers": {"files": "on", "listens": "on", "responds": "on", "asked": "on"},
    }
    return {
        **{f"processes/{name}.yaml": text for name, text in processes.items()},
        "connections/target.yaml": "connection: target\nconnector: http\noptions: {pool: 200}\n",
        "connections/fragile.yaml": (
            "connection: fragile\nconnector: http\nbreaker: {failures: 3, within: 60s, open: 2s}\n"
        ),
        "connections/paced.yaml": (
            "connection: paced\nconnector: http\nrate: {limit: 4, per: 1s}\n"
        ),
        "connections/inbox.yaml": "connection: inbox\nconnector: file\n",
        f"environments/{ENVIRONMENT}.yaml": json.dumps(environment),
    }
