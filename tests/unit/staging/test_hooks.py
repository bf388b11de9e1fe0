"""Hooks: what a context may say, how commands are run, and what confirms a fault of theirs."""

import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from molecule.chaos import foreign, hooks
from molecule.chaos.asking import Site
from molecule.chaos.faults import NotConfirmed, NotHealed
from molecule.chaos.foreign import Hooked
from molecule.chaos.hooks import Hook, HookFailed, Hooks, WrongHooks

NOTHING = ("true", "{node}")


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, "{node}")


def test_a_context_without_chaos_has_no_hooks() -> None:
    assert hooks.read(None) == Hooks()


def test_hooks_are_read_as_they_are_written() -> None:
    found = hooks.read(
        {
            "hooks": {"kill": {"begin": ["a", "{node}"], "end": ["b", "x-{node}"]}},
            "seen_within": "5s",
            "hook_timeout": "500ms",
        }
    )

    assert found == Hooks({"kill": Hook(("a", "{node}"), ("b", "x-{node}"))}, 5.0, 0.5)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([], "`chaos` must be an object"),
        ({"hook": {}}, "`chaos` knows no `hook`"),
        ({"hooks": []}, "`chaos.hooks` must be an object"),
        ({"hooks": {"flood": {}}}, "knows no `flood`: kill, freeze, partition"),
        ({"hooks": {"kill": "rm"}}, "`chaos.hooks.kill` must be an object"),
        ({"hooks": {"kill": {"begin": ["a", "{node}"]}}}, "`chaos.hooks.kill.end` must be a comm"),
        ({"hooks": {"kill": {"begin": "a {node}", "end": []}}}, "kill.begin` must be a command"),
        ({"hooks": {"kill": {"begin": ["a"], "end": ["b"]}}}, "must name the node"),
        ({"hooks": {"kill": {"begin": [], "end": ["b"]}}}, "must be a command"),
        ({"seen_within": 5}, "`chaos.seen_within` must be a duration"),
        ({"seen_within": "0s"}, "`chaos.seen_within` must be a duration"),
    ],
)
def test_wrong_hooks_are_refused(told: Any, why: str) -> None:
    with pytest.raises(WrongHooks) as refused:
        hooks.read(told)

    assert why in str(refused.value)


async def test_a_hook_gets_the_node_and_no_shell(tmp_path: Path) -> None:
    path = tmp_path / "said"
    code = f"import sys; open({str(path)!r}, 'w').write(sys.argv[1])"

    await hooks.run(python(code), "n1; echo $HOME", timeout_s=30)

    assert path.read_text() == "n1; echo $HOME"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (python("import sys; sys.exit('no such pod')"), "exit code 1: no such pod"),
        (("/nowhere/to-be-found", "{node}"), "No such file"),
    ],
)
async def test_a_hook_that_fails_says_why(command: tuple[str, ...], why: str) -> None:
    with pytest.raises(HookFailed) as failed:
        await hooks.run(command, "n1", timeout_s=30)

    assert why in str(failed.value)


async def test_a_hook_that_takes_too_long_is_ended() -> None:
    with pytest.raises(HookFailed) as failed:
        await hooks.run(("sleep", "600", "{node}"), "1", timeout_s=0.05)

    assert "not within" in str(failed.value)


# --- what confirms ---------------------------------------------------------


def cluster(*answers: dict[str, Any] | bytes) -> Site:
    """Each answer once, the last one for ever."""
    left = list(answers)

    def answer(_: httpx2.Request) -> httpx2.Response:
        said = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(said, bytes):
            return httpx2.Response(200, content=said)
        return httpx2.Response(200, json=said)

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    return Site(("https://a",), http)


def status(*, up: bool = True, incarnation: int = 1, leader: str = "n2") -> dict[str, Any]:
    row = {"id": "n1", "up": up, "incarnation": incarnation, "lost_reason": "lease_expired"}
    return {"leader": leader, "nodes": [row]}


def hooked(site: Site, *, takes_majority: bool = False) -> Hooked:
    given = Hooks({"kill": Hook(NOTHING, NOTHING)}, seen_within_s=0.02)
    return Hooked(site, given, Hook(NOTHING, NOTHING), ("n1",), takes_majority=takes_majority)


async def test_a_node_that_the_cluster_takes_for_down_confirms() -> None:
    fault = hooked(cluster(status(), status(up=False)))

    await fault.begin()

    assert await fault.confirm() == {"n1": "down: lease_expired"}


async def test_a_node_in_another_life_confirms() -> None:
    fault = hooked(cluster(status(incarnation=1), status(incarnation=2)))

    await fault.begin()

    assert await fault.confirm() == {"n1": "another life: 2"}


@pytest.mark.parametrize("later", [status(), b"<html>", b"[]"])
async def test_a_hook_that_does_nothing_is_not_confirmed(later: Any) -> None:
    fault = hooked(cluster(status(), later))

    await fault.begin()

    with pytest.raises(NotConfirmed):
        await fault.confirm()


async def test_a_majority_is_confirmed_by_nobody_leading() -> None:
    fault = hooked(cluster(status(), status(leader="")), takes_majority=True)

    await fault.begin()

    assert await fault.confirm() == {"leader": "none"}


async def test_a_begin_that_fails_is_not_confirmed() -> None:
    fault = hooked(cluster(status()))
    fault.hook = Hook(("false", "{node}"), NOTHING)

    with pytest.raises(NotConfirmed) as refused:
        await fault.begin()

    assert "`begin` failed: false n1: exit code 1" in str(refused.value)


async def test_every_end_is_run_also_when_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "_BETWEEN_TRIES_S", 0)
    code = (
        "import sys, pathlib; node = sys.argv[1]; "
        f"pathlib.Path({str(tmp_path)!r}, node).touch(); sys.exit(node == 'n1')"
    )

    with pytest.raises(NotHealed) as failed:
        await foreign.run_ends(python(code), ("n1", "n2"), timeout_s=30)

    assert {path.name for path in tmp_path.iterdir()} == {"n1", "n2"}
    assert "exit code 1" in str(failed.value)
    assert "n2" not in str(failed.value).split("; ")[-1].split(":")[0]
