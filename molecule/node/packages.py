"""Which packages a worker needs before it can do what it is told, wherever they are read from."""

from collections.abc import Awaitable, Callable

from molecule.cluster.state import ClusterState
from molecule.config import Limits
from molecule.model.errors import NotFound
from molecule.node.payloads import Payloads
from molecule.storage.state_store import StateStore
from molecule.wire.v1 import worker_pb2 as w

ReadPackage = Callable[[str, str], Awaitable[bytes]]
"""The bytes in a slot of a version or environment."""


class StoredPackages:
    """What lies in this voter's own store, or is a document of the voters."""

    def __init__(
        self, *, state: Callable[[], ClusterState], store: StateStore, payloads: Payloads
    ) -> None:
        self._state = state
        self._store = store
        self._payloads = payloads

    async def read(self, owner: str, slot: str) -> bytes:
        """The bytes; `NotFound` while this copy is behind."""
        row = await self._store.payload(owner, slot)
        if row is None:
            raise NotFound(f"{owner} is not in this node's copy of the state yet")
        return await self._payloads.kept(row)

    def environment_digest(self, name: str) -> str:
        """Of the environment's settings now; empty when nobody knows it."""
        environment = self._state().environments.get(name)
        return environment.digest if environment is not None else ""


class Packages:
    """Built once; keeps the newest packages in memory, because every execution needs one."""

    def __init__(
        self,
        *,
        read: ReadPackage,
        environment_digest: Callable[[str], str],
        limits: Limits,
    ) -> None:
        self._read = read
        self._environment_digest = environment_digest
        self._cached_max = limits.packages_cached_max
        self._cached: dict[tuple[str, str], bytes] = {}

    async def needed_by(self, message: w.ToWorker) -> list[w.PutPackage]:
        """The version and the environment's settings that `message` refers to, if it does."""
        match message.WhichOneof("kind"):
            case "run":
                run = message.run
                names = (run.process, run.version, run.environment, run.environment_digest)
            case "run_trigger":
                told = message.run_trigger
                names = (told.process, told.version, told.environment, told.environment_digest)
            case "request" if message.request.WhichOneof("kind") == "door":
                door = message.request.door
                if not door.environment_digest:
                    door.environment_digest = self._environment_digest(door.environment)
                names = (door.process, door.version, door.environment, door.environment_digest)
            case "request" if message.request.WhichOneof("kind") == "volatile":
                asked = message.request.volatile
                if not asked.environment_digest:
                    asked.environment_digest = self._environment_digest(asked.environment)
                digest = asked.environment_digest
                names = (asked.process, asked.version, asked.environment, digest)
            case _:
                return []
        process, version, environment_name, digest = names
        package = await self._content(f"version/{process}/{version}", "package", version)
        settings = await self._content(f"environment/{environment_name}", "settings", digest)
        return [
            w.PutPackage(version=version, content=package),
            w.PutPackage(version=f"environment:{environment_name}", content=settings),
        ]

    async def _content(self, owner: str, slot: str, digest: str) -> bytes:
        """The bytes, cached by what they are: versions never change, settings have a digest."""
        key = (owner, digest)
        if key in self._cached:
            return self._cached[key]
        content = await self._read(owner, slot)
        while len(self._cached) >= self._cached_max:
            self._cached.pop(next(iter(self._cached)))
        self._cached[key] = content
        return content
