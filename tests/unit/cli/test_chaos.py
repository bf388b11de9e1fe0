"""`molecule chaos` as its users meet it: what it lists, and everything that it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from molecule.chaos import healing
from molecule.chaos.history import FILE, line_of
from molecule.cli import chaos_guard, local_files
from molecule.cli import context as contexts
from molecule.cli.local import LocalCluster
from molecule.cli.local_files import Layout
from molecule.cli.local_process import ProcessMark
from tests.fakes.door import FakeDoor
from tests.unit.cli.conftest import Shell
from tests.unit.staging.histories import Story, good

NODES = [{"id": f"n{number}", "up": True, "incarnation": 1} for number in (1, 2, 3)]
STATUS = {
    "cluster": "staging",
    "leader": "n1",
    "epoch": 1,
    "index": 1,
    "time_ms": 0,
    "voters": ["n1", "n2", "n3"],
    "learners": [],
    "may_lose_voters": 1,
    "nodes": NODES,
    "counts": {},
    "totals": {},
    "accepted": 0,
    "conservation": {},
    "conservation_gap": 0,
    "groups": [],
}
HOOK = {"begin": ["true", "{node}"], "end": ["true", "{node}"]}


@pytest.fixture(autouse=True)
def status(door: FakeDoor) -> None:
    door.resources["cluster"] = STATUS


def context(shell: Shell, **fields: Any) -> None:
    path = shell.folder / ".molecule" / "context.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_cluster_elsewhere_without_hooks_can_be_broken_by_nothing(shell: Shell) -> None:
    said = shell.run("chaos", "list", "-o", "json")

    rows = {row["fault"]: row for row in json.loads(said.out)["items"]}
    assert list(rows) == ["kill", "kill_worker", "freeze", "partition"]
    assert not any(row["possible"] for row in rows.values())
    assert "has no hook `kill`" in rows["kill"]["why"]


def test_hooks_make_faults_possible(shell: Shell) -> None:
    context(shell, chaos={"hooks": {"partition": HOOK}})

    said = shell.run("chaos", "list", "-o", "json")

    row = json.loads(said.out)["items"][3]
    assert (row["possible"], row["by"], row["nodes"]) == (True, "hook", ["n1", "n2", "n3"])


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf", "-inf"])
def test_a_run_without_a_length_is_refused(shell: Shell, minutes: str) -> None:
    said = shell.run("chaos", "run", f"--minutes={minutes}")

    assert said.code == 2
    assert "is no length of time" in said.talk
    assert shell.nodes.asked == []


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        (["--faults", "flood"], "there is no fault 'flood'"),
        (["--faults", "kill,"], "there is no fault ''"),
        (["--faults", "kill,freeze"], "freeze cannot be made from here"),
        (["--cluster", "other"], "this is the cluster staging, not other"),
        (["--process", "orders"], "names no environment"),
        (["--environment", "dev"], "go with --process"),
        (["--process", "p", "--environment", "e", "--input", "{"], "--input is not JSON"),
        (["--minutes", "many"], "many"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_broken(
    shell: Shell, tokens: list[str], told: str
) -> None:
    context(shell, chaos={"hooks": {"kill": HOOK}})

    said = shell.run("chaos", "run", *tokens)

    assert said.code == 2
    assert told in said.talk
    assert not list(shell.folder.glob("chaos-*"))


def test_nothing_that_can_be_made_is_a_failure(shell: Shell) -> None:
    said = shell.run("chaos", "run")

    assert said.code == 1
    assert "no fault can be made from here" in said.talk


@pytest.mark.parametrize(
    "tokens", [[], ["--production"], ["--cluster", "staging"], ["--production", "--cluster", "x"]]
)
def test_production_is_refused_unless_told_twice(shell: Shell, tokens: list[str]) -> None:
    context(shell, production=True, chaos={"hooks": {"kill": HOOK}})

    said = shell.run("chaos", "run", *tokens)

    assert said.code == 2
    assert "marked as production" in said.talk or "this is the cluster staging" in said.talk


def test_production_is_let_through_when_told_twice(shell: Shell) -> None:
    context(shell, production=True)

    said = shell.run("chaos", "run", "--production", "--cluster", "staging")

    assert "no fault can be made from here" in said.talk


def test_a_production_mark_that_is_none_is_refused(shell: Shell) -> None:
    context(shell, production="yes")

    said = shell.run("chaos", "run")

    assert said.code == 2
    assert "`production` must be true or false" in said.talk


def test_wrong_hooks_are_told_with_their_place(shell: Shell) -> None:
    context(shell, chaos={"hooks": {"kill": {"begin": ["true"], "end": ["true"]}}})

    said = shell.run("chaos", "list")

    assert said.code == 2
    assert "`chaos.hooks.kill.begin` must name the node" in said.talk


def test_an_earlier_record_is_not_overwritten(shell: Shell) -> None:
    context(shell, chaos={"hooks": {"kill": HOOK}})
    folder = shell.folder / "chaos-5"
    folder.mkdir()
    (folder / FILE).write_text("mine")

    said = shell.run("chaos", "run", "--seed", "5")

    assert said.code == 2
    assert "holds the history of an earlier run" in said.talk
    assert (folder / FILE).read_text() == "mine"


def test_a_run_beside_another_one_is_refused(shell: Shell) -> None:
    context(shell, chaos={"hooks": {"kill": HOOK}})
    with healing.Sheet(healing.place(str(shell.folder / ".molecule" / "context.json"))):
        said = shell.run("chaos", "run")

    assert said.code == 1
    assert "breaks this cluster at the moment" in said.talk


def test_nothing_left_is_said(shell: Shell) -> None:
    said = shell.run("chaos", "heal")

    assert (said.code, said.talk) == (0, "nothing is left to heal\n")


def recorded(folder: Path, **closing: Any) -> None:
    folder.mkdir()
    story = Story()
    story.records = good()
    records = story.close(**closing).records
    (folder / FILE).write_text("".join(line_of(record) for record in records))


def test_a_report_is_written_beside_the_history(shell: Shell) -> None:
    recorded(shell.folder / "run")

    said = shell.run("chaos", "report", "run")

    assert said.code == 0
    assert "verdict         kept" in said.out
    assert json.loads((shell.folder / "run" / "report.json").read_text())["seed"] == 7
    assert (shell.folder / "run" / "report.html").read_text().startswith("<!doctype html>")


def test_a_report_of_an_interrupted_run_ends_with_three(shell: Shell) -> None:
    recorded(shell.folder / "run", interrupted=True)

    said = shell.run("chaos", "report", "run", "-o", "json")

    assert said.code == 3
    assert json.loads(said.out)["lacks"] == ["the run was interrupted"]


def test_a_report_of_nothing_is_wrong_usage(shell: Shell) -> None:
    said = shell.run("chaos", "report", "nowhere")

    assert said.code == 2
    assert "there is no history of a run in nowhere" in said.talk


def test_a_report_of_a_broken_history_is_a_failure(shell: Shell) -> None:
    (shell.folder / FILE).write_text("{}\n")

    said = shell.run("chaos", "report", ".")

    assert said.code == 1
    assert "line 1" in said.talk


def test_only_nodes_of_the_cluster_that_is_meant_are_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = LocalCluster(local_files.make((tmp_path / "c").resolve(), Layout(worker_nodes=1)))
    monkeypatch.setattr(LocalCluster, "mark", lambda *_: ProcessMark(1, 1))
    path = local.place.folder / local_files.CONTEXT_FILE
    ours = contexts.load(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"urls": ["https://elsewhere:1"]}))
    edited = contexts.load(path)

    reached = chaos_guard.here(ours, local, lose_majority=False)
    unreached = chaos_guard.here(edited, local, lose_majority=False)

    assert reached.local == {"n1", "n2", "n3", "n4"}
    assert unreached.local == frozenset()


def test_what_people_add_to_a_context_outlives_a_change_of_members(tmp_path: Path) -> None:
    place = local_files.make(tmp_path / "cluster", Layout())
    path = place.folder / local_files.CONTEXT_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"production": True}))

    local_files.forget(place.folder, "n3")

    told = json.loads(path.read_text())
    assert told["production"] is True
    assert len(told["urls"]) == 2
