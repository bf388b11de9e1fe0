"""What is committed before what is sent, retries, and what each costs in words."""

import pytest

from molecule.component.contract import CallContext, Request
from molecule.engine.instructions import Commit, Instruction, PerformRequest
from molecule.model.effect import ErrorClass
from molecule.model.errors import StepError
from molecule.model.execution import ExecutionState
from tests.fakes.executions import Execution, a_process, documents
from tests.fakes.target import Target

LATE_FLIGHTS = """
steps:
  - id: late
    type: decision
    if: minutes > 15
    then:
      - {id: shape, type: map, to: {minutes: minutes}}
      - {id: store, type: target.put}
      - {id: tell, type: target.tell}
"""
DEFINITE, UNKNOWN = ErrorClass.TRANSIENT_DEFINITE, ErrorClass.TRANSIENT_UNKNOWN


class Watched(Execution):
    """Remembers the order of commits and sends."""

    def _obey(self, instruction: Instruction):  # type: ignore[no-untyped-def]
        if not hasattr(self, "order"):
            self.order: list[str] = []
        match instruction:
            case Commit():
                self.order.append(f"commit {','.join(i.step for i in instruction.intents)}".strip())
            case PerformRequest():
                self.order.append(f"send {instruction.step.path}")
            case _:
                pass
        return super()._obey(instruction)


def test_an_execution_without_effects_says_only_its_end() -> None:
    execution = Execution(a_process(LATE_FLIGHTS), documents({"minutes": 3}))
    assert execution.run().state is ExecutionState.COMPLETED
    assert execution.kept.words == 1


def test_a_checkpoint_and_the_next_intent_ride_in_one_word() -> None:
    execution = Watched(a_process(LATE_FLIGHTS), documents({"minutes": 42}))
    finish = execution.run()
    assert execution.order == ["send late/store", "commit late/tell", "send late/tell"]
    assert execution.kept.words == 2
    assert [(c.effect_key, c.how) for c in finish.confirmations] == [("e1/late/tell/0", "sent")]


def test_once_is_committed_document_by_document() -> None:
    process = a_process("steps: [{id: tell, type: target.tell}]")
    execution = Watched(process, documents({"n": 1}, {"n": 2}))
    execution.run()
    assert execution.order == ["commit tell", "send tell", "commit tell", "send tell"]


def test_idempotent_is_committed_after_a_batch_of_documents() -> None:
    process = a_process("steps: [{id: put, type: target.put}]")
    limits = Execution(process, ()).limits.model_copy(update={"effects_per_checkpoint_max": 2})
    execution = Watched(process, documents(*range(5)), limits=limits)
    execution.run()
    assert execution.order == [
        *["send put"] * 2,
        "commit",
        *["send put"] * 2,
        "commit",
        "send put",
    ]


def test_what_was_read_outside_is_committed_before_the_next_effect() -> None:
    process = a_process("steps: [{id: read, type: target.read}, {id: put, type: target.put}]")
    execution = Watched(process, documents({"n": 1}))
    execution.run()
    assert execution.order == ["send read", "commit", "send put"]


def test_reads_in_a_row_need_no_commit() -> None:
    process = a_process("steps: [{id: one, type: target.read}, {id: two, type: target.read}]")
    execution = Watched(process, documents({"n": 1}))
    execution.run()
    assert execution.order == ["send one", "send two"]


def test_an_effect_is_committed_before_the_next_read() -> None:
    process = a_process("steps: [{id: put, type: target.put}, {id: read, type: target.read}]")
    execution = Watched(process, documents({"n": 1}))
    execution.run()
    assert execution.order == ["send put", "commit", "send read"]


def test_a_result_that_came_while_a_word_was_under_way_is_not_covered_by_it() -> None:
    process = a_process("""
steps:
  - id: each
    type: foreach
    at_once: 2
    steps:
      - {id: tell, type: target.tell, when: n = 1}
      - {id: read, type: target.read, when: n = 2, output: {into: found}}
      - {id: put, type: target.put, when: n = 2}
""")

    class ReadFirst(Watched):
        """The word of the first item stays under way until the second has read."""

        def choose(self, choices: list[Instruction]) -> Instruction:
            others = [item for item in choices if not isinstance(item, Commit)]
            return (others or choices)[0]

    execution = ReadFirst(process, documents({"n": 1}, {"n": 2}))
    execution.run()
    commits = [step for step in execution.order if step.startswith("commit")]
    put_at = execution.order.index("send each/put")
    assert execution.order.index("send each/read") < execution.order.index("commit each/tell")
    assert len([step for step in execution.order[:put_at] if step in commits]) == 2


def test_intents_of_items_under_way_at_once_share_a_word() -> None:
    process = a_process("""
steps: [{id: each, type: foreach, at_once: 4, steps: [{id: tell, type: target.tell}]}]
""")
    execution = Watched(process, documents(*range(4)), seed=1)
    execution.run()
    assert len(execution.kept.intents_ever) == 4
    assert execution.kept.words < 5


def test_the_effect_key_names_origin_step_and_document() -> None:
    execution = Execution(a_process(LATE_FLIGHTS), documents({"minutes": 42}))
    execution.run()
    assert execution.target.keys() == ["e1/late/store/0", "e1/late/tell/0"]


def test_an_own_effect_key_replaces_it() -> None:
    process = a_process("""
steps: [{id: put, type: target.put, effect_key: "'order/put/' & no"}]
""")
    execution = Execution(process, documents({"no": "A7"}))
    execution.run()
    assert execution.target.keys() == ["order/put/A7"]


def test_an_effect_key_that_is_nothing_is_an_error_of_the_document() -> None:
    process = a_process("steps: [{id: put, type: target.put, effect_key: missing}]")
    finish = Execution(process, documents({"no": 1})).run()
    assert finish.failure is not None
    assert finish.failure.error_class is ErrorClass.DATA


def test_a_target_that_honours_keys_makes_once_idempotent() -> None:
    process = a_process("""
steps:
  - id: tell
    type: target.tell
    effect_key: "'order/tell/' & no"
    target_honours_key: true
""")
    execution = Execution(process, documents({"no": "1"}))
    execution.run()
    assert execution.kept.intents_ever == []


RETRIED = """
steps:
  - id: put
    type: target.%s
    retry: {max: 3, first: 1s, cap: 3s, errors: [%s]}
"""


@pytest.mark.parametrize("operation", ["put", "tell"])
def test_a_definite_error_is_retried_with_growing_capped_delays(operation: str) -> None:
    target = Target(failures={"put": [(DEFINITE, False)] * 3})
    process = a_process(RETRIED % (operation, "transient.definite"))
    execution = Execution(process, documents({"n": 1}), target=target)
    assert execution.run().state is ExecutionState.COMPLETED
    assert execution.delays == [1000, 2000, 3000]
    assert target.step_counts() == {"put": 1}
    assert execution.kept.notes[-1].retries == 3


def test_retries_end_with_their_number() -> None:
    target = Target(failures={"put": [(DEFINITE, False)] * 4})
    process = a_process(RETRIED % ("put", "transient.definite"))
    finish = Execution(process, documents({"n": 1}), target=target).run()
    assert finish.state is ExecutionState.FAILED
    assert finish.step == "put"


def test_a_harmless_repetition_needs_no_retry_to_be_written() -> None:
    target = Target(failures={"put": [(UNKNOWN, True), (DEFINITE, False)]})
    process = a_process("steps: [{id: put, type: target.put}]")
    execution = Execution(process, documents({"n": 1}), target=target)
    assert execution.run().state is ExecutionState.COMPLETED
    assert execution.delays == [250, 500]


def test_once_is_retried_by_default_when_it_certainly_did_not_happen() -> None:
    target = Target(failures={"tell": [(DEFINITE, False)]})
    process = a_process("steps: [{id: tell, type: target.tell}]")
    execution = Execution(process, documents({"n": 1}), target=target)
    assert execution.run().state is ExecutionState.COMPLETED
    assert execution.delays == [250]


def test_retries_can_be_switched_off() -> None:
    target = Target(failures={"put": [(DEFINITE, False)]})
    process = a_process("steps: [{id: put, type: target.put, retry: {max: 0}}]")
    finish = Execution(process, documents({"n": 1}), target=target).run()
    assert finish.state is ExecutionState.FAILED


def test_what_was_never_sent_did_not_happen_whatever_its_error_says() -> None:
    class NeverSends(Target):
        def take(self, request: Request, call: CallContext) -> None:
            if not self.reads:
                self.reads += 1
                raise StepError("no free connection", error_class=UNKNOWN)
            super().take(request, call)

    process = a_process(RETRIED % ("tell", "transient.definite"))
    execution = Execution(process, documents({"n": 1}), target=NeverSends())
    assert execution.run().state is ExecutionState.COMPLETED
    assert execution.target.step_counts() == {"put": 1}


def test_an_error_that_is_not_listed_is_not_retried() -> None:
    target = Target(failures={"put": [(UNKNOWN, False)]})
    process = a_process(RETRIED % ("put", "transient.definite"))
    execution = Execution(process, documents({"n": 1}), target=target)
    assert execution.run().state is ExecutionState.FAILED
    assert execution.delays == []


def test_an_idempotent_request_is_retried_on_unknown_errors_with_the_same_bytes() -> None:
    target = Target(failures={"put": [(UNKNOWN, True)]})
    process = a_process(RETRIED % ("put", "transient.unknown"))
    Execution(process, documents({"n": 1}), target=target).run()
    assert len(set(target.received)) == 1
    assert len(target.received) == 2


def test_each_try_of_a_once_request_has_an_intent_of_its_own() -> None:
    target = Target(failures={"put": [(DEFINITE, False)]})
    process = a_process(RETRIED % ("tell", "transient.definite"))
    execution = Execution(process, documents({"n": 1}), target=target)
    execution.run()
    assert execution.kept.intents_ever == ["e1/put/0", "e1/put/0"]


def test_the_number_of_tries_survives_a_crash() -> None:
    target = Target(failures={"put": [(DEFINITE, False)] * 9})
    process = a_process(RETRIED % ("tell", "transient.definite"))
    sends = 0

    def crash(point: str, instruction: Instruction) -> bool:
        nonlocal sends
        sends += point == "before" and isinstance(instruction, PerformRequest)
        return point == "before" and isinstance(instruction, PerformRequest) and sends == 3

    execution = Execution(process, documents({"n": 1}), target=target, crash=crash)
    finish = execution.run()
    # Killed between intent and send: nobody knows, and there is no verify.
    assert finish.state is ExecutionState.IN_DOUBT
    execution.answer("e1/put/0", "not_done")
    assert execution.run().state is ExecutionState.FAILED
    assert len(execution.delays) == 3


def test_an_execution_that_takes_too_long_fails_and_waits_for_what_is_under_way() -> None:
    process = a_process("steps: [{id: put, type: target.put}, {id: two, type: target.put}]")
    states = set()
    for seed in range(8):
        execution = Execution(process, documents({"n": 1}), seed=seed)
        execution.fire_deadline = True
        finish = execution.run()
        states.add((finish.state, finish.reason))
    assert (ExecutionState.FAILED, "timeout") in states
