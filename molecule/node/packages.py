"""Which packages a worker needs before it can do what it is told, from this node's store."""

from collections.abc import Callable

from molecule.cluster.state import ClusterState
from molecule.config import Limits
from molecule.model.errors import NotFound
from molecule.node.payloads import Payloads
from molecule.storage.state_store import StateStore
from molecule.wire.v1 import worker_pb2 as w


class Packages:
    """Built once; keeps the newest packages in memory, because every execution needs one."""

    def __init__(
        self,
        *,
        state: Callable[[], ClusterState],
        store: StateStore,
        payloads: Payloads,
        limits: Limits,
    ) -> None:
        self._state = state
        self._store = store
        self._payloads = payloads
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
                environment = self._state().environments.get(door.environment)
                if environment is not None and not door.environment_digest:
                    door.environment_digest = environment.digest
                names = (door.process, door.version, door.environment, door.environment_digest)
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
        row = await self._store.payload(owner, slot)
        if row is None:
            raise NotFound(f"{owner} is not in this node's copy of the state yet")
        content = await self._payloads.kept(row)
        while len(self._cached) >= self._cached_max:
            self._cached.pop(next(iter(self._cached)))
        self._cached[key] = content
        return content
