"""How every log begins: a leader, an environment, a version of each process."""

from molecule.wire.v1 import commands_pb2 as wire
from tests.properties.model_parts import (
    EXPIRES,
    FAILOVER,
    HOLD_FOR,
    KEEPS,
    LIMIT,
    OVERLAP,
    PASSES,
    TIMEOUT,
)

ENVIRONMENT = "test"
PROCESSES = tuple(sorted(FAILOVER))


def setting_up() -> list[wire.Command]:
    """A leader, an environment, and one version of each process."""
    commands = [
        wire.Command(
            version=1,
            claim_leadership=wire.ClaimLeadership(
                node="n1", bounds=wire.Bounds(lease_ms=2500, lease_margin_ms=250)
            ),
        ),
        wire.Command(
            version=1,
            put_environment=wire.PutEnvironment(environment=ENVIRONMENT, digest="1"),
        ),
    ]
    for process in PROCESSES:
        options = wire.VersionOptions(
            failover=FAILOVER[process],
            concurrency_limit=LIMIT[process],
            crash_budget=3,
            hold_for_ms=HOLD_FOR,
            timeout_ms=TIMEOUT.get(process, 0),
            expires_ms=EXPIRES.get(process, 0),
            overlap=OVERLAP.get(process, ""),
            on_park="pass" if process == PASSES else "",
            on_dead_letter="hold_key" if process == KEEPS else "",
        )
        commands += [
            wire.Command(
                version=1,
                put_version=wire.PutVersion(process=process, version="v1", options=options),
            ),
            wire.Command(
                version=1,
                activate_version=wire.ActivateVersion(
                    environment=ENVIRONMENT, process=process, version="v1"
                ),
            ),
        ]
    options = wire.VersionOptions(has_trigger=True)
    files = wire.PutVersion(process="files", version="v1", options=options)
    switched_on = wire.ActivateVersion(
        environment=ENVIRONMENT, process="files", version="v1", trigger_on=True
    )
    return [
        *commands,
        wire.Command(version=1, put_version=files),
        wire.Command(version=1, activate_version=switched_on),
    ]
