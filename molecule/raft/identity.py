"""Who a data folder belongs to: `identity.json`.

Read and written by `generation.py`. A folder of another cluster, node or set of voters, or of a
newer format, is never opened: a voter with somebody else's memory is worse than none.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from molecule.model.errors import DamagedData
from molecule.raft.configuration import Configuration
from molecule.raft.files import replace_file
from molecule.raft.formation import Formation, FormationRecord

FORMAT_VERSION: Final = 1
FILE: Final = "identity.json"


@dataclass(frozen=True, slots=True)
class Identity:
    """Written when a folder is first used, changed only until the node takes part.

    `voters`: those that form the cluster; of a newcomer, whom it was told of.
    """

    cluster: str
    node: str
    voters: tuple[str, ...]
    birth: str
    formation: FormationRecord

    def save(self, folder: Path) -> None:
        """Durable on return."""
        content = {
            "format": FORMAT_VERSION,
            "cluster": self.cluster,
            "node": self.node,
            "voters": list(self.voters),
            "birth": self.birth,
            "births": dict(self.formation.births),
            "formed": self.formation.is_formed,
        }
        replace_file(folder / FILE, json.dumps(content, indent=2, sort_keys=True).encode() + b"\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The identity of a folder that has one. Raises DamagedData."""
        path = folder / FILE
        try:
            content: dict[str, Any] = json.loads(path.read_bytes())
            version = content["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(path, error) from None
        if not isinstance(version, int) or version > FORMAT_VERSION:
            raise DamagedData(
                f"{path} has format {version}, this version reads up to {FORMAT_VERSION}."
                " Start the version of the product that wrote it, or a later one",
                file=str(path),
                format=version,
            )
        try:
            return cls(
                cluster=content["cluster"],
                node=content["node"],
                voters=tuple(content["voters"]),
                birth=content["birth"],
                formation=FormationRecord(dict(content["births"]), bool(content["formed"])),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(path, error) from None

    def refuse_other(
        self, folder: Path, *, cluster: str, node: str, voters: tuple[str, ...]
    ) -> None:
        """Raise DamagedData unless the folder is this cluster's and node's, with these voters.

        Voters matter only to those that form a cluster: afterwards the log knows who takes part.
        """
        told: dict[str, object] = {
            "cluster": cluster,
            "node": node,
            "voters": tuple(sorted(voters)),
        }
        kept = {"cluster": self.cluster, "node": self.node, "voters": tuple(sorted(self.voters))}
        forms = node in self.voters or node in voters
        if self.formation.is_formed or not forms:
            del told["voters"]
        for fact, value in told.items():
            if kept[fact] != value:
                raise DamagedData(
                    f"{folder} belongs to {fact} {_text(kept[fact])}, but this node is"
                    f" configured as {fact} {_text(value)}."
                    " Correct the configuration or the path of the data folder",
                    file=str(folder / FILE),
                    kept=kept[fact],
                    configured=value,
                )

    def with_formation(self, record: FormationRecord) -> Self:
        """The same folder, further on its way into a cluster."""
        return replace(self, formation=record)

    def formed_with(self, addresses: Mapping[str, str]) -> Configuration:
        """What is in force while the log holds no configuration; a newcomer knows of none."""
        if self.node not in self.voters:
            return Configuration()
        births = self.formation.births
        return Configuration.formed_of(self.voters, addresses=addresses, births=births)

    def formation_of(self) -> Formation:
        """The machine that continues from what is kept."""
        return Formation(
            cluster=self.cluster,
            me=self.node,
            voters=self.voters,
            birth=self.birth,
            promised=dict(self.formation.births),
            is_formed=self.formation.is_formed,
        )


def _damaged(path: Path, error: Exception) -> DamagedData:
    return DamagedData(
        f"{path} is damaged ({error}). Do not delete it: put it back from a backup,"
        " or remove this node from the cluster, empty its data folder and let it join again",
        file=str(path),
    )


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else repr(value)
