"""A list of processes tells which node each process belongs to."""

import json
import os
from collections.abc import Mapping, Sequence

import pytest

from molecule import serve

SETTINGS = json.dumps({"id": "n2", "data": "/srv/molecule/n2/data"})


class Became(Exception):
    """This process would be another program now."""


def test_every_child_names_its_node_and_its_data_folder() -> None:
    children = serve.Programs().of("n2", "/srv/molecule/n2/data")
    commands = (children.node, children.worker, children.gateway, children.report)
    assert {command[3:] for command in commands} == {("n2", "/srv/molecule/n2/data")}


def test_the_supervisor_names_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def become(_path: str, command: Sequence[str], _environ: Mapping[str, str]) -> None:
        raise Became(command[1:])

    monkeypatch.setattr(os, "execve", become)
    with pytest.raises(Became) as became:
        serve.run(SETTINGS)
    assert became.value.args == (["-m", "molecule.serve", "n2", "/srv/molecule/n2/data"],)
