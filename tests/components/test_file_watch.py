"""`file.watch` over real folders, with a cluster in memory and a trigger that dies anywhere."""

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from molecule.component.contract import Stamp, Trigger
from molecule.config import Limits
from molecule.definition.parse import parse_process
from molecule.expression.expression import data_error
from molecule.model.document import Document
from molecule.model.errors import NotFound
from tests.components.calls import REGISTRY, a_client
from tests.components.files import Cluster, Context, Died, Idle

CSV = "carrier,delay\n" + "".join(f"UA,{number}\n" for number in range(2500))


def a_trigger(**fields: str) -> Trigger:
    wanted = {
        "pattern": "flights-*.csv",
        "per": "document",
        "after": "{completed: {move: done/}, failed: {move: failed/}}",
        **fields,
    }
    body = "\n".join(f"  {name}: {value}" for name, value in wanted.items())
    text = (
        f"molecule: 1\nprocess: late\ntrigger:\n  type: file.watch\n  connection: inbox\n{body}\n"
        "steps: [{id: a, type: stop}]\n"
    )
    parsed = parse_process(text.encode(), "p.yaml", REGISTRY, Limits())
    assert parsed.definition is not None, [str(finding) for finding in parsed.findings]
    made: Trigger = parsed.definition.trigger.component
    return made


async def live(
    root: Path, cluster: Cluster, trigger: Trigger | None = None, **context: Any
) -> Context:
    """One life of the trigger, until it idles or dies."""
    found = Context(cluster, a_client("file", f"{{root: {root}}}"), **context)
    try:
        await (trigger or a_trigger()).run(found)
    except* (Idle, Died):
        pass
    return found


def names(root: Path) -> list[str]:
    return sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and ".molecule" not in path.parts
    )


def notes(root: Path) -> list[str]:
    return [path.name for path in (root / ".molecule").rglob("*") if path.is_file()]


async def test_each_record_is_one_execution_with_its_key_and_place(tmp_path: Path) -> None:
    (tmp_path / "flights-1.csv").write_text("carrier,delay\nUA,1\nAA,2\n")
    cluster = Cluster()
    await live(tmp_path, cluster)
    digest = hashlib.sha256(b"carrier,delay\nUA,1\nAA,2\n").hexdigest()
    assert list(cluster.executions) == [f"dev/late/{digest}/0", f"dev/late/{digest}/1"]
    second = cluster.executions[f"dev/late/{digest}/1"].documents[0]
    assert second.value == {"carrier": "AA", "delay": "2"}
    assert second.properties["trigger"] == {
        "name": "file.watch",
        "file": "flights-1.csv",
        "record": 1,
        "line": 3,
    }


async def test_a_packed_file_is_read_in_batches_and_moved_when_all_are_terminal(
    tmp_path: Path,
) -> None:
    (tmp_path / "flights-1.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    trigger = a_trigger(pattern="flights-*.csv.gz", compression="gzip")
    cluster = Cluster()
    await live(tmp_path, cluster, trigger)
    assert len(cluster.executions) == 2500
    assert names(tmp_path) == ["flights-1.csv.gz"]
    cluster.finished = True
    await live(tmp_path, cluster, trigger)
    assert names(tmp_path) == ["done/flights-1.csv.gz"]
    assert len(cluster.settled) == 1
    assert notes(tmp_path) == []


async def test_a_trigger_that_dies_at_any_call_doubles_and_loses_nothing(tmp_path: Path) -> None:
    for dies_at in range(60):
        root = tmp_path / str(dies_at)
        root.mkdir()
        (root / "flights-1.csv").write_text(CSV)
        cluster = Cluster(finished=True)
        first = await live(root, cluster, dies_at=dies_at)
        assert len(cluster.values()) <= 2500
        await live(root, cluster)
        delays = [int(value["delay"]) for value in cluster.values()]
        assert delays == list(range(2500))
        assert names(root) == ["done/flights-1.csv"]
        assert cluster.groups == {}
        assert notes(root) == []
        if first.calls < dies_at:
            break
    else:
        pytest.fail("the life has more calls than were tried")


async def test_a_successor_goes_on_where_the_group_stands(tmp_path: Path) -> None:
    (tmp_path / "flights-1.csv").write_text(CSV)
    cluster = Cluster()
    await live(tmp_path, cluster, dies_at=4)
    (group,) = cluster.groups.values()
    assert (group.through, group.closed) == (1000, False)
    taken = list(cluster.executions)
    successor = Cluster(groups=cluster.groups)
    await live(tmp_path, successor)
    assert len(successor.executions) == 1500
    assert not set(taken) & set(successor.executions)


async def test_a_move_made_by_a_dead_predecessor_is_recognised(tmp_path: Path) -> None:
    root, cluster, dies_at = tmp_path, Cluster(), -1
    while not (root / "done").exists():  # dies at each call, until one is just after the move
        dies_at += 1
        root, cluster = tmp_path / str(dies_at), Cluster(finished=True)
        root.mkdir()
        (root / "flights-1.csv").write_text("a,b\n1,2\n")
        await live(root, cluster, dies_at=dies_at)
    assert cluster.settled == []
    assert len(notes(root)) == 1
    await live(root, cluster)
    assert len(cluster.settled) == 1
    assert notes(root) == []


async def test_bad_rows_are_kept_apart_with_line_and_reason_and_the_rest_goes_on(
    tmp_path: Path,
) -> None:
    rows = b'a,b\n1,2\n3\n\xff,4\n"5,6\n7,8\n'
    (tmp_path / "flights-1.csv").write_bytes(rows)
    cluster = Cluster(finished=True)
    await live(tmp_path, cluster)
    assert cluster.values() == [{"a": "1", "b": "2"}, {"a": "7", "b": "8"}]
    assert [place for place, _ in cluster.bad] == [
        "flights-1.csv:3",
        "flights-1.csv:4",
        "flights-1.csv:5",
    ]
    assert [reason.split(":")[0] for _, reason in cluster.bad] == [
        "1 fields, the header has 2",
        "not utf-8",
        "not CSV",
    ]
    assert names(tmp_path) == ["done/flights-1.csv"]


@dataclass
class NarrowDoor:
    def stamp(self, documents: Sequence[Document], *, now_ms: int) -> Stamp:
        del now_ms
        if documents[0].value["a"] == "NA":
            raise data_error("options.concurrency.by: a must give a text", field="by")
        return Stamp(documents[0].value["a"])


async def test_a_record_that_the_door_refuses_is_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "flights-1.csv").write_text("a\nx\nNA\ny\n")
    cluster = Cluster(finished=True)
    await live(tmp_path, cluster, door=NarrowDoor())
    assert [s.stamp.concurrency_key for s in cluster.executions.values()] == ["x", "y"]
    assert cluster.bad == [("flights-1.csv:3", "options.concurrency.by: a must give a text")]


async def test_a_file_with_a_failed_execution_goes_to_failed(tmp_path: Path) -> None:
    (tmp_path / "flights-1.csv").write_text("a\nx\ny\n")
    cluster = Cluster()
    await live(tmp_path, cluster)
    cluster.failed = {next(iter(cluster.executions))}
    cluster.finished = True
    await live(tmp_path, cluster)
    assert names(tmp_path) == ["failed/flights-1.csv"]


@pytest.mark.parametrize(
    ("content", "kept", "told"),
    [
        (b"", 0, "must name each column once"),
        (b"a,a\n1,2\n", 0, "must name each column once"),
        (gzip.compress(CSV.encode())[:-200], 2000, "ends too early"),
        (b"no gzip at all", 0, "not gzip"),
    ],
)
async def test_a_file_that_cannot_be_read_goes_to_failed_with_what_was_good(
    tmp_path: Path, content: bytes, kept: int, told: str
) -> None:
    packed = content[:2] == b"\x1f\x8b" or content.startswith(b"no")
    (tmp_path / "flights-1.csv").write_bytes(content)
    cluster = Cluster(finished=True)
    await live(tmp_path, cluster, a_trigger(compression="gzip" if packed else "none"))
    assert len(cluster.executions) >= kept
    assert told in cluster.bad[-1][1]
    assert names(tmp_path) == ["failed/flights-1.csv"]


async def test_per_event_the_whole_file_is_one_execution(tmp_path: Path) -> None:
    (tmp_path / "flights-1.csv").write_text("a\nx\ny\nz,z\n")
    cluster = Cluster(finished=True)
    await live(tmp_path, cluster, a_trigger(per="event"))
    (submission,) = cluster.executions.values()
    assert [(d.id, d.value) for d in submission.documents] == [("0", {"a": "x"}), ("1", {"a": "y"})]
    assert len(cluster.bad) == 1
    assert names(tmp_path) == ["done/flights-1.csv"]


async def test_a_file_that_the_cluster_will_never_accept_goes_to_failed(tmp_path: Path) -> None:
    (tmp_path / "flights-1.csv").write_text("a\nx\n")
    cluster = Cluster(finished=True, accepts_max=0)
    await live(tmp_path, cluster, a_trigger(per="event"))
    assert cluster.bad == [("flights-1.csv", "limit_exceeded: too many")]
    assert names(tmp_path) == ["failed/flights-1.csv"]


async def test_elements_of_a_json_list_are_records(tmp_path: Path) -> None:
    (tmp_path / "flights-1.csv").write_text('[{"a": 1}, {"a": 2}]')
    cluster = Cluster()
    await live(tmp_path, cluster, a_trigger(format="json"))
    assert cluster.values() == [{"a": 1}, {"a": 2}]


async def test_a_file_must_rest_before_it_is_taken(tmp_path: Path) -> None:
    (tmp_path / "flights-1.csv").write_text("a\nx\n")
    cluster = Cluster()
    await live(tmp_path, cluster, a_trigger(stable_for="10s"), rounds=10)
    assert cluster.executions == {}
    await live(tmp_path, cluster, a_trigger(stable_for="10s"), rounds=13)
    assert len(cluster.executions) == 1


async def test_other_names_folders_and_hidden_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a\nx\n")
    (tmp_path / "flights-folder.csv").mkdir()
    (tmp_path / "target").write_text("a\nx\n")
    (tmp_path / "flights-link.csv").symlink_to(tmp_path / "target")
    cluster = Cluster(finished=True)
    await live(tmp_path, cluster)
    assert cluster.executions == {}


async def test_a_second_file_of_the_same_name_does_not_replace_the_first(tmp_path: Path) -> None:
    cluster = Cluster(finished=True)
    for content in ("a\nx\n", "a\ny\n"):
        (tmp_path / "flights-1.csv").write_text(content)
        await live(tmp_path, cluster)
    digest = hashlib.sha256(b"a\ny\n").hexdigest()
    assert names(tmp_path) == [f"done/{digest[:8]}-flights-1.csv", "done/flights-1.csv"]
    assert cluster.values() == [{"a": "x"}, {"a": "y"}]


async def test_two_files_of_the_same_content_are_the_same_executions(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"flights-{number}.csv").write_text("a\nx\n")
    cluster = Cluster(finished=True)
    await live(tmp_path, cluster, rounds=8)
    assert len(cluster.executions) == 1
    assert names(tmp_path) == ["done/flights-1.csv", "done/flights-2.csv"]


async def test_a_folder_that_is_not_there_is_no_folder_without_files(tmp_path: Path) -> None:
    cluster, root = Cluster(finished=True), tmp_path / "later"
    with pytest.raises(NotFound, match=f"{root} cannot be listed: No such file"):
        await live(root, cluster)
    # Whoever runs it begins again after a pause.
    root.mkdir()
    (root / "flights-1.csv").write_text("a\nx\n")
    await live(root, cluster)
    assert names(root) == ["done/flights-1.csv"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"after": "{completed: {move: done/}}"}, "needs completed and failed"),
        ({"after": "{completed: {move: /x}, failed: {move: y}}"}, "below the root"),
        ({"after": "{completed: {move: ../x}, failed: {move: y}}"}, "leaves the root"),
        ({"after": "{completed: {delete: true}, failed: {move: y}}"}, "needs {move"),
        ({"pattern": "in/flights.csv"}, "without folders"),
        ({"every": "0s"}, "longer than nothing"),
        ({"per": "batch"}, "must be one of document, event"),
    ],
)
def test_bad_settings_are_refused(fields: dict[str, str], told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        a_trigger(**fields)
