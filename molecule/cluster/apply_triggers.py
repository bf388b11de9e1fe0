"""Commands about triggers and the groups of executions that their events become.

Which node should run a trigger belongs to `scheduler.triggers`. What stays true: a trigger runs on
at most one node, and what a group has read never goes back.
"""

from molecule.cluster import placement, records, tokens
from molecule.cluster.apply_deployments import drop_trigger
from molecule.cluster.changes import Changes
from molecule.cluster.outcome import Applied, Outcome, Rejected
from molecule.cluster.state import ClusterState, Group, TriggerAssignment
from molecule.model.ids import GroupId, NodeId, ProcessName, Token
from molecule.wire.v1 import commands_pb2 as wire


def assign_trigger(state: ClusterState, command: wire.AssignTrigger, changes: Changes) -> Outcome:
    """Give a deployment's trigger to a node under a new token, or take it away (no node)."""
    if command.epoch != state.epoch:
        return Rejected("stale_epoch", {"current": state.epoch})
    name = (command.environment, ProcessName(command.process))
    if not command.node:
        if name not in state.triggers:
            return Applied(0, {"repeated": True})
        drop_trigger(state, changes, name)
        return Applied()
    deployment = state.deployments.get(name)
    if deployment is None:
        return Rejected("unknown_deployment")
    version = state.versions[deployment.process, deployment.version]
    if not deployment.trigger_on or not version.has_trigger:
        return Rejected("trigger_off")
    node = state.nodes.get(NodeId(command.node))
    if node is None or node.incarnation != command.incarnation:
        return Rejected("stale_incarnation")
    if not node.is_schedulable:
        return Rejected("not_schedulable")
    if not placement.fits(version, node):
        return Rejected("labels")

    changes.dirty.mark("triggers", "/".join(name))
    changes.triggers[name] = None
    state.token_last = Token(state.token_last + 1)
    state.triggers[name] = TriggerAssignment(
        environment=command.environment,
        process=name[1],
        version=version.id,
        node=node.id,
        incarnation=node.incarnation,
        token=state.token_last,
        assigned_at_ms=state.time_ms,
    )
    return Applied(state.token_last)


def record_group(state: ClusterState, command: wire.RecordGroup, changes: Changes) -> Outcome:
    """Note how far a trigger event was read; numbers only grow.

    Refused when the same entry refused a submission of this trigger for lack of room.
    """
    name = (command.environment, ProcessName(command.process))
    if not tokens.may_fire(state, name, command.trigger_token):
        return _late(state, name)
    if command.trigger_token in changes.turned_away:
        # Progress over a record that had no room would lose it for ever.
        return Rejected("overloaded")
    if not command.group:
        return Rejected("invalid", {"field": "group"})
    group = state.groups.get(GroupId(command.group))
    if group is not None and (group.environment, group.process) != name:
        return Rejected("already_exists")

    changes.dirty.mark("groups", command.group)
    changes.groups[command.group] = None
    if group is None:
        group = state.groups[GroupId(command.group)] = Group(GroupId(command.group), *name)
    # The same word again must not write its bad records twice: it brings nothing new.
    is_new = (command.through, command.rejected) > (group.through, group.rejected)
    group.name = command.name or group.name
    group.through = max(group.through, command.through)
    group.closed = group.closed or command.closed
    group.rejected = max(group.rejected, command.rejected)
    if is_new:
        records.keep_bad_records(state, group, command.bad_records, changes)
    return Applied(group.through)


def settle_group(state: ClusterState, command: wire.SettleGroup, changes: Changes) -> Outcome:
    """Forget a group whose end was acted upon."""
    group = state.groups.get(GroupId(command.group))
    if group is None:
        return Applied(0, {"repeated": True})
    name = (group.environment, group.process)
    if not tokens.may_fire(state, name, command.trigger_token):
        return _late(state, name)
    if not group.is_done:
        return Rejected("not_done", {"open": group.open, "closed": group.closed})

    changes.dirty.mark("groups", group.id)
    changes.groups[group.id] = None
    del state.groups[group.id]
    return Applied()


def _late(state: ClusterState, name: tuple[str, ProcessName]) -> Outcome:
    state.totals["late_words"] += 1
    trigger = state.triggers.get(name)
    return Rejected("stale_token", {"current": trigger.token if trigger is not None else 0})
