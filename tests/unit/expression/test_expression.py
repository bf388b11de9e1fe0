"""Expressions: what they yield, what they refuse, and where they stop."""

import resource
from typing import Any

import pytest

from molecule.config import Limits
from molecule.expression.engine import Engine, Fault, make
from molecule.expression.expression import NOTHING, compile_many, compile_one
from molecule.expression.names import Names
from molecule.model.document import Document
from molecule.model.effect import ErrorClass
from molecule.model.errors import InvalidConfig, StepError
from molecule.model.ids import DocumentId

ENGINES = ("jlens", "jsonata-python")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return make(request.param, Limits())


def a_document(value: Any, **properties: Any) -> Document:
    return Document(DocumentId("0"), value, properties=properties)


def evaluate(engine: Engine, source: str, value: Any, names: Names | None = None) -> Any:
    return compile_one(source, engine, field="if").value(a_document(value), names or Names())


def test_nothing_null_and_false_are_three_different_results(engine: Engine) -> None:
    value = {"empty": None, "no": False}
    results = [evaluate(engine, name, value) for name in ("gone", "empty", "no")]
    assert results == [NOTHING, None, False]


def test_a_condition_must_be_true_or_false(engine: Engine) -> None:
    condition = compile_one("amount > limit", engine, field="if")
    with pytest.raises(StepError, match="must give true or false, gave nothing") as raised:
        condition.is_true(a_document({"amount": 5}), Names())
    assert raised.value.error_class is ErrorClass.DATA


@pytest.mark.parametrize("value", ["yes", 1, [True], None])
def test_what_is_merely_truthy_is_no_condition(engine: Engine, value: Any) -> None:
    with pytest.raises(StepError, match="must give true or false"):
        compile_one("flag", engine, field="if").is_true(a_document({"flag": value}), Names())


def test_and_stops_before_what_its_left_side_excludes(engine: Engine) -> None:
    condition = compile_one('delay != "NA" and $number(delay) > 15', engine)
    holds = [condition.is_true(a_document({"delay": d}), Names()) for d in ("NA", "16", "15")]
    assert holds == [False, True, False]


def test_na_where_a_number_is_needed_names_field_expression_and_value(engine: Engine) -> None:
    fields = compile_many({"flight": "flight", "minutes": "$number(delay)"}, engine, field="to")
    with pytest.raises(StepError) as raised:
        fields.values(a_document({"flight": "UA1", "delay": "NA"}), Names())
    assert raised.value.error_class is ErrorClass.DATA
    assert raised.value.facts["field"] == "to.minutes"
    assert "$number(delay)" in raised.value.message
    assert "NA" in raised.value.message


def test_eval_is_refused_when_the_process_is_made(engine: Engine) -> None:
    for source in ('$eval("1")', "$map([1], $eval)", "a.($e := $eval; $e(b))", "$ ~> $eval"):
        with pytest.raises(Fault, match="eval is refused"):
            engine.compile(source)


def test_a_name_that_nobody_binds_is_refused_with_its_place(engine: Engine) -> None:
    with pytest.raises(Fault, match=r"nothing is called \$trigegr") as raised:
        compile_one("1 + $trigegr.file", engine)
    assert raised.value.position == 4
    assert "$trigger" in raised.value.hint


def test_bound_names_are_seen_and_unbound_ones_are_nothing(engine: Engine) -> None:
    names = Names(trigger={"file": "a.csv"}, environment={"name": "dev", "values": {"site": "A"}})
    both = "$trigger.file & $environment.values.site"
    assert evaluate(engine, both, {}, names) == "a.csvA"
    assert evaluate(engine, "$parent", {}, names) is NOTHING


def test_properties_are_those_of_the_document(engine: Engine) -> None:
    expression = compile_one("$properties.region", engine)
    assert expression.value(a_document({}, region="EU"), Names()) == "EU"


def test_time_and_chance_repeat_with_instant_and_seed(engine: Engine) -> None:
    first = Names(now_ms=1_700_000_000_000, seed=7)
    source = "{'at': $now(), 'ms': $millis(), 'chance': $random()}"
    once, again = evaluate(engine, source, {}, first), evaluate(engine, source, {}, first)
    assert once == again
    assert (once["at"], once["ms"]) == ("2023-11-14T22:13:20.000Z", 1_700_000_000_000)
    assert evaluate(engine, source, {}, Names(seed=8))["chance"] != once["chance"]


@pytest.mark.parametrize(
    "source",
    [
        "($f := function($x){$f($x)}; $f(1))",
        "($f := function($x){$f($x) + 1}; $f(1))",
        "$reduce([1..1000000], function($a, $b){$a & $string($b)})",
        "[1..10000000]",
    ],
)
def test_an_expression_that_does_not_end_is_stopped(engine: Engine, source: str) -> None:
    with pytest.raises(StepError) as raised:
        evaluate(engine, source, {})
    assert raised.value.error_class is ErrorClass.LIMIT
    assert raised.value.facts["field"] == "if"


def test_an_expression_that_eats_memory_is_stopped_before_it_has_it() -> None:
    engine = make("jlens", Limits(expression_result_bytes_max=1_000_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    doubling = "$reduce([1..40], function($a, $b){$a & $a}, 'xxxxxxxxxxxxxxxx')"
    with pytest.raises(StepError) as raised:
        evaluate(engine, doubling, {})
    assert raised.value.error_class is ErrorClass.LIMIT
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB


def test_text_over_the_length_bound_and_nesting_over_the_depth_are_refused(engine: Engine) -> None:
    for source in ("1" * 40_000, "(" * 5_000 + "1" + ")" * 5_000):
        with pytest.raises(Fault) as raised:
            engine.compile(source)
        assert raised.value.limit


def test_a_whole_number_that_would_lose_digits_is_an_error_of_the_document(engine: Engine) -> None:
    with pytest.raises(StepError, match="2\\^53") as raised:
        evaluate(engine, "id", {"id": 2**53 + 1})
    assert raised.value.error_class is ErrorClass.DATA


def test_bytes_are_seen_as_base64(engine: Engine) -> None:
    assert evaluate(engine, "$", {"body": b"\x00\xff"}) == {"body": "AP8="}


def test_a_document_nested_beyond_the_engine_is_a_data_error_not_a_crash() -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    with pytest.raises(StepError) as raised:
        evaluate(make("jlens", Limits()), "deep", {"deep": deep})
    assert raised.value.error_class is ErrorClass.DATA


def test_fields_that_yield_nothing_are_left_out_and_order_is_kept(engine: Engine) -> None:
    fields = compile_many({"b": "x", "gone": "nothing", "a": "null"}, engine)
    found = fields.values(a_document({"x": 1}), Names())
    assert list(found.items()) == [("b", 1), ("a", None)]


def test_a_name_with_brackets_is_always_a_list(engine: Engine) -> None:
    fields = compile_many({"one[]": "x", "none[]": "y", "many[]": "[x, x]"}, engine)
    found = fields.values(a_document({"x": 1}), Names())
    assert found == {"one": [1], "none": [], "many": [1, 1]}


def test_fields_over_a_list_are_what_each_expression_gives_alone(engine: Engine) -> None:
    fields = compile_many({"all": "x", "first": "$[0].x"}, engine)
    found = fields.values(a_document([{"x": 1}, {"x": 2}]), Names())
    assert found == {"all": [1, 2], "first": 1}


@pytest.mark.parametrize("value", ["", None, {"a": 1}, [1], 1.5])
def test_a_key_is_a_text_or_whole_number(engine: Engine, value: Any) -> None:
    key = compile_one("key", engine, field="by")
    assert key.text(a_document({"key": "N1"}), Names()) == "N1"
    assert key.text(a_document({"key": 7}), Names()) == "7"
    with pytest.raises(StepError, match="by: key must give a text"):
        key.text(a_document({"key": value}), Names())


def test_an_engine_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="no expression engine called perl"):
        make("perl", Limits())
