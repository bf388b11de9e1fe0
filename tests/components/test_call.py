"""`call`, `return` and the trigger `called`: what is refused, and where that is told."""

from collections.abc import Mapping

import pytest

from molecule.component.contract import Emit
from molecule.config import Limits
from molecule.definition.calls import Processes
from molecule.definition.package import build, open_package
from molecule.definition.parse import parse_process
from tests.components.calls import REGISTRY, a_context, a_document, a_step

HEAD = "molecule: 1\nprocess: {name}\n"
CALLED = HEAD + "trigger: {{type: called}}\nsteps: [{{id: s, type: stop}}]\n"
ENVIRONMENT = b"environment: test\n"


def calling(name: str, *others: str, trigger: str = "called") -> str:
    steps = ", ".join(f"{{id: c{at}, type: call, process: {o}}}" for at, o in enumerate(others))
    return f"molecule: 1\nprocess: {name}\ntrigger: {{type: {trigger}}}\nsteps: [{steps}]\n"


def faults_of(text: str, processes: Mapping[str, str] | None = None) -> list[str]:
    files = {f"processes/{name}.yaml": body.encode() for name, body in (processes or {}).items()}
    files["processes/p.yaml"] = text.encode()
    bounds = Limits()
    parsed = parse_process(
        text.encode(), "processes/p.yaml", REGISTRY, bounds, processes=Processes(files, bounds)
    )
    return [str(finding) for finding in parsed.findings]


def called(name: str) -> str:
    return CALLED.format(name=name)


def test_steps_of_the_called_process_stand_below_the_call() -> None:
    step = a_step(
        "{type: call, process: price}",
        processes={
            "price": """
                molecule: 1
                process: price
                trigger: {type: called, input: {type: object}, returns: {required: [total]}}
                steps: [{id: it, type: map, to: {total: n}}]
            """
        },
    )
    assert [node.path for node in step.all_steps()] == [
        "it",
        "it/input-schema",
        "it/it",
        "it/returns-schema",
    ]
    assert step.paths["process"][1].place.file == "processes/price.yaml"


TO_Q = calling("p", "q")
REFUSED: tuple[tuple[str, dict[str, str], str], ...] = (
    (
        calling("p", "prize"),
        {"price": called("price")},
        "there is no process prize (did you mean price?)",
    ),
    (calling("p", "none"), {}, "there is no process none"),
    (calling("p", "p"), {}, "p calls p: it would never end"),
    (TO_Q, {"q": calling("q", "r"), "r": calling("r", "p")}, "q calls r calls p calls q"),
    (TO_Q, {"q": calling("q", "q")}, "q calls q: it would never end"),
    (
        TO_Q,
        {"q": calling("q", "r", trigger="manual"), "r": called("r")},
        "q cannot be called (give it trigger: {type: called})",
    ),
    (
        TO_Q,
        {"q": called("q").replace("stop", "stpo")},
        "the process q has faults of its own (such as processes/q.yaml:4:23",
    ),
    ("molecule: 1\nprocess: p\nsteps: [{id: c, type: call}]\n", {}, "process is missing"),
    (called("p") + "options: {timeout: 5s}\n", {}, "options of a called process have no effect"),
)


@pytest.mark.parametrize(("text", "processes", "told"), REFUSED)
def test_what_cannot_be_called_is_told_at_the_call(
    text: str, processes: dict[str, str], told: str
) -> None:
    found = faults_of(text, processes)
    assert any(told in fault for fault in found), found


def test_calls_that_go_too_deep_are_refused() -> None:
    deep = {f"d{at}": calling(f"d{at}", f"d{at + 1}") for at in range(8)} | {"d8": called("d8")}
    assert faults_of(calling("p", "d1"), deep) == []
    found = faults_of(calling("p", "d0"), deep)
    assert any("calls go deeper than 8 (call_depth_max)" in fault for fault in found)


def test_steps_of_called_processes_count() -> None:
    wide = {f"w{at}": calling(f"w{at}", *[f"w{at + 1}"] * 6) for at in range(6)}
    found = faults_of(calling("p", "w0"), wide | {"w6": called("w6")})
    assert any("with what it calls, more than 500 steps" in fault for fault in found)


@pytest.mark.parametrize(
    "path",
    [
        "[{id: r, type: return}]",
        "[{id: t, type: try, body: [{id: r, type: return}], finally: [{id: s, type: stop}]}]",
    ],
)
def test_return_is_refused_where_the_documents_go_on_elsewhere(path: str) -> None:
    step = f"{{id: a, type: parallel, paths: {{x: {path}}}}}"
    found = faults_of(f"molecule: 1\nprocess: p\nsteps: [{step}]\n")
    assert any("from a path of branch or parallel" in fault for fault in found), found


def test_a_called_process_may_return_inside_a_branch_of_its_caller() -> None:
    text = """
molecule: 1
process: p
steps: [{id: a, type: branch, paths: {x: [{id: c, type: call, process: q}]}}]
"""
    assert faults_of(text, {"q": called("q").replace("type: stop", "type: return")}) == []


def test_return_hands_on_the_document_itself() -> None:
    emitted = a_step("{type: return}").component.process(a_document({"n": 1}), a_context())
    assert isinstance(emitted, Emit)
    assert emitted.document == a_document({"n": 1})


def files(price: str) -> dict[str, bytes]:
    return {
        "environments/test.yaml": ENVIRONMENT,
        "processes/order.yaml": calling("order", "price", trigger="manual").encode(),
        "processes/lib/price.yaml": price.encode(),
    }


def test_a_version_holds_what_it_calls_and_changes_with_it() -> None:
    first = build(files(called("price")), "test", REGISTRY)
    assert first.findings == ()
    assert [version.process for version in first.versions] == ["order"]
    second = build(files(called("price").replace("id: s", "id: t")), "test", REGISTRY)
    assert first.versions[0].version != second.versions[0].version
    opened = open_package(first.versions[0].package, first.environment_settings, REGISTRY)
    assert [step.path for step in opened.definition.all_steps()] == ["c0", "c0/s"]
    opened = open_package(second.versions[0].package, second.environment_settings, REGISTRY)
    assert [step.path for step in opened.definition.all_steps()] == ["c0", "c0/t"]


def test_a_repository_of_called_processes_alone_has_nothing_to_run() -> None:
    alone = {"environments/test.yaml": ENVIRONMENT, "processes/a.yaml": called("a").encode()}
    told = [str(finding) for finding in build(alone, "test", REGISTRY).findings]
    assert told == ["processes:1:1 only processes that are called below it"]
