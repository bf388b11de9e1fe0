"""The verbs of the scenario language about processes: deploying, pausing, keys that are held."""

from molecule.wire.v1 import commands_pb2 as wire
from tests.scenarios.gate_verbs import gates_of
from tests.scenarios.parked import Parked
from tests.scenarios.script import Command, milliseconds
from tests.scenarios.world import ENVIRONMENT


class ProcessVerbs(Parked):
    """A part of `Runner`."""

    def do_process(self, command: Command) -> None:
        """process orders failover=restart limit=1 timeout=30s crash_budget=2 require=disk:fast."""
        self.deploy(command.words[0], command.options)

    def deploy(self, name: str, options: dict[str, str]) -> None:
        """A version of the process is active from now on."""
        number = options.get("version", "v1")
        self.world.propose(
            put_version=wire.PutVersion(
                process=name,
                version=number,
                options=_options(options),
                package=wire.Payload(inline=b"-"),
            )
        )
        self.world.propose(
            activate_version=wire.ActivateVersion(
                environment=ENVIRONMENT,
                process=name,
                version=number,
                trigger_on=options.get("trigger") == "on",
            )
        )

    def do_pause(self, command: Command) -> None:
        """pause orders: nothing of it starts."""
        self._pause(command.words[0], paused=True)

    def do_resume(self, command: Command) -> None:
        """resume orders: it starts again."""
        self._pause(command.words[0], paused=False)

    def _pause(self, process: str, *, paused: bool) -> None:
        said = wire.PauseProcess(
            environment=ENVIRONMENT,
            process=process,
            paused=paused,
            actor=wire.Actor(kind="user", name="ann"),
        )
        self._propose(pause_process=said)

    def do_settle_key(self, command: Command) -> None:
        """settle_key orders plane: the dead letters that hold the key are settled."""
        process, key = command.words
        self._propose(
            settle_key=wire.SettleKey(environment=ENVIRONMENT, process=process, concurrency_key=key)
        )


def _options(options: dict[str, str]) -> wire.VersionOptions:
    return wire.VersionOptions(
        failover=options.get("failover", "resume"),
        hold_for_ms=milliseconds(options.get("hold_for", "0s")),
        isolation=options.get("isolation", ""),
        keyed="keyed" in options,
        concurrency_limit=int(options.get("limit", 1)),
        timeout_ms=milliseconds(options.get("timeout", "0s")),
        expires_ms=milliseconds(options.get("expires", "0s")),
        dedup_window_ms=milliseconds(options.get("dedup_window", "0s")),
        crash_budget=int(options.get("crash_budget", 3)),
        priority=int(options.get("priority", 0)),
        require=_labels(options.get("require", "")),
        prefer=_labels(options.get("prefer", "")),
        has_trigger="trigger" in options,
        on_dead_letter=options.get("on_dead_letter", ""),
        overlap=options.get("overlap", ""),
        on_park=options.get("on_park", ""),
        share=int(options.get("share", 1)),
        zone=options.get("zone", ""),
        spread=options.get("spread", ""),
        gates=gates_of(options),
    )


def _labels(text: str) -> dict[str, str]:
    return dict(part.split(":") for part in text.split(",") if part)
