"""Names and numbers of things, as distinct types.

Ids are text that sorts; numbers are integers that only grow. Who mints which stands beside each.
"""

from typing import NewType

NodeId = NewType("NodeId", str)
"""A member of the cluster; written in its configuration."""

ExecutionId = NewType("ExecutionId", str)
"""One run of one version; made by the door that received the submission, before it is proposed."""

ProcessName = NewType("ProcessName", str)
VersionId = NewType("VersionId", str)
"""Content hash of an immutable deployed process: `sha256` in hex, 64 characters."""

Digest = NewType("Digest", str)
"""`sha256` of a payload in hex: the name of a document's bytes in the document store."""

StepId = NewType("StepId", str)
DocumentId = NewType("DocumentId", str)
"""Made from the parent's id and the position among its children: a repeat gives the same."""

EffectKey = NewType("EffectKey", str)
"""`origin execution/step/document`: the same on every attempt, retry and re-drive."""

IdempotencyKey = NewType("IdempotencyKey", str)

SignalId = NewType("SignalId", str)
"""The idempotency key under which a signal was told to an execution."""

Term = NewType("Term", int)
"""Raft's election number. For logs and metrics only."""

Epoch = NewType("Epoch", int)
"""Leadership number, minted when a claim commits; leader commands carry it."""

Token = NewType("Token", int)
"""Fencing token of one assignment, minted at commit, strictly growing in the whole cluster."""

Incarnation = NewType("Incarnation", int)
"""One life of a node process, minted when its registration commits, strictly growing."""

GroupId = NewType("GroupId", str)
"""The executions of one trigger event (a file, say), acted upon when all are terminal."""
