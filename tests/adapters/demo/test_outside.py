"""What the demo ships and prepares."""

from pathlib import Path

import pytest

from molecule.component import registry
from molecule.definition import package
from molecule.demo import outside
from molecule.demo.outside import Outside


def test_all_flights_of_january_are_shipped() -> None:
    assert len(outside.flights()) == 27_004


def test_the_repository_holds_process_connections_table_and_addresses(tmp_path: Path) -> None:
    files = Outside(tmp_path, {}).repository()
    assert set(files) == {
        "processes/late-flights.yaml",
        "processes/probe.yaml",
        "connections/inbox.yaml",
        "connections/warehouse.yaml",
        "connections/airline-desk.yaml",
        "tables/airlines.csv",
        "environments/demo.yaml",
    }
    assert str(tmp_path / "inbox") in files["environments/demo.yaml"]


def test_a_world_in_which_nothing_happened_lacks_everything(tmp_path: Path) -> None:
    world = Outside(tmp_path, {})
    world.prepare()
    counted = world.count()
    assert (counted.rows_expected, counted.rows_found, counted.missing) == (4918, 0, 4918)


def test_the_file_arrives_whole(tmp_path: Path) -> None:
    world = Outside(tmp_path, {})
    world.prepare()
    world.deliver()
    assert [path.name for path in world.inbox.iterdir()] == [outside.FLIGHTS_FILE]


def test_an_earlier_run_is_cleared(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    Outside(folder, {}).prepare()
    outside.clear(folder)
    assert not folder.exists()
    outside.clear(folder)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="name another folder"):
        outside.clear(tmp_path)


def test_the_shipped_processes_have_no_faults(tmp_path: Path) -> None:
    files = {path: text.encode() for path, text in Outside(tmp_path, {}).repository().items()}
    built = package.build(files, outside.ENVIRONMENT, registry.discover(extensions=False))
    assert (built.findings, built.warnings) == ((), ())
    assert {version.process for version in built.versions} == {"late-flights", "probe"}
