"""What commands print and ask for."""

import io
import json
from pathlib import Path

import httpx2
import pytest
import yaml

from tests.fakes.door import FakeDoor, an_execution
from tests.unit.cli.conftest import Shell

NODE = {
    "id": "n1",
    "incarnation": 3,
    "up": True,
    "draining": False,
    "drained": False,
    "drain_at_ms": 0,
    "drain_until_ms": 0,
    "drain_actor": "",
    "leader": True,
    "voter": True,
    "signs": True,
    "labels": {"zone": "a"},
    "zone": "",
    "slots": 128,
    "held": 4,
    "triggers": 0,
    "rpc_address": "127.0.0.1:7400",
    "http_address": "127.0.0.1:7443",
    "software": "0.1.0",
    "registered_at_ms": 0,
    "lost_at_ms": 0,
    "lost_reason": "",
}


def test_submit_prints_the_execution_as_facts(shell: Shell) -> None:
    said = shell.run("execution", "submit", "echo", "--input", '{"a": 1}', "--key", "k1")

    assert said.code == 0
    assert said.talk == ""
    assert said.out == (
        "idempotency_key  k1\nexecution        e1\nstate            ASSIGNED\nrepeated_key     no\n"
    )


def test_submit_with_wait_prints_the_documents_as_json(shell: Shell) -> None:
    said = shell.run("execution", "submit", "echo", "--input", "7", "--wait", "5s", "-o", "json")

    told = json.loads(said.out)
    assert said.code == 0
    assert (told["state"], told["documents"][0]["value"]) == ("COMPLETED", 7)


def test_documents_of_a_result_are_printed_as_json_lines(shell: Shell) -> None:
    Path("two.json").write_text('[{"hello": "Ada"}, null]')
    said = shell.run("execution", "submit", "echo", "-f", "two.json", "--wait", "5s")

    assert said.out.endswith('documents:\n  {"hello":"Ada"}\n  null\n')


def test_submit_that_is_not_over_in_time_ends_with_3_and_says_how_to_go_on(
    shell: Shell, door: FakeDoor
) -> None:
    door.ends = False
    said = shell.run("execution", "submit", "echo", "--wait", "1s")

    assert said.code == 3
    assert said.talk == "still ASSIGNED: molecule execution follow e1\n"


def test_long_wait_is_made_of_several_calls(shell: Shell, door: FakeDoor) -> None:
    door.ends = False
    said = shell.run("execution", "submit", "echo", "--wait", "70s")

    assert said.code == 3
    assert [call for _, call in shell.nodes.asked] == [
        "POST /api/v1/executions",
        "GET /api/v1/executions/e1/result",
        "GET /api/v1/executions/e1/result",
    ]


def test_submit_each_makes_one_execution_per_line(shell: Shell, door: FakeDoor) -> None:
    Path("flights.jsonl").write_text('{"a": 1}\n\n{"a": 2}\n')
    said = shell.run("execution", "submit", "echo", "-f", "flights.jsonl", "--each", "--key", "k")

    told = "accepted       2\nknown_already  0\nrefused        0\nkey            k\n"
    assert (said.code, said.out) == (0, told)
    assert sorted(door.keys) == ["k/0", "k/1"]


def test_submit_each_that_is_refused_in_part_ends_with_1(shell: Shell, door: FakeDoor) -> None:
    shell.run("execution", "submit", "echo", "--input", "0", "--key", "k/1")
    Path("two.json").write_text("[1, 2]")
    said = shell.run("execution", "submit", "echo", "-f", "two.json", "--each", "--key", "k")

    assert said.code == 1
    assert said.talk == "k/1: key k/1 was used with another body\n"


def test_list_prints_a_table_and_where_the_next_page_begins(shell: Shell, door: FakeDoor) -> None:
    door.resources["executions"] = {"items": [an_execution()], "next": "active:4"}
    said = shell.run("execution", "list", "--state", "completed", "--track", "plane=N14228")

    heading, _, row = said.out.splitlines()
    assert heading.split() == [
        *("id", "process", "environment", "durability", "state", "node", "attempts", "accepted")
    ]
    assert row.split() == [
        *("e1", "echo", "dev", "durable", "COMPLETED", "n1", "1", "2025-10-09", "08:53:20.000Z")
    ]
    assert said.talk == "there is more: add --cursor active:4\n"
    assert dict(door.calls[0].query) == {
        "state": "COMPLETED",
        "track.plane": "N14228",
        "limit": "50",
    }


def test_list_of_nothing_says_none_on_stderr(shell: Shell, door: FakeDoor) -> None:
    door.resources["executions"] = {"items": [], "next": None}
    said = shell.run("execution", "list")

    assert (said.code, said.out, said.talk) == (0, "", "none\n")


def test_show_prints_yaml(shell: Shell, door: FakeDoor) -> None:
    door.resources["execution/e1"] = an_execution()
    said = shell.run("execution", "show", "e1", "-o", "yaml")

    assert yaml.safe_load(said.out) == an_execution()


def test_follow_ends_with_the_execution(shell: Shell, door: FakeDoor) -> None:
    shell.run("execution", "submit", "echo")
    row = {"index": 5, "number": 0, "at_ms": 0, "kind": "ended", "node": ""} | {
        "token": 0,
        "attempt": 1,
    }
    door.resources["timeline/e1"] = {"items": [row], "next": None}
    said = shell.run("execution", "follow", "e1")

    assert said.code == 0
    assert said.out == "-       5 -#1 token=0        ended\n"
    assert said.talk == "e1 is COMPLETED\n"


def test_cancel_needs_yes_when_nobody_can_be_asked(shell: Shell, door: FakeDoor) -> None:
    said = shell.run("execution", "cancel", "e1")

    assert said.code == 2
    assert said.talk == (
        "error: Cancel e1? What it has done outside stays done. Nobody can be asked here\n"
        "  next: add --yes to do it without asking\n"
    )
    assert door.calls == []


@pytest.mark.parametrize("action", ["release", "fail"])
def test_what_is_parked_is_let_go_or_given_up_with_a_reason(
    shell: Shell, door: FakeDoor, action: str
) -> None:
    door.resources[f"{action}/e1"] = an_execution(state="PENDING")
    unsure = shell.run("execution", action, "e1")
    said = shell.run("execution", action, "e1", "--reason", "mended the target", "--yes")

    assert (unsure.code, said.code) == (2, 0)
    (call,) = door.calls
    assert (call.action, json.loads(call.json)) == (action, {"reason": "mended the target"})


def test_retry_submits_a_new_execution_under_a_key(shell: Shell, door: FakeDoor) -> None:
    said = shell.run("execution", "retry", "e7", "--key", "again")

    assert said.code == 0
    (call,) = door.calls
    assert (call.retry_of, call.submissions[0].idempotency_key) == ("e7", "again")


def test_resolve_sends_the_answers(shell: Shell, door: FakeDoor) -> None:
    door.resources["resolve/e1"] = an_execution(state="PENDING")
    said = shell.run(
        *("execution", "resolve", "e1", "--answer", "e1/tell/0=done"),
        *("--answer", "e1/tell/1=not_done", "--reason", "asked them", "--yes"),
    )

    assert said.code == 0
    assert json.loads(door.calls[0].json) == {
        "answers": [
            {"effect": "e1/tell/0", "answer": "done"},
            {"effect": "e1/tell/1", "answer": "not_done"},
        ],
        "reason": "asked them",
    }


def test_signal_sends_the_payload_under_a_key(shell: Shell, door: FakeDoor) -> None:
    door.resources["signal/e1"] = {"execution": "e1", "signal": "approved"}
    said = shell.run(
        *("execution", "signal", "e1", "approved", "--input", '{"by": "ann"}'),
        *("--correlation", "order-7", "--key", "k9"),
    )

    assert said.code == 0
    named = {"name": "approved", "key": "k9", "correlation": "order-7"}
    assert json.loads(door.calls[0].json) == {**named, "value": {"by": "ann"}}


def test_signal_without_a_payload_tells_null(shell: Shell, door: FakeDoor) -> None:
    door.resources["signal/e1"] = {"execution": "e1", "signal": "go"}
    assert shell.run("execution", "signal", "e1", "go").code == 0
    assert json.loads(door.calls[0].json)["value"] is None


@pytest.mark.parametrize("option", ["-f", "--file"])
def test_a_lonely_hyphen_is_standard_input(
    shell: Shell, door: FakeDoor, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    door.resources["signal/e1"] = {"execution": "e1", "signal": "go"}
    for command in (["execution", "submit", "echo"], ["execution", "signal", "e1", "go"]):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"from": "a pipe"}')))
        assert shell.run(*command, option, "-").code == 0
    assert json.loads(door.calls[-1].json)["value"] == {"from": "a pipe"}


def test_apply_sends_the_files_of_one_environment(shell: Shell, door: FakeDoor) -> None:
    for name in ("processes/ops/a.yaml", "tables/t.csv", "environments/dev.yaml", "README.md"):
        path = shell.folder / "repo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (shell.folder / "repo/environments/prod.yaml").write_text("no")
    (shell.folder / "repo/processes/.a.yaml.swp").write_text("no")
    (shell.folder / "repo/tables/latin.csv").write_bytes(b"\xe9")
    door.resources["apply/dev"] = {
        "environment": "dev",
        "index": 4,
        "processes": [
            {"process": "a", "version": "ab" * 32, "has_trigger": True, "trigger_on": False}
        ],
        "warnings": ["processes/ops/a.yaml:3:1 no owner"],
    }
    said = shell.run("apply", "-f", "repo", "--environment", "dev")

    assert said.out.splitlines()[2].split() == ["a", "abababababab", "yes", "no"]
    assert said.talk == "warning: processes/ops/a.yaml:3:1 no owner\n"
    assert dict(door.calls[0].files) == {
        "environments/dev.yaml": b"environments/dev.yaml",
        "processes/ops/a.yaml": b"processes/ops/a.yaml",
        "tables/latin.csv": b"\xe9",
        "tables/t.csv": b"tables/t.csv",
    }


def test_cluster_status_says_what_may_be_lost(shell: Shell, door: FakeDoor) -> None:
    door.resources["cluster"] = {
        "cluster": "local",
        "leader": "n1",
        "epoch": 2,
        "index": 90,
        "time_ms": 0,
        "voters": ["n1", "n2", "n3"],
        "learners": [],
        "may_lose_voters": 1,
        "nodes": [NODE],
        "counts": {"COMPLETED": 3, "FAILED": 0},
        "totals": {},
        "accepted": 3,
        "conservation_gap": 0,
        "groups": [],
    }
    said = shell.run("cluster", "status")

    assert said.out.splitlines()[:10] == [
        "cluster      local",
        "leader       n1",
        "voters       n1 n2 n3",
        "may lose     1 voter",
        "epoch        2",
        "log index    90",
        "accepted     3",
        "executions   COMPLETED=3",
        "unaccounted  0",
        "",
    ]
    assert said.out.splitlines()[-1].split()[:6] == ["n1", "yes", "yes", "yes", "no", "128"]


@pytest.mark.parametrize(
    ("tokens", "resource"),
    [
        (("process", "list"), "processes"),
        (("process", "show", "echo"), "process/echo"),
        (("deadletter", "list", "--error-class", "data"), "deadletters"),
        (("deadletter", "show", "7.0"), "deadletter/7.0"),
        (("table", "list"), "tables"),
        (("table", "show", "orders", "--environment", "prod"), "rows/prod/orders"),
        (("table", "get", "orders", "a/1"), "row/dev/orders/a/1"),
        (("node", "list"), "nodes"),
        (("node", "show", "n1"), "node/n1"),
    ],
)
def test_looking_commands_print_the_answer_of_rest(
    shell: Shell, door: FakeDoor, tokens: tuple[str, ...], resource: str
) -> None:
    door.resources[resource] = {"items": [NODE], "next": None}
    said = shell.run(*tokens, "-o", "json")

    assert json.loads(said.out) == door.resources[resource]


def test_drain_waits_until_the_node_holds_nothing(shell: Shell, door: FakeDoor) -> None:
    door.resources["drain/n1"] = {**NODE, "draining": True}
    door.resources["node/n1"] = {**NODE, "draining": True, "drained": True, "held": 0}
    said = shell.run("node", "drain", "n1", "--timeout", "5s", "-o", "json")

    assert said.code == 0
    assert json.loads(said.out)["drained"] is True
    assert "n1 still holds 4 executions" in said.talk


def test_drain_of_a_node_that_is_lost_meanwhile_fails(shell: Shell, door: FakeDoor) -> None:
    door.resources["drain/n1"] = {**NODE, "draining": True, "up": False}
    said = shell.run("node", "drain", "n1")

    assert said.code == 1
    assert "it is lost now" in said.talk


def test_plan_of_a_drain_is_a_table_of_moves(shell: Shell, door: FakeDoor) -> None:
    move = {"execution": "e1", "environment": "dev", "process": "echo", "goes_to": "n2", "why": "-"}
    door.resources["plan_drain/n1"] = {
        "node": "n1",
        "refused": False,
        "refusals": [],
        "moves": {"n2": 1},
        "executions": [move],
        "triggers": [],
    }
    said = shell.run("node", "drain", "n1", "--plan")

    assert said.code == 0
    assert "moves     n2=1" in said.out
    assert said.out.splitlines()[-1].split()[:4] == ["e1", "dev", "echo", "n2"]


def test_undrain_prints_the_node(shell: Shell, door: FakeDoor) -> None:
    door.resources["undrain/n1"] = NODE
    said = shell.run("node", "undrain", "n1", "-o", "json")

    assert json.loads(said.out) == NODE


def test_drain_with_a_wrong_timeout_is_wrong_usage(shell: Shell) -> None:
    said = shell.run("node", "drain", "n1", "--timeout", "soon")

    assert said.code == 2
    assert "--timeout soon is not a duration" in said.talk


def test_version_is_told_without_a_cluster(shell: Shell) -> None:
    said = shell.run("version", "-o", "json")

    assert set(json.loads(said.out)) == {"molecule", "python"}
    assert shell.nodes.asked == []


def test_call_goes_to_the_next_node_with_the_same_key_when_one_is_silent(shell: Shell) -> None:
    shell.nodes.silent["n1"] = lambda request: httpx2.ReadError("reset", request=request)
    said = shell.run("execution", "submit", "echo")

    assert said.code == 0
    assert [host for host, _ in shell.nodes.asked] == ["n1", "n2"]
    assert len(set(shell.nodes.keys)) == 1
    assert shell.nodes.keys[0]


def test_process_is_paused_with_its_reason_and_resumed(shell: Shell, door: FakeDoor) -> None:
    stands = {"process": "echo", "deployments": [], "versions": [], "held_keys": []}
    door.resources |= {f"{verb}/echo": stands for verb in ("pause", "resume", "settle_key")}

    assert shell.run("process", "pause", "echo", "--reason", "a fault there").code == 0
    assert shell.run("process", "resume", "echo", "--environment", "dev").code == 0
    assert shell.run("process", "settle-key", "echo", "N14228").code == 0

    told = [(call.action, json.loads(call.json)) for call in door.calls]
    assert told == [
        ("pause", {"environment": "", "reason": "a fault there"}),
        ("resume", {"environment": "dev", "reason": ""}),
        ("settle_key", {"concurrency_key": "N14228", "environment": ""}),
    ]


def test_submission_brings_its_priority(shell: Shell, door: FakeDoor) -> None:
    assert shell.run("execution", "submit", "echo", "--priority", "7").code == 0
    assert [item.priority for item in door.calls[0].submissions] == [7]
