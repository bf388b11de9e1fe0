"""The process of the demo, exactly as a designer writes it, from text to what a worker runs."""

from molecule.definition.definition import OnError, OutputMode, RetryPolicy
from molecule.definition.package import build, open_package
from molecule.expression.names import Names
from molecule.model.document import Document
from molecule.model.effect import Effect
from molecule.model.ids import DocumentId
from tests.unit.definition.builders import REGISTRY
from tests.unit.definition.late_flights import FILES, ROW


def test_it_is_built_without_a_finding_or_warning() -> None:
    built = build(FILES, "dev", REGISTRY)
    assert (built.findings, built.warnings) == ((), ())
    (version,) = built.versions
    assert (version.process, version.trigger_on) == ("late-flights", True)
    options = version.options
    assert (options.keyed, options.concurrency_limit, options.timeout_ms) == (True, 1, 1_800_000)
    assert (options.failover, options.has_trigger, options.crash_budget) == ("resume", True, 3)


def test_it_opens_with_each_step_as_it_is_written() -> None:
    built = build(FILES, "dev", REGISTRY)
    opened = open_package(built.versions[0].package, built.environment_settings, REGISTRY)
    assert opened.version == built.versions[0].version
    steps = {step.path: step for step in opened.definition.all_steps()}
    assert {path: (step.type, step.effect) for path, step in steps.items()} == {
        "late": ("decision", Effect.PURE),
        "late/airline": ("lookup", Effect.PURE),
        "late/shape": ("map", Effect.PURE),
        "late/store": ("sql.upsert", Effect.IDEMPOTENT),
        "late/tell": ("http.request", Effect.ONCE),
        "late/tell/ask": ("http.request", Effect.PURE),
    }
    tell = steps["late/tell"]
    assert tell.retry == RetryPolicy(5, 1_000, 60_000, ("transient.definite",))
    assert (tell.timeout_ms, tell.output.mode) == (5_000, OutputMode.KEEP)
    assert steps["late/tell/ask"].output.mode is OutputMode.REPLACE
    assert tell.verify is not None
    asked = Document(DocumentId("0"), {"status": 404, "headers": {}, "body": None})
    assert not tell.verify.done_if.is_true(asked, Names())
    assert tell.verify.not_done_if is not None
    assert tell.verify.not_done_if.is_true(asked, Names())
    assert {step.on_error for step in steps.values()} == {OnError.FAIL}


def test_its_door_gives_key_and_business_keys() -> None:
    built = build(FILES, "dev", REGISTRY)
    opened = open_package(built.versions[0].package, built.environment_settings, REGISTRY)
    stamp = opened.door.stamp([Document(DocumentId("0"), ROW)], now_ms=0)
    assert stamp.concurrency_key == "N14228"
    assert stamp.track == {"flight": "UA1545", "plane": "N14228"}


def test_its_connections_have_the_settings_of_the_environment() -> None:
    built = build(FILES, "dev", REGISTRY)
    opened = open_package(built.versions[0].package, built.environment_settings, REGISTRY)
    assert sorted(opened.connections) == ["airline-desk", "inbox", "warehouse"]
    desk = opened.connections["airline-desk"]
    assert (desk.config.text("base_url"), desk.config.integer("pool")) == (
        "https://desk.internal",
        20,
    )
    assert opened.tables["airlines"].rows["UA"] == {
        "carrier": "UA",
        "name": "United Air Lines Inc.",
    }
