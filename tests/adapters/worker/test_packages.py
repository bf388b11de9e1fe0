"""Opened processes, their clients, and secrets."""

from pathlib import Path

import pytest

from molecule.config import Limits
from molecule.definition import package
from molecule.model.errors import InvalidConfig, NotFound
from molecule.worker.packages import Packages, credential
from tests.adapters.worker.test_host import FILES
from tests.fakes import target as fake_target


class Desk:
    """A client that knows whether it was closed."""

    is_closed = False

    async def open(self) -> None: ...

    async def close(self) -> None:
        self.is_closed = True


def given() -> tuple[Packages, str, bytes]:
    registry = fake_target.registry()
    made = package.build(FILES, "test", registry)
    packages = Packages(registry, Limits())
    packages.put(made.versions[0].version, made.versions[0].package)
    packages.put("environment:test", made.environment_settings)
    return packages, made.versions[0].version, made.environment_settings


def test_a_process_is_opened_once() -> None:
    packages, version, _ = given()
    assert packages.open(version, "test") is packages.open(version, "test")


def test_other_settings_open_it_anew() -> None:
    packages, version, settings = given()
    first = packages.open(version, "test")
    packages.put("environment:test", settings.replace(b'"values":{}', b'"values":{"site":"A"}'))
    assert packages.open(version, "test") is not first


async def test_clients_of_a_process_that_is_let_go_are_closed_after_its_last_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("molecule.worker.packages._OPENED_MAX", 1)
    packages, version, settings = given()

    def others() -> None:
        """Enough other settings to let the first go."""
        for site in (b"A", b"B"):
            values = b'"values":{"site":"%b"}' % site
            packages.put("environment:test", settings.replace(b'"values":{}', values))
            with packages.using(version, "test"):
                pass

    with packages.using(version, "test") as first:
        desk = first._clients["desk"] = Desk()
        with packages.using(version, "test"):
            others()
        await packages.close_unused()
        before = desk.is_closed
    await packages.close_unused()
    assert (before, desk.is_closed) == (False, True)
    await packages.close()


def test_what_was_not_given_is_not_found() -> None:
    packages, version, _ = given()
    with pytest.raises(NotFound):
        packages.open(version, "other")


async def test_a_step_without_a_connection_has_no_client() -> None:
    packages, version, _ = given()
    assert await packages.open(version, "test").client(None) is None


def test_a_credential_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_TOKEN", "s3")
    assert credential("env:DESK_TOKEN") == "s3"


def test_a_credential_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3\n")
    assert credential(f"file:{tmp_path / 'token'}") == "s3"


@pytest.mark.parametrize("reference", ["env:NOT_THERE_AT_ALL", "file:/no/such/file", "plain"])
def test_a_credential_that_is_missing_is_told_by_its_reference(reference: str) -> None:
    with pytest.raises(InvalidConfig, match=reference):
        credential(reference)
