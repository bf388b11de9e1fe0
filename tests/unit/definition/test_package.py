"""Repositories of several files, and packages as bytes."""

import hashlib

import pytest

from molecule.config import Limits
from molecule.definition.built import Built
from molecule.definition.package import build, open_package
from molecule.model.document import Document
from molecule.model.effect import ErrorClass
from molecule.model.errors import DamagedData, InvalidProcess, StepError
from molecule.model.ids import DocumentId
from tests.unit.definition.builders import REGISTRY, told
from tests.unit.definition.late_flights import FILES


def with_files(**changed: bytes | None) -> Built:
    """The late-flights repository with some files changed; `a__b` is `a/b`, None takes one away."""
    files: dict[str, bytes] = dict(FILES)
    for name, content in changed.items():
        folder, _, rest = name.partition("__")
        suffix = ".csv" if folder == "tables" else ".yaml"
        path = f"{folder}/{rest.replace('_', '-')}{suffix}"
        files.pop(path, None)
        if content is not None:
            files[path] = content
    return build(files, "dev", REGISTRY)


def an_environment(**connections: str) -> bytes:
    texts = {
        "inbox": "{root: /srv/inbox}",
        "warehouse": '{url: "sqlite:////srv/late.db"}',
        "airline_desk": '{base_url: "https://desk.internal"}',
        **connections,
    }
    lines = [f"  {name.replace('_', '-')}: {text}" for name, text in texts.items()]
    return ("environment: dev\nconnections:\n" + "\n".join(lines) + "\n").encode()


def test_a_version_is_the_sha256_of_its_package_whatever_the_order_of_files() -> None:
    once = build(FILES, "dev", REGISTRY).versions[0]
    again = build(dict(reversed(FILES.items())), "dev", REGISTRY).versions[0]
    assert once.version == hashlib.sha256(once.package).hexdigest()
    assert once == again


def test_another_environment_gives_the_same_version() -> None:
    other = FILES["environments/dev.yaml"].replace(b"environment: dev", b"environment: prod")
    files = {**FILES, "environments/prod.yaml": other}
    versions = [build(files, name, REGISTRY).versions[0].version for name in ("dev", "prod")]
    assert versions[0] == versions[1]


@pytest.mark.parametrize("path", ["processes/late-flights.yaml", "tables/airlines.csv"])
def test_a_change_in_a_file_it_uses_gives_another_version(path: str) -> None:
    changed = build({**FILES, path: FILES[path] + b"\n"}, "dev", REGISTRY)
    assert changed.versions[0].version != build(FILES, "dev", REGISTRY).versions[0].version


def test_a_file_it_does_not_use_changes_nothing() -> None:
    more = with_files(connections__other=b"connection: other\nconnector: file\n")
    assert more.versions == build(FILES, "dev", REGISTRY).versions


def test_faults_of_all_files_are_found_at_once() -> None:
    built = with_files(
        connections__inbox=b"connection: outbox\nconnector: fil\n",
        connections__airline_desk=(
            b"connection: airline-desk\nconnector: http\n"
            b"options: {base_url: 'http://x', poool: 1}\nbreaker: {}\n"
        ),
        tables__airlines=b"carrier,name\nUA\nAA,x\nAA,y\n,z\n",
        environments__dev=an_environment(warehouse="{url: 'mysql://x'}") + b"routes: {}\n",
        processes__late_flights=b"molecule: 1\n",
    )
    assert built.versions == ()
    assert built.environment_settings == b""
    text = "\n".join(told(built.findings))
    for what in (
        "addresses belong into environments/",
        "unknown field poool (did you mean pool?)",
        "breaker: failures is missing",
        "environments/dev.yaml:6:1 routes: routes comes later",
        "is outbox, the file is called inbox",
        "there is no connector fil (did you mean file?)",
        "tables/airlines.csv:2:1 1 fields, the first line has 2",
        "tables/airlines.csv:4:1 carrier: the key 'AA' stands twice",
        "tables/airlines.csv:5:1 carrier: the key is empty",
        "the process has no name",
        "steps is missing",
    ):
        assert what in text


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ("{}", "base_url is missing"),
        ("{base_url: 'ftp://x'}", "base_url: must be http"),
        ("{base_url: 'http://user:pw@x'}", "without secrets"),
        ("{base_url: 'http://x', credential: hunter2}", "must refer to a secret, not be one"),
        ("{base_url: 'http://x', pol: 1}", "unknown field pol"),
        ("{base_url: 'http://x', auth: {type: digest}}", "auth.type: must be one of"),
        ("{base_url: 'http://x', auth: {type: bearer}}", "needs a credential"),
        ('{base_url: "http://x", headers: {"a b": c}}', "is no header"),
    ],
)
def test_bad_settings_of_a_connection_are_told_with_its_name(settings: str, what: str) -> None:
    built = with_files(environments__dev=an_environment(airline_desk=settings))
    found = [finding for finding in built.findings if what in finding.what]
    assert found, told(built.findings)
    assert found[0].where.startswith("connections.airline-desk")
    assert found[0].line == 5


def test_missing_files_are_told() -> None:
    assert "add environments/dev.yaml" in str(with_files(environments__dev=None).findings[0])
    assert "add connections/inbox.yaml" not in str(build(FILES, "dev", REGISTRY).findings)
    missing = with_files(connections__inbox=None, tables__airlines=None)
    text = "\n".join(told(missing.findings))
    assert "there is no connection inbox" in text
    assert "there is no table airlines (add tables/airlines.csv)" in text
    assert "there is no process" in str(with_files(processes__late_flights=None).findings[0])


def test_one_process_in_two_files_is_refused() -> None:
    twice = with_files(processes__copy=FILES["processes/late-flights.yaml"])
    assert "late-flights stands in two files" in str(twice.findings[0])


def test_connections_and_tables_may_stand_in_folders_and_travel_with_the_version() -> None:
    moved = {
        path.replace("connections/", "connections/team/").replace("tables/", "tables/team/"): text
        for path, text in FILES.items()
    }
    built = build(moved, "dev", REGISTRY)
    assert built.findings == ()
    opened = open_package(built.versions[0].package, built.environment_settings, REGISTRY)
    as_ever = build(FILES, "dev", REGISTRY)
    same = open_package(as_ever.versions[0].package, as_ever.environment_settings, REGISTRY)
    assert opened.tables == same.tables
    assert sorted(opened.connections) == sorted(same.connections)


def test_a_name_that_two_files_have_is_refused() -> None:
    files = dict(FILES)
    files["connections/team/inbox.yaml"] = files["connections/inbox.yaml"]
    files["tables/team/airlines.csv"] = files["tables/airlines.csv"]
    assert told(build(files, "dev", REGISTRY).findings) == [
        (
            "connections/team/inbox.yaml:1:1 inbox stands in connections/inbox.yaml too "
            "(each needs a name of its own)"
        ),
        (
            "tables/team/airlines.csv:1:1 airlines stands in tables/airlines.csv too "
            "(each needs a name of its own)"
        ),
    ]


def test_a_table_that_is_not_utf_8_is_told_with_its_line() -> None:
    built = with_files(tables__airlines=FILES["tables/airlines.csv"] + b"X,\xff\n")
    assert [f.what for f in built.findings] == ["not UTF-8"]


def test_only_a_line_end_ends_a_row_of_a_table() -> None:
    table = FILES["tables/airlines.csv"] + "XX,A\u2028B\x0cC\n".encode()
    built = with_files(tables__airlines=table)
    assert built.findings == ()


def test_a_package_over_the_bound_is_refused() -> None:
    built = build(FILES, "dev", REGISTRY, Limits(package_bytes_max=100))
    assert "package_bytes_max" in built.findings[0].what


def test_an_environment_that_does_not_fit_is_refused_at_opening() -> None:
    built = build(FILES, "dev", REGISTRY)
    poorer = with_files(environments__dev=an_environment()).environment_settings
    without = poorer.replace(b"base_url", b"base_uri")
    with pytest.raises(InvalidProcess, match="base_url is missing"):
        open_package(built.versions[0].package, without, REGISTRY)


@pytest.mark.parametrize("garbage", [b"", b"[]", b"{}", b'{"format":2,"files":{}}', b"\xff"])
def test_bytes_that_are_no_package_are_damaged_data(garbage: bytes) -> None:
    settings = build(FILES, "dev", REGISTRY).environment_settings
    with pytest.raises(DamagedData):
        open_package(garbage, settings, REGISTRY)
    with pytest.raises(DamagedData):
        open_package(build(FILES, "dev", REGISTRY).versions[0].package, garbage, REGISTRY)


def test_a_door_refuses_a_document_without_the_key() -> None:
    built = build(FILES, "dev", REGISTRY)
    door = open_package(built.versions[0].package, built.environment_settings, REGISTRY).door
    with pytest.raises(StepError, match=r"options\.concurrency\.by: tailnum must give a text") as e:
        door.stamp([Document(DocumentId("0"), {"flight": "1", "carrier": "UA"})], now_ms=0)
    assert e.value.error_class is ErrorClass.DATA


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (
            Limits(concurrency_key_length_max=5),
            "options.concurrency.by gives 6 characters, over the limit concurrency_key_length_max",
        ),
        (
            Limits(track_value_length_max=1),
            "options.track.flight gives 3 characters, over the limit track_value_length_max",
        ),
    ],
)
def test_a_door_refuses_keys_over_their_limit(limits: Limits, said: str) -> None:
    built = build(FILES, "dev", REGISTRY)
    opened = open_package(built.versions[0].package, built.environment_settings, REGISTRY, limits)
    document = Document(DocumentId("0"), {"flight": "1", "carrier": "UA", "tailnum": "N14228"})
    with pytest.raises(StepError, match=said) as refused:
        opened.door.stamp([document], now_ms=0)
    assert refused.value.error_class is ErrorClass.LIMIT


def test_a_trigger_switched_off_or_not_named_is_off() -> None:
    assert not with_files(environments__dev=an_environment()).versions[0].trigger_on
    off = an_environment() + b"triggers: {late-flights: off}\n"
    assert not with_files(environments__dev=off).versions[0].trigger_on
    unknown = an_environment() + b"triggers: {late-flihgts: on}\n"
    assert "there is no process late-flihgts" in str(with_files(environments__dev=unknown).findings)
