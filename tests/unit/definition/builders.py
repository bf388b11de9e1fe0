"""Processes for tests of the checks: only what a test is about stands in it."""

from molecule.component.registry import Registry, discover
from molecule.config import Limits
from molecule.definition.definition import ProcessDefinition
from molecule.definition.parse import Parsed, parse_process
from molecule.model.errors import Finding

REGISTRY: Registry = discover(extensions=False)
CONNECTIONS = {"desk": "http", "warehouse": "sql", "inbox": "file"}


def parse(text: str, limits: Limits | None = None) -> Parsed:
    """The process, in a repository with three connections and one table."""
    return parse_process(
        text.encode(),
        "p.yaml",
        REGISTRY,
        limits or Limits(),
        connections=CONNECTIONS,
        tables={"airlines"},
    )


def with_steps(steps: str, options: str = "{}") -> Parsed:
    """A process with these steps, given as one flow list from line 5 on."""
    return parse(f"molecule: 1\nprocess: p\noptions: {options}\nsteps:\n{steps}\n")


def sound(parsed: Parsed) -> ProcessDefinition:
    """The definition, which must have no findings."""
    assert parsed.findings == ()
    assert parsed.definition is not None
    return parsed.definition


def told(findings: tuple[Finding, ...]) -> list[str]:
    """As people read them."""
    return [str(finding) for finding in findings]
