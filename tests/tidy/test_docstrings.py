"""Every module and nearly every public definition says what it is for."""

from tests.tidy import docstrings
from tests.tidy.source import Source, hold, sources

SHARE_PERCENT = 90


def test_every_module_says_its_duty() -> None:
    hold(docstrings.module_faults(sources("molecule", "tests", "chaos")))


def test_public_definitions_state_their_contract() -> None:
    missing, count = docstrings.undocumented(sources("molecule", "chaos"))
    assert 100 * (count - len(missing)) >= SHARE_PERCENT * count, missing


def test_the_rule_finds_a_module_without_a_docstring() -> None:
    assert docstrings.module_faults([Source("molecule/x.py", "x = 1")])


def test_the_rule_counts_public_definitions_only() -> None:
    text = 'class A:\n    def b(self): ...\n    def _c(self): ...\ndef d():\n    """Get d."""\n'
    missing, count = docstrings.undocumented([Source("molecule/x.py", text)])
    assert (len(missing), count) == (2, 3)
