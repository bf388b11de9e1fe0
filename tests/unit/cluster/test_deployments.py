"""Versions, environments, activations, triggers and groups."""

from typing import Any

import pytest

from molecule.cluster import listening, restoring, rows, views
from molecule.cluster.outcome import Applied, Rejected
from molecule.wire.v1 import commands_pb2 as wire
from tests.unit.cluster.builders import ENVIRONMENT, Replica, reason, stored


def put(replica: Replica, **fields: object) -> str:
    defaults: dict[str, object] = {"process": "p", "version": "v1"}
    return reason(replica.say(put_version=wire.PutVersion(**{**defaults, **fields})))  # type: ignore[arg-type]  # defaults of a test


@pytest.mark.parametrize(
    "fields",
    [
        {"process": ""},
        {"process": "a/b"},
        {"version": ""},
        {"options": wire.VersionOptions(failover="hope")},
        {"options": wire.VersionOptions(on_dead_letter="weep")},
    ],
)
def test_senseless_version_is_refused(fields: dict[str, object]) -> None:
    assert put(Replica(), **fields) == "invalid"


def test_version_never_changes() -> None:
    replica = Replica()
    again = replica.say(
        put_version=wire.PutVersion(
            process="orders", version="v1", options=wire.VersionOptions(priority=9)
        )
    )
    assert again == Applied(0, {"repeated": True})
    assert next(iter(replica.state.versions.values())).priority == 0


def test_an_execution_stays_on_its_version_whatever_becomes_active_and_whoever_has_it() -> None:
    replica = Replica()
    replica.start("e1", "n1")
    replica.submit("e2")
    replica.say(
        put_version=wire.PutVersion(
            process="orders", version="v2", options=wire.VersionOptions(failover="fail")
        )
    )
    activate = wire.ActivateVersion(environment=ENVIRONMENT, process="orders", version="v2")
    assert isinstance(replica.say(activate_version=activate), Applied)
    replica.say(report_node_death=wire.ReportNodeDeath(node="n1", life="1"))
    replica.assign("e1", "n2")
    replica.assign("e2", "n2")
    replica.start("e3", "n2")
    versions = {name: replica.execution(name).version for name in ("e1", "e2", "e3")}
    assert versions == {"e1": "v1", "e2": "v1", "e3": "v2"}
    assert replica.execution("e1").attempts == 2


def test_activation_needs_version_and_environment() -> None:
    replica = Replica()

    def activate(environment: str, version: str) -> str:
        return reason(
            replica.say(
                activate_version=wire.ActivateVersion(
                    environment=environment, process="orders", version=version
                )
            )
        )

    assert activate("prod", "v1") == "unknown_environment"
    assert activate(ENVIRONMENT, "v2") == "unknown_version"
    assert activate(ENVIRONMENT, "v1") == ""


def test_new_settings_take_the_place_of_old_ones() -> None:
    replica = Replica()

    def settings(digest: str) -> object:
        return replica.say(
            put_environment=wire.PutEnvironment(
                environment=ENVIRONMENT, settings=stored(digest), digest=digest
            )
        )

    settings("one")
    assert settings("one") == Applied(0, {"repeated": True})
    settings("two")
    assert [*replica.state.documents] == ["two"]


def assign_trigger(replica: Replica, node: str = "n1", **fields: int) -> object:
    return replica.say(
        assign_trigger=wire.AssignTrigger(
            epoch=fields.get("epoch", replica.state.epoch),
            environment=ENVIRONMENT,
            process="files",
            node=node,
            incarnation=fields.get("incarnation", 1),
        )
    )


def test_trigger_goes_only_where_it_is_wanted_and_fits() -> None:
    replica = Replica()
    assert assign_trigger(replica) == Rejected("unknown_deployment")
    replica.deploy("files", has_trigger=True)
    assert assign_trigger(replica) == Rejected("trigger_off")
    replica.say(
        activate_version=wire.ActivateVersion(
            environment=ENVIRONMENT, process="files", version="v1", trigger_on=True
        )
    )
    assert assign_trigger(replica, epoch=0) == Rejected("stale_epoch", {"current": 1})
    assert assign_trigger(replica, incarnation=9) == Rejected("stale_incarnation")
    assert assign_trigger(replica) == Applied(1)
    assert views.deployments(replica.state)[0]["trigger_node"] == "n1"


def test_trigger_that_needs_a_label_is_not_given_elsewhere() -> None:
    replica = Replica()
    replica.deploy("files", trigger_on=True, has_trigger=True, require={"disk": "fast"})
    assert assign_trigger(replica) == Rejected("labels")


def test_trigger_is_taken_away_once() -> None:
    replica = Replica()
    replica.deploy("files", trigger_on=True, has_trigger=True)
    assign_trigger(replica)
    assert assign_trigger(replica, node="") == Applied()
    assert assign_trigger(replica, node="") == Applied(0, {"repeated": True})


def test_new_settings_restart_the_triggers_of_their_environment() -> None:
    replica = Replica()
    replica.deploy("files", trigger_on=True, has_trigger=True)
    assign_trigger(replica)
    replica.say(put_environment=wire.PutEnvironment(environment=ENVIRONMENT, digest="2"))
    assert replica.state.triggers == {}


def test_bad_records_of_a_group_are_written_once() -> None:
    replica = Replica()
    replica.deploy("files", trigger_on=True, has_trigger=True)
    assign_trigger(replica)
    word = wire.RecordGroup(
        group="g",
        environment=ENVIRONMENT,
        process="files",
        trigger_token=1,
        through=4,
        rejected=1,
        bad_records=[wire.DeadLetter(document="row 3", error="not a number")],
    )
    first = replica.result(record_group=word)
    again = replica.result(record_group=word)
    (letter,) = first.changes.dead_letters
    assert (letter.group, letter.document, letter.execution) == ("g", "row 3", "")
    assert again.changes.dead_letters == []


def test_group_belongs_to_one_process() -> None:
    replica = Replica()
    for process in ("files", "mails"):
        replica.deploy(process, trigger_on=True, has_trigger=True)
    assign_trigger(replica)
    replica.say(
        assign_trigger=wire.AssignTrigger(
            epoch=1, environment=ENVIRONMENT, process="mails", node="n1", incarnation=1
        )
    )

    def record(process: str, token: int) -> str:
        word = wire.RecordGroup(
            group="g", environment=ENVIRONMENT, process=process, trigger_token=token
        )
        return reason(replica.say(record_group=word))

    assert record("files", 1) == ""
    assert record("mails", 2) == "already_exists"


def a_listener(**fields: Any) -> wire.Listener:
    told = {"method": "POST", "path": "/orders/{id}", "reply": "result", "auth": "token"}
    return wire.Listener(**{**told, **fields})


def listening_views(replica: Replica) -> list[tuple[str, str]]:
    return [(view["process"], view["path"]) for view in listening.views(replica.state)]


def test_path_of_another_active_version_is_refused_whatever_its_parameters_are_called() -> None:
    replica = Replica()
    replica.deploy("first", trigger_on=True, listener=a_listener())
    replica.deploy("second", listener=a_listener(path="/orders/{order}"))
    activate = wire.ActivateVersion(
        environment=ENVIRONMENT, process="second", version="v1", trigger_on=True
    )
    refused = replica.say(activate_version=activate)
    facts = {"process": "first", "path": "POST /orders/{order}"}
    assert refused == Rejected("path_taken", facts)
    assert listening_views(replica) == [("first", "/orders/{id}")]


def test_path_is_free_once_its_trigger_is_switched_off() -> None:
    replica = Replica()
    replica.deploy("first", trigger_on=True, listener=a_listener())
    replica.deploy("first", trigger_on=False, listener=a_listener())
    replica.deploy("second", trigger_on=True, listener=a_listener())
    assert listening_views(replica) == [("second", "/orders/{id}")]


def test_other_method_or_environment_is_another_claim() -> None:
    replica = Replica()
    replica.say(put_environment=wire.PutEnvironment(environment="prod", digest="1"))
    replica.deploy("first", trigger_on=True, listener=a_listener())
    replica.deploy("second", trigger_on=True, listener=a_listener(method="GET"))
    activate = wire.ActivateVersion(
        environment="prod", process="first", version="v1", trigger_on=True
    )
    assert replica.say(activate_version=activate) == Applied()
    assert len(listening_views(replica)) == 3


@pytest.mark.parametrize(
    "fields", [{"method": "TRACE"}, {"path": "orders"}, {"path": "/a/.."}, {"auth": "mtls"}]
)
def test_listener_that_no_gateway_could_keep_is_refused(fields: dict[str, str]) -> None:
    put = wire.PutVersion(
        process="p", version="v1", options=wire.VersionOptions(listener=a_listener(**fields))
    )
    assert Replica().say(put_version=put) == Rejected("invalid", {"field": "listener"})


def test_listener_survives_a_snapshot() -> None:
    replica = Replica()
    replica.deploy("first", trigger_on=True, listener=a_listener(timeout_ms=5, checked=True))
    restored = restoring.state_from(rows.every(replica.state), index=replica.state.index)
    assert listening.views(restored) == listening.views(replica.state) != []
