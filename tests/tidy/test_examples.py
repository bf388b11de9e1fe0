"""What the README and the first page tell users to write is accepted as it stands there."""

import re

from molecule.component import registry
from molecule.definition import package
from molecule.model.errors import Finding
from tests.tidy.source import ROOT

ENVIRONMENT = """environment: dev
connections:
  rates: {base_url: "https://rates.example.com"}
  store: {url: "sqlite:////tmp/rates.db"}
"""
CONNECTIONS = {
    "connections/rates.yaml": "connection: rates\nconnector: http\n",
    "connections/store.yaml": "connection: store\nconnector: sql\n",
}


def findings(files: dict[str, str]) -> tuple[Finding, ...]:
    content = {path: text.encode() for path, text in files.items()}
    return package.build(content, "dev", registry.discover(extensions=False)).findings


def example(page: str, pattern: str) -> str:
    found = re.search(pattern, (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_process_of_the_readme_is_accepted() -> None:
    process = example("README.md", r"greet\.yaml <<'END'\n(.*?)END\n")
    environment = example("README.md", r"echo '(environment: dev)' >")
    files = {"processes/greet.yaml": process, "environments/dev.yaml": environment}
    assert findings(files) == ()


def test_the_process_of_the_first_page_is_accepted() -> None:
    process = example("docs/start.md", r"```yaml\n(molecule: 1\n.*?)```")
    files = {"processes/keep.yaml": process, "environments/dev.yaml": ENVIRONMENT, **CONNECTIONS}
    assert findings(files) == ()


def test_a_fault_in_an_example_would_be_found() -> None:
    process = example("README.md", r"greet\.yaml <<'END'\n(.*?)END\n").replace("map", "mop")
    files = {"processes/greet.yaml": process, "environments/dev.yaml": "environment: dev"}
    assert findings(files)
