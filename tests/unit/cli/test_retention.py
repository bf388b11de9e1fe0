"""`molecule retention`: what destroys asks first."""

import pytest

from tests.fakes.door import FakeDoor
from tests.unit.cli.conftest import Shell


@pytest.mark.parametrize(("more", "asks"), [((), True), (("--yes",), False), (("--plan",), False)])
def test_a_purge_asks_first(
    shell: Shell, door: FakeDoor, more: tuple[str, ...], *, asks: bool
) -> None:
    door.resources["retention"] = {}
    said = shell.run("retention", "purge", "--class", "history", *more)
    assert (not shell.nodes.asked) == asks
    assert ("add --yes" in said.talk) == asks
