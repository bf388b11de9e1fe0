"""Packages: a version of a process as bytes, and back.

`build` turns a repository's files into versions, one per process; `open_package` turns a version
and the settings of an environment into what a worker runs. The version id is the sha256 of the
package, so equal text gives the equal version whatever the order of files.
"""

from collections.abc import Mapping

from molecule.component.registry import Registry
from molecule.config import Limits
from molecule.definition.built import Built, RunnableProcess

_LIMITS = Limits()


def build(
    files: Mapping[str, bytes], environment: str, registry: Registry, limits: Limits = _LIMITS
) -> Built:
    """Every process below `processes/` for this environment; all faults at once in `findings`."""
    raise RuntimeError((files, environment, registry, limits))


def open_package(
    package: bytes, environment_settings: bytes, registry: Registry, limits: Limits = _LIMITS
) -> RunnableProcess:
    """A version opened. Raises `InvalidProcess` when the environment does not fit it."""
    raise RuntimeError((package, environment_settings, registry, limits))
