"""What the gateway counts of itself, and the middle layer that counts it.

Labels are bounded: a door is the first part of a path that is served, anything else is `other`; ids
never become labels.
"""

from collections.abc import Iterable
from time import perf_counter
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_API: Final = "/api/v1/"
_METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)


class GatewayMetrics:
    """Counters of one gateway process, in a registry of their own."""

    def __init__(self, doors: Iterable[str]) -> None:
        self.registry = CollectorRegistry()
        self._doors = frozenset(doors)
        self._requests = Counter(
            "molecule_http_requests",
            "HTTP requests answered by this gateway.",
            ("door", "method", "code"),
            registry=self.registry,
        )
        self._durations = Histogram(
            "molecule_http_request_duration_seconds",
            "From the first byte of a request to the end of its answer.",
            ("door",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "molecule_http_requests_in_flight",
            "HTTP requests that this gateway holds now.",
            registry=self.registry,
        )
        self._node_answers = Gauge(
            "molecule_gateway_node_process_up",
            "1 when the node process gave its metrics for this scrape.",
            registry=self.registry,
        )

    def note(self, path: str, method: str, *, code: int, seconds: float) -> None:
        """Count one answered request."""
        door = self._door(path)
        known = method if method in _METHODS else "other"
        self._requests.labels(door, known, str(code)).inc()
        self._durations.labels(door).observe(seconds)

    def text(self, node_text: str | None) -> bytes:
        """All in Prometheus text form: the node process's part, if there is one, and ours."""
        self._node_answers.set(0 if node_text is None else 1)
        theirs = node_text or ""
        if theirs and not theirs.endswith("\n"):
            theirs += "\n"
        return theirs.encode() + generate_latest(self.registry)

    def _door(self, path: str) -> str:
        first = path.removeprefix(_API).lstrip("/").partition("/")[0].partition(":")[0]
        return first if first in self._doors else "other"


class Counting:
    """ASGI layer: counts each request and how long it took."""

    def __init__(self, app: ASGIApp, metrics: GatewayMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        code = 500
        started = perf_counter()

        async def note_status(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, note_status)
        finally:
            self._metrics.in_flight.dec()
            seconds = perf_counter() - started
            self._metrics.note(scope["path"], scope["method"], code=code, seconds=seconds)
