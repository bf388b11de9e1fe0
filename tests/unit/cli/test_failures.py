"""Errors of the command line, compared as the whole texts that people read."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from molecule.cli import rival, serve
from molecule.cli.failures import Failure
from molecule.model.errors import Finding, InvalidProcess, NoLeader
from tests.fakes.door import FakeDoor
from tests.unit.cli.conftest import Shell


def _refused(request: httpx2.Request) -> Exception:
    return httpx2.ConnectError("connection refused", request=request)


def _broken(request: httpx2.Request) -> Exception:
    return httpx2.ReadError("connection reset", request=request)


def test_unknown_command_names_the_near_one(shell: Shell) -> None:
    said = shell.run("execution", "lst")

    assert said.code == 2
    assert said.talk == (
        'error: unknown command "lst". Did you mean "list"? Available commands: '
        "submit, list, show, timeline, follow, cancel, resolve, signal, ...\n"
        "  next: see: molecule execution --help\n"
    )


def test_missing_argument_is_wrong_usage(shell: Shell) -> None:
    said = shell.run("execution", "show")

    assert said.code == 2
    assert said.talk == (
        'error: command "execution show" parameter --execution requires an argument.\n'
        "  next: see: molecule execution show --help\n"
    )


def test_no_cluster_is_known_says_how_to_get_one(shell: Shell) -> None:
    (shell.folder / ".molecule" / "context.json").unlink()
    said = shell.run("cluster", "status")

    assert said.code == 2
    assert said.talk == (
        "error: no cluster is known\n"
        f"  why:  there is no .molecule/context.json in {shell.folder} or above\n"
        "  next: start a local cluster with: molecule up\n"
        "        or name a file with --context or MOLECULE_CONTEXT\n"
    )


@pytest.mark.parametrize(
    ("context", "why"),
    [
        ("{", "it is not JSON: Expecting property name enclosed in double quotes: line 1 column"),
        ("[]", "it must be a JSON object"),
        ('{"urls": []}', "`urls` must be a list of addresses like https://127.0.0.1:7443"),
        ('{"urls": ["http://x"]}', "`urls` must begin with https://, http://x does not"),
        ('{"urls": ["https://x"]}', "`ca` must name the authority's certificate"),
    ],
)
def test_context_that_cannot_be_used_says_why(shell: Shell, context: str, why: str) -> None:
    (shell.folder / "mine.json").write_text(context)
    said = shell.run("cluster", "status", "--context", "mine.json")

    assert said.code == 2
    first, second, *_ = said.talk.splitlines()
    assert first == "error: the context mine.json cannot be used"
    assert second.startswith(f"  why:  {why}")


def test_token_file_that_is_missing_is_named(shell: Shell) -> None:
    (shell.folder / ".molecule" / "token").unlink()
    said = shell.run("cluster", "status")

    assert said.talk == (
        f"error: the token file {shell.folder}/.molecule/token cannot be read\n"
        "  why:  No such file or directory\n"
        f"  next: mend `token_file` in {shell.folder}/.molecule/context.json\n"
    )


def test_wrong_token_names_where_it_came_from(shell: Shell) -> None:
    (shell.folder / ".molecule" / "token").write_text("other")
    said = shell.run("cluster", "status")

    assert said.code == 1
    assert said.talk == (
        "error: show the cluster: unauthenticated\n"
        "  why:  send the admin token: Authorization: Bearer …\n"
        f"  next: check the token file that {shell.folder}/.molecule/context.json names\n"
    )


def test_no_node_answers_tells_each_and_the_key_to_repeat_with(shell: Shell) -> None:
    shell.nodes.silent = {"n1": _refused, "n2": _refused}
    said = shell.run("execution", "submit", "echo", "--key", "k1")

    assert said.code == 1
    assert said.talk == (
        "error: submit to echo: no node answers\n"
        "  why:  https://n1:1: connection refused\n"
        "        https://n2:1: connection refused\n"
        f"  next: start the nodes, or mend `urls` in {shell.folder}/.molecule/context.json\n"
        "        then repeat with --key k1\n"
    )


def test_broken_link_after_sending_is_an_unknown_outcome(shell: Shell) -> None:
    shell.nodes.silent = {"n1": _broken, "n2": _refused}
    said = shell.run("execution", "submit", "echo", "--key", "k1")

    assert said.code == 3


def test_cancel_is_not_repeated_at_another_node_when_it_may_have_happened(shell: Shell) -> None:
    shell.nodes.silent["n1"] = _broken
    said = shell.run("execution", "cancel", "e1", "--yes")

    assert said.code == 3
    assert said.talk == (
        "error: cancel e1: it is not known whether it happened\n"
        "  why:  https://n1:1: connection reset\n"
        "  next: look at what is there before you repeat the command\n"
    )
    assert len(shell.nodes.asked) == 1


def test_submit_without_answer_in_time_says_the_key(shell: Shell, door: FakeDoor) -> None:
    door.down = NoLeader("no node leads")
    said = shell.run("execution", "submit", "echo", "--key", "k1")

    assert said.code == 3
    assert said.talk == (
        "error: submit to echo: outcome unknown\n"
        "  why:  not answered in time; ask again with the same idempotency key (no node leads)\n"
        "  next: repeat with --key k1: if it was accepted you get the same execution\n"
    )
    assert [host for host, _ in shell.nodes.asked] == ["n1", "n2"]


def test_limit_is_told_with_what_to_do(shell: Shell) -> None:
    said = shell.run("execution", "submit", "echo", "--key", "k" * 300)

    assert said.code == 1
    assert said.talk == (
        "error: submit to echo: limit exceeded\n"
        "  why:  300 is over the limit idempotency_key_length_max of 256\n"
        "  next: stay within idempotency_key_length_max, or raise it in the configuration of "
        "the nodes\n"
    )


def test_unknown_process_says_where_to_look(shell: Shell) -> None:
    said = shell.run("execution", "submit", "nowhere")

    assert said.talk == (
        "error: submit to nowhere: not found\n"
        "  why:  no process nowhere is deployed\n"
        "  next: look up what there is with: molecule process list\n"
    )


def test_faults_of_a_repository_are_listed_with_their_places(shell: Shell, door: FakeDoor) -> None:
    (shell.folder / "environments").mkdir()
    (shell.folder / "environments/dev.yaml").write_text("environment: dev")
    door.down = InvalidProcess(
        (
            Finding("processes/a.yaml", 3, 5, "steps[0].type", "unknown step mapp", "map?"),
            Finding("processes/a.yaml", 9, 1, "", "a key is given twice"),
        )
    )
    said = shell.run("apply", "-f", ".", "--environment", "dev")

    assert said.code == 1
    assert said.talk == (
        "error: apply . to dev: invalid process\n"
        "  why:  processes/a.yaml:3:5 steps[0].type: unknown step mapp (map?)\n"
        "        processes/a.yaml:9:1 a key is given twice\n"
        "  next: mend the files at these places and apply again\n"
    )


def test_apply_to_an_environment_without_file_says_which_there_are(shell: Shell) -> None:
    (shell.folder / "environments").mkdir()
    (shell.folder / "environments/dev.yaml").write_text("")
    said = shell.run("apply", "-f", ".", "--environment", "prod")

    assert said.code == 2
    assert said.talk == (
        "error: . has no environment prod\n"
        "  why:  environments/ has: dev\n"
        "  next: write environments/prod.yaml\n"
    )


def test_input_that_is_not_json_says_where(shell: Shell) -> None:
    Path("bad.jsonl").write_text('{"a": 1}\n{"a": }\n')
    said = shell.run("execution", "submit", "echo", "-f", "bad.jsonl")

    assert said.code == 2
    assert said.talk.startswith("error: bad.jsonl is not JSON\n  why:  line 2, column 7: ")


def test_input_with_a_number_that_would_lose_digits_says_so(shell: Shell) -> None:
    Path("long.json").write_text('{"n": 123456789012345678901}')
    said = shell.run("execution", "submit", "echo", "-f", "long.json")

    assert said.code == 2
    assert said.talk == (
        "error: a number in long.json cannot be kept\n"
        "  why:  123456789012345678901 has more than 64 bits and would lose digits: "
        "send it as a text\n"
        "  next: put it into double quotes\n"
    )


def test_wait_that_is_no_duration_is_wrong_usage(shell: Shell) -> None:
    said = shell.run("execution", "submit", "echo", "--wait", "soon")

    assert said.code == 2
    assert said.talk == (
        "error: --wait soon is not a duration\n  next: write it like 500ms, 30s, 5m, 2h or 1d\n"
    )


def test_stranger_behind_the_address_is_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger: Callable[[httpx2.Request], httpx2.Response] = lambda _: httpx2.Response(  # noqa: E731
        200, html="<h1>hello</h1>"
    )
    monkeypatch.setattr(shell.nodes, "handle_request", stranger)
    said = shell.run("cluster", "status")

    assert said.talk == (
        "error: show the cluster: https://n1:1 answered something that is not Molecule's\n"
        "  why:  status 200, 14 bytes\n"
        f"  next: check `urls` in {shell.folder}/.molecule/context.json\n"
    )


def test_fault_of_ours_is_told_without_a_traceback(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: httpx2.Request) -> httpx2.Response:
        message = "the impossible"
        raise ZeroDivisionError(message)

    monkeypatch.delenv("MOLECULE_DEBUG", raising=False)
    monkeypatch.setattr(shell.nodes, "handle_request", broken)
    said = shell.run("cluster", "status")

    assert said.code == 1
    assert said.talk == (
        "error: molecule cluster status failed in a way it should not\n"
        "  why:  ZeroDivisionError: the impossible\n"
        "  next: repeat it with MOLECULE_DEBUG=1 and report what it prints\n"
    )


def test_ansible_s_tool_in_the_same_environment_is_refused() -> None:
    with pytest.raises(Failure) as refused:
        rival.refuse(lambda **_: iter([object()]))

    assert refused.value.text() == (
        "error: Ansible's Molecule is installed in the same Python environment\n"
        "  why:  both are imported as `molecule`, so neither works reliably\n"
        "  next: make a virtual environment of its own for molecule-runtime and install it there"
    )


def test_our_own_distribution_is_not_taken_for_the_rival() -> None:
    rival.refuse()


TLS = "tls: {ca: ca.pem, certificate: n.pem, key: n.key}\nadmin_token_file: token\n"


def test_configuration_of_a_node_is_read_with_its_paths_made_absolute(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    path.write_text(f"id: n1\ndata: data\nhttp: 127.0.0.1:1\n{TLS}")
    config = serve.read(path, {"MOLECULE_HTTP": "127.0.0.1:2", "HOME": "x"})

    assert config.http == "127.0.0.1:2"
    assert config.data == str(tmp_path / "data")
    assert config.tls.key == str(tmp_path / "n.key")
    assert config.admin_token_file == str(tmp_path / "token")
    assert config.http_tls is None


def test_configuration_with_faults_tells_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    path.write_text(f"id: N_1\ndata: data\nport: 3\n{TLS}")

    with pytest.raises(Failure) as refused:
        serve.read(path, {"MOLECULE_SLOTS": "many"})

    assert refused.value.code == 2
    assert refused.value.what == f"the configuration {path} cannot be used"
    faults = refused.value.why.splitlines()
    assert [fault.removeprefix(f"{path}: ").partition(":")[0] for fault in faults] == [
        "id",
        "slots",
        "port",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("id: n1\nid: n2\n", "node.yaml:2:1"),
        ("- n1\n", "node.yaml:1:1 must be a map of settings"),
        ("[" * 50_000, "nested deeper than 50 levels"),
    ],
)
def test_configuration_that_is_no_map_or_an_attack_is_refused(
    tmp_path: Path, text: str, why: str
) -> None:
    path = tmp_path / "node.yaml"
    path.write_text(text)

    with pytest.raises(Failure) as refused:
        serve.read(path, {})

    assert why in refused.value.why


def test_configuration_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failure) as refused:
        serve.read(tmp_path / "no.yaml", {})

    assert refused.value.text() == (
        f"error: the configuration {tmp_path}/no.yaml cannot be used\n"
        f"  why:  {tmp_path}/no.yaml: No such file or directory\n"
        "  next: mend the file, or the MOLECULE_ variable that overrides it"
    )


def test_failure_of_a_context_is_json_safe(shell: Shell) -> None:
    (shell.folder / "mine.json").write_text(json.dumps({"urls": ["https://x"], "ca": 5}))
    said = shell.run("node", "list", "--context", "mine.json")

    assert said.code == 2
