"""Key tables and claims, as the operations of one execution ask for them.

The words go the way of all words, and what they come to is decided by the cluster. What must stay
true: a word that was said behind a checkpoint that it did not know of is said again with that one's
number, never given up or taken for done.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from molecule.component.contract import KeyAnswer, TableChange
from molecule.model.effect import ErrorClass
from molecule.model.errors import StepError
from molecule.model.ids import EffectKey
from molecule.wire.v1 import commands_pb2 as c
from molecule.worker.speaker import Speaker

_PAUSE_S: Final = 0.01


class KeyCalls:
    """Implements `ClusterKeys` for one attempt; `sequence` is that of the last checkpoint."""

    def __init__(self, speaker: Speaker, execution: str, token: int, sequence: int) -> None:
        self._speaker = speaker
        self._execution = execution
        self._token = token
        self.sequence = sequence

    async def table(self, change: TableChange, *, effect_key: EffectKey) -> KeyAnswer:
        """Read or change a row."""

        def word(sequence: int) -> c.Command:
            said = c.UseTable(
                execution=self._execution,
                token=self._token,
                sequence=sequence,
                effect_key=effect_key,
                change=change_to_wire(change),
            )
            return c.Command(version=1, use_table=said)

        return await self._ask(word)

    async def claim(
        self, scope: str, key: str, *, window_ms: int, wait: bool, effect_key: EffectKey
    ) -> KeyAnswer:
        """Claim a key for this effect."""

        def word(sequence: int) -> c.Command:
            said = c.ClaimKey(
                execution=self._execution,
                token=self._token,
                sequence=sequence,
                effect_key=effect_key,
                scope=scope,
                key=key,
                window_ms=window_ms,
                wait=wait,
            )
            return c.Command(version=1, claim_key=said)

        return await self._ask(word)

    async def _ask(self, word: Callable[[int], c.Command]) -> KeyAnswer:
        sequence = self.sequence
        while True:
            outcome = await self._speaker.ask(word(sequence))
            if outcome.applied:
                return KeyAnswer(outcome.answer, outcome.value)
            if outcome.code != "stale_sequence":
                raise _refused(outcome.code, outcome.message)
            sequence = outcome.current
            await asyncio.sleep(_PAUSE_S)


def change_to_wire(change: TableChange) -> c.TableChange:
    """The same as a message."""
    return c.TableChange(
        table=change.table,
        key=change.key,
        action=change.action,
        by=change.by,
        value=change.value,
        unique=dict(change.unique),
        condition=change.condition,
        expected=change.expected,
    )


def _refused(code: str, message: str) -> StepError:
    if code == "under_way":
        told = f"the key is claimed by an execution that has not ended ({message})"
        return StepError(told, error_class=ErrorClass.TRANSIENT_DEFINITE, error_code=code)
    if code == "limit":
        limit = message.partition("=")[2] or code
        told = f"{limit} is reached"
        return StepError(told, error_class=ErrorClass.LIMIT, error_code=limit)
    told = f"the cluster refused: {code} {message}".rstrip()
    return StepError(told, error_class=ErrorClass.PERMANENT, error_code=code)
