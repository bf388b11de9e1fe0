"""Which cluster a command talks to: a small JSON file with addresses, authority and token file."""

import json
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from molecule.cli.failures import ExitCode, Failure

VARIABLE: Final = "MOLECULE_CONTEXT"
PLACE: Final = Path(".molecule") / "context.json"
_NONE_YET: Final = (
    f"start a local cluster with: molecule up\nor name a file with --context or {VARIABLE}"
)


@dataclass(frozen=True, slots=True)
class Context:
    """Where the nodes are, whom to trust, who we are."""

    source: str
    urls: tuple[str, ...]
    ca: Path
    token_file: Path | None
    is_production: bool = False
    """Somebody marked it so: what breaks things on purpose asks twice."""
    chaos: Any = None
    """What stands under `chaos`, read by `molecule chaos` alone."""

    def token(self) -> str:
        """The token to send; empty when the context names no file."""
        if self.token_file is None:
            return ""
        try:
            return self.token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Failure(
                f"the token file {self.token_file} cannot be read",
                why=error.strerror or str(error),
                then=f"mend `token_file` in {self.source}",
            ) from None

    def trust(self) -> ssl.SSLContext:
        """TLS 1.3 with this authority and no other."""
        try:
            trust = ssl.create_default_context(cafile=str(self.ca))
        except OSError as error:
            raise Failure(
                f"the authority's certificate {self.ca} cannot be used",
                why=error.strerror or str(error),
                then=f"mend `ca` in {self.source}",
            ) from None
        trust.minimum_version = ssl.TLSVersion.TLSv1_3
        return trust


def find(named: Path | None, *, start: Path) -> Context:
    """The context named, else that of the environment, else the first one found upwards."""
    if named is None and os.environ.get(VARIABLE):
        named = Path(os.environ[VARIABLE])
    if named is not None:
        return load(named)
    for folder in (start, *start.parents):
        if (folder / PLACE).is_file():
            return load(folder / PLACE)
    raise Failure(
        "no cluster is known",
        why=f"there is no {PLACE} in {start} or above",
        then=_NONE_YET,
        code=ExitCode.WRONG_USAGE,
    )


def load(path: Path) -> Context:
    """The context in this file; relative paths in it start at its folder."""
    try:
        told = json.loads(path.read_bytes())
    except OSError as error:
        why = error.strerror or str(error)
        raise _unusable(path, why) from None
    except ValueError as error:
        raise _unusable(path, f"it is not JSON: {error}") from None
    fault = _fault(told)
    if fault:
        raise _unusable(path, fault)
    token_file = told.get("token_file")
    return Context(
        source=str(path),
        urls=tuple(url.rstrip("/") for url in told["urls"]),
        ca=path.parent / told["ca"],
        token_file=path.parent / token_file if token_file else None,
        is_production=told.get("production", False),
        chaos=told.get("chaos"),
    )


def _unusable(path: Path, why: str) -> Failure:
    return Failure(
        f"the context {path} cannot be used", why=why, then=_NONE_YET, code=ExitCode.WRONG_USAGE
    )


def _fault(told: Any) -> str:
    if not isinstance(told, dict):
        return "it must be a JSON object"
    urls = told.get("urls")
    if not isinstance(urls, list) or not urls or not all(isinstance(url, str) for url in urls):
        return "`urls` must be a list of addresses like https://127.0.0.1:7443"
    clear = [url for url in urls if not url.startswith("https://")]
    if clear:
        return f"`urls` must begin with https://, {clear[0]} does not"
    if not isinstance(told.get("ca"), str):
        return "`ca` must name the authority's certificate"
    if not isinstance(told.get("token_file", ""), str):
        return "`token_file` must be a path"
    if not isinstance(told.get("production", False), bool):
        return "`production` must be true or false"
    return ""
