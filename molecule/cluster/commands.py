"""Which function applies which command.

What a command means is told by the function; its fields by `commands.proto`. What stays true: every
kind in the proto has a case here, or type checking fails.
"""

from typing import Final, Literal, assert_never

from molecule.cluster import (
    apply_deployments,
    apply_draining,
    apply_effects,
    apply_executions,
    apply_gates,
    apply_membership,
    apply_nodes,
    apply_parked,
    apply_retention,
    apply_signals,
    apply_submissions,
    apply_tables,
    apply_triggers,
    apply_volatile,
    deadlines,
)
from molecule.cluster.changes import Changes
from molecule.cluster.outcome import Outcome, StopNode
from molecule.cluster.state import ClusterState
from molecule.wire.v1 import commands_pb2 as wire

VERSION: Final = 1
"""Of the meaning of commands that this software understands."""


_OfDeployments = Literal[
    "put_version", "put_environment", "activate_version", "pause_process", "settle_key"
]
_OfOthers = Literal[
    "assign_trigger", "record_group", "settle_group", "purge_ended", "record_volatile"
]
_OfGates = Literal["record_calls", "take_permits"]
_OfTables = Literal["use_table", "claim_key", "edit_table"]
_OfNodes = Literal[
    "claim_leadership",
    "register_node",
    "report_node_death",
    "expire_node",
    "report_worker_death",
    "drain_node",
    "undrain_node",
    "create_join_token",
    "admit_node",
    "forget_node",
]


def check_known(command: wire.Command) -> None:
    """Stop the node at a command of a newer software: to skip it would make replicas differ."""
    if command.version != VERSION or command.WhichOneof("kind") is None:
        raise StopNode(
            f"a command of version {command.version} that this software does not know; install"
            " the version that the other nodes run"
        )


def dispatch(state: ClusterState, command: wire.Command, changes: Changes) -> Outcome:
    """Apply one command; what is rejected has changed nothing but the timeline."""
    kind = command.WhichOneof("kind")
    match kind:
        case "submit_execution":
            return apply_submissions.submit_execution(state, command.submit_execution, changes)
        case "assign_execution":
            return apply_executions.assign_execution(state, command.assign_execution, changes)
        case "record_checkpoint":
            return apply_executions.record_checkpoint(state, command.record_checkpoint, changes)
        case "record_intents":
            return apply_effects.record_intents(state, command.record_intents, changes)
        case "confirm_effects":
            return apply_effects.confirm_effects(state, command.confirm_effects, changes)
        case "end_attempt":
            return apply_executions.end_attempt(state, command.end_attempt, changes)
        case "cancel_execution":
            return apply_executions.cancel_execution(state, command.cancel_execution, changes)
        case "resolve_effects":
            return apply_effects.resolve_effects(state, command.resolve_effects, changes)
        case "release_execution":
            return apply_executions.release_execution(state, command.release_execution, changes)
        case "fail_execution":
            return deadlines.fail_execution(state, command.fail_execution, changes)
        case "release_parked":
            return apply_parked.release_parked(state, command.release_parked, changes)
        case "fail_parked":
            return apply_parked.fail_parked(state, command.fail_parked, changes)
        case "end_hold":
            return apply_parked.end_hold(state, command.end_hold, changes)
        case "signal_execution":
            return apply_signals.signal_execution(state, command.signal_execution, changes)
        case (
            "claim_leadership"
            | "register_node"
            | "report_node_death"
            | "expire_node"
            | "report_worker_death"
            | "drain_node"
            | "undrain_node"
            | "create_join_token"
            | "admit_node"
            | "forget_node"
        ):
            return _of_nodes(state, kind, command, changes)
        case (
            "put_version" | "put_environment" | "activate_version" | "pause_process" | "settle_key"
        ):
            return _of_deployments(state, kind, command, changes)
        case "use_table" | "claim_key" | "edit_table":
            return _of_tables(state, kind, command, changes)
        case "assign_trigger" | "record_group" | "settle_group" | "purge_ended" | "record_volatile":
            return _of_others(state, kind, command, changes)
        case "record_calls" | "take_permits":
            return _of_gates(state, kind, command, changes)
        case None:
            raise StopNode("a command without a kind")
        case _:
            assert_never(kind)


def _of_nodes(
    state: ClusterState, kind: _OfNodes, command: wire.Command, changes: Changes
) -> Outcome:
    match kind:
        case "claim_leadership":
            return apply_nodes.claim_leadership(state, command.claim_leadership, changes)
        case "register_node":
            return apply_nodes.register_node(state, command.register_node, changes)
        case "report_node_death":
            return apply_nodes.report_node_death(state, command.report_node_death, changes)
        case "expire_node":
            return apply_nodes.expire_node(state, command.expire_node, changes)
        case "report_worker_death":
            return apply_nodes.report_worker_death(state, command.report_worker_death, changes)
        case "drain_node":
            return apply_draining.drain_node(state, command.drain_node, changes)
        case "undrain_node":
            return apply_draining.undrain_node(state, command.undrain_node, changes)
        case "create_join_token":
            return apply_membership.create_join_token(state, command.create_join_token, changes)
        case "admit_node":
            return apply_membership.admit_node(state, command.admit_node, changes)
        case "forget_node":
            return apply_membership.forget_node(state, command.forget_node, changes)
        case _:
            assert_never(kind)


def _of_gates(
    state: ClusterState, kind: _OfGates, command: wire.Command, changes: Changes
) -> Outcome:
    match kind:
        case "record_calls":
            return apply_gates.record_calls(state, command.record_calls, changes)
        case "take_permits":
            return apply_gates.take_permits(state, command.take_permits, changes)
        case _:
            assert_never(kind)


def _of_deployments(
    state: ClusterState, kind: _OfDeployments, command: wire.Command, changes: Changes
) -> Outcome:
    match kind:
        case "put_version":
            return apply_deployments.put_version(state, command.put_version, changes)
        case "put_environment":
            return apply_deployments.put_environment(state, command.put_environment, changes)
        case "activate_version":
            return apply_deployments.activate_version(state, command.activate_version, changes)
        case "pause_process":
            return apply_deployments.pause_process(state, command.pause_process, changes)
        case "settle_key":
            return apply_deployments.settle_key(state, command.settle_key, changes)
        case _:
            assert_never(kind)


def _of_others(
    state: ClusterState, kind: _OfOthers, command: wire.Command, changes: Changes
) -> Outcome:
    match kind:
        case "assign_trigger":
            return apply_triggers.assign_trigger(state, command.assign_trigger, changes)
        case "record_group":
            return apply_triggers.record_group(state, command.record_group, changes)
        case "settle_group":
            return apply_triggers.settle_group(state, command.settle_group, changes)
        case "purge_ended":
            return apply_retention.purge_ended(state, command.purge_ended, changes)
        case "record_volatile":
            return apply_volatile.record_volatile(state, command.record_volatile, changes)
        case _:
            assert_never(kind)


def _of_tables(
    state: ClusterState, kind: _OfTables, command: wire.Command, changes: Changes
) -> Outcome:
    match kind:
        case "use_table":
            return apply_tables.use_table(state, command.use_table, changes)
        case "claim_key":
            return apply_tables.claim_key(state, command.claim_key, changes)
        case "edit_table":
            return apply_tables.edit_table(state, command.edit_table, changes)
        case _:
            assert_never(kind)
