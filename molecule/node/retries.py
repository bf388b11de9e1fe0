"""What a retry submits: the input of an execution that has ended, under the same effect keys.

Accepting it belongs to `submit.py`. What stays true: the new execution names the first of its line
as origin, so a target that honours effect keys sees each effect of them once.
"""

from molecule.model.errors import NotFound, WrongState
from molecule.model.execution import TERMINAL
from molecule.node.payloads import Payloads
from molecule.node.reads import Reads
from molecule.storage.state_store import StateStore
from molecule.wire.v1 import door_pb2 as d


class Retries:
    """Used by the gateway's door."""

    def __init__(self, *, reads: Reads, store: StateStore, payloads: Payloads) -> None:
        self._reads = reads
        self._store = store
        self._payloads = payloads

    async def filled(self, request: d.SubmitRequest) -> d.SubmitRequest:
        """The request with all that it takes from the execution it repeats.

        It runs on the active version unless another is named. `WrongState` while the first one has
        not ended, `NotFound` when it or its input is not kept any more.
        """
        former = await self._reads.read("execution", request.retry_of, {})
        if former["state"] not in {state.value for state in TERMINAL}:
            raise WrongState(
                f"execution {request.retry_of} is {former['state']}: only one that has ended can "
                "be tried again; release, resolve or cancel it",
                state=former["state"],
            )
        row = await self._store.payload(request.retry_of, "input")
        if row is None:
            raise NotFound(f"the input of {request.retry_of} is not kept any more")
        content = await self._payloads.kept(row)
        filled = d.SubmitRequest()
        filled.CopyFrom(request)
        filled.process = former["process"]
        filled.environment = former["environment"]
        for submission in filled.submissions:
            submission.input = content
            submission.origin = former["origin"]
        return filled
