"""Positions: the frames of an execution as bytes, from which another owner goes on.

JSON with a version. Lists of documents stand inline while they are small, else by digest. A pure
step that was running is left out: it runs again from its documents. What must stay true:
`restore` of `encode` gives frames that lead to the same requests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from molecule.component.contract import Request
from molecule.definition.definition import StepNode
from molecule.engine import documents, failures, paused_positions
from molecule.engine.documents import Block, DocumentList
from molecule.engine.events import OpenIntent
from molecule.engine.frames import (
    Branches,
    Effects,
    Foreach,
    Inner,
    Local,
    Paths,
    Paused,
    Scope,
    Sequence,
    Try,
    within,
)
from molecule.engine.instructions import Blob
from molecule.engine.run import Run
from molecule.model import payload
from molecule.model.document import DocumentRef
from molecule.model.effect import Effect
from molecule.model.errors import DamagedData
from molecule.model.execution import WaitReason
from molecule.model.ids import Digest, DocumentId, EffectKey

VERSION: Final = 2
"""Version 1 had paths by name in a mapping, and neither blocks that fail nor those set apart."""
_READ: Final = (1, VERSION)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A position, the blobs it names, and their names."""

    content: bytes
    blobs: tuple[Blob, ...]
    refers_to: tuple[DocumentRef, ...]


def encode(run: Run) -> Encoded:
    """The position of an execution as it stands."""
    writer = _Writer()
    roots = [
        writer.sequence(root)
        for place, root in enumerate(run.roots)
        if place == 0 or not root.dropped or _has_effect_under_way(root)
    ]
    tree = {
        "version": VERSION,
        "roots": roots,
        "parents": writer.documents(run.parent_list),
        "returned": writer.documents(run.returned),
        "documents_failed": run.documents_failed,
        "told_failed": run.told_failed,
        # The cluster may forget what is resolved at a checkpoint; what was not met yet needs it.
        "resolved": {
            key: {"step": known.step, "resolution": known.resolution}
            for key, known in run.open.items()
            if known.resolution not in ("", "ask")
        },
        "notes": run.said_notes,
        "dead_letters": run.said_dead_letters,
        "scopes": run.scopes,
        "failure": run.failure.bound() if run.failure else None,
        "ended": run.has_ended,
    }
    content = orjson.dumps(tree)
    return Encoded(content, tuple(writer.blobs.values()), tuple(writer.names.values()))


def references(position: bytes) -> list[Digest]:
    """Digests whose contents `restore` needs."""
    found: list[Digest] = []
    waiting: list[Any] = [_tree(position)]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if item.keys() == {"digest", "size"}:
                found.append(Digest(item["digest"]))
            elif "inline" not in item:
                waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return list(dict.fromkeys(found))


def requests(position: bytes, blobs: Mapping[Digest, bytes]) -> dict[EffectKey, Request]:
    """Requests of `once` effects under way or in doubt, by effect key, for people who must decide.

    A large one is left out unless `blobs` holds it.
    """
    found: dict[EffectKey, Request] = {}
    reader = _Reader(blobs)
    waiting: list[Any] = list(_tree(position)["roots"])
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict) and "inline" not in item:
            waiting.extend(item.values())
            if "request" in item and item["request"].get("digest", "") in (*blobs, ""):
                found[EffectKey(item["key"])] = reader.request(item["request"])
    return found


def restore(run: Run, position: bytes, blobs: Mapping[Digest, bytes]) -> None:
    """Put the frames of a position into a run that has none yet."""
    tree = _tree(position)
    reader = _Reader(blobs)
    for document in reader.documents(tree["parents"]):
        run.split(document)
    run.returned = reader.documents(tree.get("returned", []))
    run.documents_failed = tree["documents_failed"]
    run.told_failed = tree["told_failed"]
    for key, told in tree["resolved"].items():
        known = OpenIntent(EffectKey(key), told["step"], told["resolution"])
        run.open.setdefault(known.effect_key, known)
    run.said_notes = tree["notes"]
    run.said_dead_letters = tree["dead_letters"]
    run.scopes = tree["scopes"]
    run.failure = failures.of_bound(tree["failure"]) if tree["failure"] else None
    run.has_ended = tree["ended"]
    steps = run.process.definition.steps
    run.roots = [reader.sequence(root, steps, None) for root in tree["roots"]]


def encode_request(request: Request | None) -> bytes:
    """A request as bytes; the digest of an intent is of these."""
    if request is None:
        return b""
    return payload.encode_value({"target": request.target, "body": request.body})


def _has_effect_under_way(root: Sequence) -> bool:
    return any(isinstance(part.inner, Effects) and part.inner.key for part in within(root))


def _tree(position: bytes) -> dict[str, Any]:
    try:
        tree = orjson.loads(position)
        version = tree["version"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise DamagedData(f"this is no position: {error}") from None
    if version not in _READ:
        raise DamagedData(f"a position of version {version}; this software knows {VERSION}")
    found: dict[str, Any] = tree
    return found


class _Writer:
    """Makes one tree; gathers the blobs that it names."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, Blob] = {}
        self.names: dict[Digest, DocumentRef] = {}

    def documents(self, listed: DocumentList) -> list[Any]:
        return [self._block(block) for block in listed.blocks()]

    def sequence(self, sequence: Sequence) -> dict[str, Any]:
        found: dict[str, Any] = {
            "index": sequence.index,
            "documents": self.documents(sequence.documents),
        }
        if sequence.error is not None:
            found["error"] = sequence.error.bound()
        if sequence.dropped:
            found["dropped"] = True
        if sequence.inner is not None and not isinstance(sequence.inner, Local):
            found["inner"] = self._inner(sequence, sequence.inner)
        return found

    def _inner(self, sequence: Sequence, inner: Inner) -> dict[str, Any]:
        match inner:
            case Effects():
                return self._effects(inner)
            case Local():
                return {}
            case Paused():
                return paused_positions.encode(inner, self.documents)
            case Paths():
                child = inner.inner
                return self._block_of(inner) | {
                    "waiting": self._named(inner.waiting),
                    "path": child.name if child else "",
                    "child": self.sequence(child) if child else None,
                }
            case Foreach():
                return self._block_of(inner) | {
                    **self._inputs(sequence, inner.inputs),
                    "size": inner.size,
                    "next": inner.next,
                    "done": inner.done,
                    "early": {str(n): self.documents(part) for n, part in inner.early.items()},
                    "active": {str(n): self.sequence(part) for n, part in inner.active.items()},
                }
            case Try():
                return self._block_of(inner) | {
                    **self._inputs(sequence, inner.inputs),
                    "stage": inner.stage,
                    "returned": self.documents(inner.returned),
                    "failure": inner.failure.bound() if inner.failure else None,
                    "child": self.sequence(inner.inner) if inner.inner else None,
                }
            case Branches():
                return self._block_of(inner) | {
                    **self._inputs(sequence, inner.inputs),
                    "waiting": inner.waiting,
                    "ended": self._named(inner.ended),
                    "failed": [[name, each.bound()] for name, each in inner.failed.items()],
                    "active": [[name, self.sequence(part)] for name, part in inner.active.items()],
                }

    def _block_of(self, block: Scope) -> dict[str, Any]:
        found: dict[str, Any] = {"scope": block.scope, "handed": self.documents(block.handed)}
        if block.failing is not None:
            found["failing"] = block.failing.bound()
        if block.apart:
            found["apart"] = sorted(block.apart)
        if block.lost:
            found["lost"] = sorted(block.lost)
        if block.is_copy:
            found["copy"] = True
        if not isinstance(block, Paths):
            found["started"] = block.started_at_ms
        return found

    def _named(self, lists: Mapping[str, DocumentList]) -> list[list[Any]]:
        # Pairs: a name of the user's choice as a key could be taken for one of ours.
        return [[name, self.documents(part)] for name, part in lists.items()]

    def _effects(self, frame: Effects) -> dict[str, Any]:
        found: dict[str, Any] = {
            "next": frame.next,
            "outputs": self.documents(frame.outputs),
            "tries": frame.tries,
            "retries": frame.retries,
            "started": frame.started_at_ms,
            "spent": frame.duration_us,
        }
        if frame.failed is not None:
            found["failed"] = frame.failed.bound()
        if frame.due_ms:
            found["due"] = frame.due_ms
            found["held_by"] = frame.held_by.value
        if frame.node.effect is Effect.ONCE and frame.request is not None and frame.key:
            found["key"] = frame.key
            found["request"] = self._block(documents.block_of(encode_request(frame.request)))
        return found

    def _inputs(self, sequence: Sequence, inputs: DocumentList) -> dict[str, Any]:
        if len(inputs) == len(sequence.documents):
            return {}
        return {"inputs": self.documents(inputs)}

    def _block(self, block: Block) -> dict[str, Any]:
        if block.reference is None:
            return {"inline": orjson.Fragment(block.content)}
        digest = block.reference.digest
        self.blobs[digest] = Blob(digest, block.content)
        self.names[digest] = block.reference
        return {"digest": digest, "size": block.reference.size_bytes}


class _Reader:
    """Makes frames from one tree."""

    def __init__(self, blobs: Mapping[Digest, bytes]) -> None:
        self._blobs = blobs

    def documents(self, blocks: list[Any]) -> DocumentList:
        found = DocumentList()
        for block in blocks:
            found.extend(payload.decode_documents(self._content(block)))
        return found

    def sequence(
        self,
        tree: Mapping[str, Any],
        steps: tuple[StepNode, ...],
        parent: Scope | None,
        name: str = "",
    ) -> Sequence:
        error = tree.get("error")
        sequence = Sequence(
            steps,
            self.documents(tree["documents"]),
            parent,
            name,
            tree["index"],
            failures.of_bound(error) if error else None,
            dropped=tree.get("dropped", False),
        )
        if "inner" in tree:
            sequence.inner = self._inner(sequence, tree["inner"])
        return sequence

    def _inner(self, sequence: Sequence, tree: Mapping[str, Any]) -> Inner:
        node = sequence.steps[sequence.index]
        if node.kind == "operation":
            return self._effects(sequence, node, tree)
        if "pending" in tree:
            return paused_positions.restore(sequence, node, tree, self.documents)
        inputs = self.documents(tree["inputs"]) if "inputs" in tree else sequence.documents
        block = self._block_of(sequence, node, tree, inputs)
        block.handed = self.documents(tree["handed"])
        block.failing = failures.of_bound(tree["failing"]) if "failing" in tree else None
        block.apart = {DocumentId(name) for name in tree.get("apart", ())}
        block.lost = {DocumentId(name) for name in tree.get("lost", ())}
        block.is_copy = tree.get("copy", False)
        if not isinstance(block, Paths):
            block.started_at_ms = tree.get("started", 0)
        return block

    def _block_of(
        self, sequence: Sequence, node: StepNode, tree: Mapping[str, Any], inputs: DocumentList
    ) -> Scope:
        scope, per = tree["scope"], node.spec.per
        if per == "block:each":
            return self._foreach(Foreach(sequence, node, inputs, tree["size"], 0, scope), tree)
        if per == "block:paths":
            return self._branches(Branches(sequence, node, inputs, scope, []), tree)
        child = tree["child"]
        if per == "block":
            block = Try(sequence, node, inputs, scope, tree["stage"])
            block.failure = failures.of_bound(tree["failure"]) if tree["failure"] else None
            block.returned = self.documents(tree.get("returned", []))
            if child is not None:
                steps = node.paths[block.stage]
                block.inner = self.sequence(child, steps, block, block.stage)
            return block
        paths = Paths(sequence, node, inputs, self._named(tree["waiting"]), scope)
        if child is not None:
            path = tree["path"]
            paths.inner = self.sequence(child, node.paths[path], paths, path)
        return paths

    def _foreach(self, block: Foreach, tree: Mapping[str, Any]) -> Foreach:
        block.at_once = block.node.component.at_once
        block.next, block.done = tree["next"], tree["done"]
        block.early = {int(n): self.documents(part) for n, part in tree["early"].items()}
        steps = block.node.paths["steps"]
        for number, part in tree["active"].items():
            block.active[int(number)] = self.sequence(part, steps, block, number)
        return block

    def _branches(self, block: Branches, tree: Mapping[str, Any]) -> Branches:
        block.waiting = list(tree["waiting"])
        block.ended = self._named(tree["ended"])
        block.failed = {name: failures.of_bound(bound) for name, bound in tree["failed"]}
        for name, part in tree["active"]:
            block.active[name] = self.sequence(part, block.node.paths[name], block, name)
        return block

    def _named(self, lists: Any) -> dict[str, DocumentList]:
        pairs = lists.items() if isinstance(lists, dict) else lists
        return {name: self.documents(part) for name, part in pairs}

    def _effects(self, sequence: Sequence, node: StepNode, tree: Mapping[str, Any]) -> Effects:
        frame = Effects(sequence, node, tree["next"], self.documents(tree["outputs"]))
        frame.tries, frame.retries = tree["tries"], tree.get("retries", 0)
        frame.started_at_ms, frame.duration_us = tree.get("started", 0), tree.get("spent", 0)
        frame.failed = failures.of_bound(tree["failed"]) if "failed" in tree else None
        frame.due_ms = tree.get("due", 0)
        frame.held_by = WaitReason(tree.get("held_by", WaitReason.RETRY))
        if "request" in tree:
            frame.key = EffectKey(tree["key"])
            frame.request = self.request(tree["request"])
        return frame

    def request(self, block: Mapping[str, Any]) -> Request:
        stored = payload.decode_value(self._content(block))
        return Request(stored["target"], stored["body"])

    def _content(self, block: Mapping[str, Any]) -> bytes:
        if "inline" in block:
            return orjson.dumps(block["inline"])
        try:
            return self._blobs[Digest(block["digest"])]
        except KeyError:
            raise DamagedData(
                f"the position names {block['digest']}, which was not given"
            ) from None
