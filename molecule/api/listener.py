"""The HTTPS port: bound or refused clearly, TLS 1.3 only, with bounds on headers and idle callers.

The application knows nothing of it. What must stay true: nothing is ever answered in clear text.
"""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Generator, Iterator
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from molecule.config import Limits, TlsFiles
from molecule.model.errors import InvalidConfig

_BACKLOG: Final = 1024
_PORT_MAX: Final = 65_535


def bind(address: str, *, setting: str) -> socket.socket:
    """A listening socket at `host:port`; `InvalidConfig` names the setting when there is none."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _PORT_MAX:
        message = f"{setting}: {address!r} is not host:port; write it like 127.0.0.1:7443"
        raise InvalidConfig(message, setting=setting)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server(
            (host.strip("[]"), int(port)), family=family, backlog=_BACKLOG
        )
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        message = (
            f"{setting}: cannot listen on {address}: {reason}; "
            f"free the port or set {setting} (MOLECULE_{setting.upper()}) to another"
        )
        raise InvalidConfig(message, setting=setting, errno=error.errno) from None
    listening.setblocking(False)
    return listening


def tls_context(files: TlsFiles, *, setting: str) -> ssl.SSLContext:
    """TLS 1.3 only, with the certificate of `files`; callers prove who they are by token."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(files.certificate, files.key)
    except OSError as error:
        reason = error.strerror or str(error)
        message = (
            f"{setting}: certificate {files.certificate} with key {files.key} "
            f"cannot be used: {reason}"
        )
        raise InvalidConfig(message, setting=setting) from None
    return context


def server(app: ASGIApp, context: ssl.SSLContext, *, limits: Limits) -> "GatewayServer":
    """The HTTP server for one listening socket; run it with `serve(sockets=[...])`."""
    return GatewayServer(
        uvicorn.Config(
            app,
            loop="none",
            http=_with_bounded_head(limits),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=max(1, limits.http_idle_ms_max // 1000),
            timeout_graceful_shutdown=max(1, limits.http_stop_ms_max // 1000),
            ssl_context_factory=lambda _config, _default: context,
        )
    )


class GatewayServer(uvicorn.Server):
    """The server without signals of its own: the root owns those, and ends with an exit code."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Nothing is captured."""
        yield

    def stop(self) -> None:
        """End gracefully: no new callers, those that are here get `http_stop_ms_max`."""
        self.should_exit = True

    def bound(self) -> Iterator[tuple[str, int]]:
        """Where it listens, once it has started."""
        for one in self.servers:
            for sock in one.sockets:
                yield sock.getsockname()[:2]


def _with_bounded_head(limits: Limits) -> type[asyncio.Protocol]:
    """The library's protocol, which alone takes a head of any size and waits for ever for its end.

    A caller that has sent nothing of its next request is idle: that has a bound of its own.
    """
    bytes_max = limits.http_header_bytes_max
    within_s = limits.http_header_ms_max / 1000

    class HeadBound(HttpToolsProtocol):
        _timer: Any = None
        _is_in_head = False
        _head_bytes = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._is_in_head:
                self._head_bytes += len(data)
                if self._head_bytes > bytes_max and not self.transport.is_closing():
                    self.send_400_response("The head of the request is too large.")

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._is_in_head, self._head_bytes = True, 0
            self._watch()

        def on_headers_complete(self) -> None:
            self._is_in_head = False
            self._forget()
            super().on_headers_complete()

        def _watch(self) -> None:
            if self._timer is None:
                self._timer = self.loop.call_later(within_s, self.transport.close)

        def _forget(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return HeadBound
