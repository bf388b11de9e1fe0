"""What is found wrong in one step."""

from molecule.config import Limits
from molecule.definition.parse import parse_process
from tests.components.calls import REGISTRY


def faults_of(step: str) -> list[str]:
    """The findings of a process with this one step, as people read them."""
    text = f"molecule: 1\nprocess: p\nsteps: [{step}]\n"
    parsed = parse_process(text.encode(), "p.yaml", REGISTRY, Limits())
    return [str(finding) for finding in parsed.findings]
