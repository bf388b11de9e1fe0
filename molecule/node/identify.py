"""Who is asking: a bearer token becomes an actor. The token itself is kept nowhere."""

import hashlib
import hmac
from pathlib import Path

from molecule.access.policy import ADMIN, ANONYMOUS, Actor
from molecule.model.errors import InvalidConfig, Unauthenticated


class Identifier:
    """Knows the sha256 of the admin token."""

    def __init__(self, admin_token_sha256: str) -> None:
        self._admin = admin_token_sha256

    @classmethod
    def from_file(cls, path: Path) -> "Identifier":
        """From `admin_token_file`: 64 hex digits. `InvalidConfig` when it holds anything else."""
        try:
            digest = path.read_text(encoding="ascii").strip().lower()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidConfig(f"admin_token_file {path} cannot be read: {error}") from error
        if len(digest) != 64 or any(letter not in "0123456789abcdef" for letter in digest):
            raise InvalidConfig(
                f"admin_token_file {path} must hold the sha256 of the admin token as 64 hex "
                "digits, not the token itself"
            )
        return cls(digest)

    def actor(self, bearer: str) -> Actor:
        """The actor behind a token. None is anonymous; a wrong one is refused, never ignored."""
        if not bearer:
            return ANONYMOUS
        told = hashlib.sha256(bearer.encode()).hexdigest()
        if hmac.compare_digest(told, self._admin):
            return ADMIN
        raise Unauthenticated("the token is not known here")
