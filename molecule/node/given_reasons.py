"""The reason that a person gives for a change."""

from collections.abc import Mapping
from typing import Any

from molecule.config import Limits
from molecule.model.errors import LimitExceeded


def read(fields: Mapping[str, Any], limits: Limits) -> str:
    """The field `reason`, empty when none was given. `LimitExceeded` over `reason_length_max`."""
    reason = str(fields.get("reason", ""))
    limit = limits.reason_length_max
    if len(reason) > limit:
        raise LimitExceeded(limit="reason_length_max", allowed=limit, asked=len(reason))
    return reason
