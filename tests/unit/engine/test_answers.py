"""`respond` in the engine: the answer goes with a word that is said at once."""

from molecule.component.answer import Answer
from molecule.engine.instructions import Commit, Instruction
from tests.fakes.executions import Execution, a_process, documents

PROCESS = """
steps:
  - {id: say, type: respond, body: {n: "${n}"}}
  - {id: send, type: target.tell}
"""
ANSWER = Answer(200, (("content-type", "application/json"),), b'{"n":1}')


def test_answer_is_committed_before_the_execution_ends() -> None:
    execution = Execution(a_process(PROCESS), documents({"n": 1}))
    finish = execution.run()
    assert (execution.kept.answers, finish.answer) == ([ANSWER], None)


def test_answer_of_the_last_step_goes_with_the_end() -> None:
    process = a_process('steps: [{id: say, type: respond, body: {n: "${n}"}}]')
    execution = Execution(process, documents({"n": 1}))
    assert execution.run().answer == ANSWER


def test_answer_that_was_not_committed_is_said_again_by_the_next_owner() -> None:
    crashed = False

    def once(point: str, instruction: Instruction) -> bool:
        nonlocal crashed
        now = point == "before" and isinstance(instruction, Commit) and not crashed
        crashed = crashed or now
        return now

    execution = Execution(a_process(PROCESS), documents({"n": 1}), crash=once)
    execution.run()
    assert crashed
    assert execution.kept.answers == [ANSWER]


def test_second_answer_of_a_word_is_ignored_with_a_line() -> None:
    process = a_process("steps: [{id: say, type: respond, body: {n: '${n}'}}]")
    execution = Execution(process, documents({"n": 1}, {"n": 2}))
    assert execution.run().answer == ANSWER
    assert ["ignored" in note.detail for note in execution.kept.notes] == [True]
