"""Counts of references to stored documents, and the rows of payloads.

Apply only counts: which bytes may be deleted is each voter's own affair (no reference, no touch for
an hour). What stays true: a document that anything kept refers to has a count above zero.
"""

from collections.abc import Iterable

from molecule.cluster.changes import Changes, PayloadRow
from molecule.cluster.execution import (
    PayloadMark,
)
from molecule.cluster.state import (
    ClusterState,
    DocumentUse,
)
from molecule.model.ids import Digest
from molecule.wire.v1 import commands_pb2 as wire


def keep(
    state: ClusterState, changes: Changes, owner: str, *, slot: str, payload: wire.Payload
) -> PayloadMark:
    """Write the row of a payload, count what it refers to, return what the state remembers."""
    changes.payloads.append(PayloadRow(owner, slot, payload.SerializeToString(deterministic=True)))
    return count(state, changes, payload)


def drop(
    state: ClusterState, changes: Changes, owner: str, *, slot: str, mark: PayloadMark
) -> None:
    """Remove the payload's row and its references."""
    if not mark.size_bytes and not mark.digests:
        return
    changes.payloads.append(PayloadRow(owner, slot, None))
    release(state, changes, mark.digests)


def count(state: ClusterState, changes: Changes, payload: wire.Payload) -> PayloadMark:
    """Count the references of a payload whose bytes another row holds."""
    stored = payload.WhichOneof("body") == "stored"
    size = payload.stored.size_bytes if stored else len(payload.inline)
    if not stored and not payload.refers_to:
        return PayloadMark(size)
    refs = [payload.stored] if stored else []
    refs.extend(payload.refers_to)
    for ref in refs:
        refer(state, changes, digest=ref.digest, size_bytes=ref.size_bytes)
    return PayloadMark(size, tuple(Digest(ref.digest) for ref in refs))


def refer(state: ClusterState, changes: Changes, *, digest: str, size_bytes: int) -> None:
    """Count one reference."""
    name = Digest(digest)
    changes.dirty.mark("documents", name)
    use = state.documents.get(name)
    if use is None:
        use = state.documents[name] = DocumentUse(0, size_bytes)
    use.count += 1
    changes.documents[name] = use.count


def release(state: ClusterState, changes: Changes, digests: Iterable[str]) -> None:
    """Take references back; a document without any leaves the table."""
    for digest in digests:
        name = Digest(digest)
        use = state.documents[name]
        changes.dirty.mark("documents", name)
        use.count -= 1
        changes.documents[name] = use.count
        if use.count == 0:
            del state.documents[name]
