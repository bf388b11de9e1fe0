"""The internal port answers members of the cluster over TLS 1.3, and nobody else."""

import asyncio
import pickle
import socket
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from molecule.model.errors import InvalidConfig
from molecule.rpc import certificates
from molecule.rpc.certificates import Credentials
from molecule.rpc.channel import PeerChannels
from molecule.rpc.server import PeerServer
from molecule.rpc.tls import LiveCredentials, probe
from tests.adapters.rpc.cluster_of_two import (
    CLUSTER,
    LIMITS,
    Echo,
    authority,
    credentials,
    live,
    material,
    node_pair,
    say,
    serving,
)


async def said_by(
    shown: Credentials, server: PeerServer, *, expected: str = "n1", text: bytes = b"word"
) -> bytes:
    channels = PeerChannels(LiveCredentials(shown), limits=LIMITS)
    try:
        return await say(channels.to(expected, f"127.0.0.1:{server.port}"), text)
    finally:
        await channels.close()


async def refused(
    shown: Credentials, server: PeerServer, *, expected: str = "n1"
) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await said_by(shown, server, expected=expected)
    error: grpc.aio.AioRpcError = told.value
    return error


async def test_member_is_answered_and_known_by_its_certificate() -> None:
    async with serving(Echo()) as server:
        answer = await said_by(credentials("n2"), server)
    assert answer == b"word of spiffe://flights/node/n2"


async def test_client_without_certificate_is_refused() -> None:
    echo = Echo()
    async with (
        serving(echo) as server,
        grpc.aio.secure_channel(
            f"127.0.0.1:{server.port}",
            grpc.ssl_channel_credentials(authority().certificate_pem),
            options=[("grpc.ssl_target_name_override", "n1.flights.molecule")],
        ) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await say(channel)
    assert (told.value.code(), echo.calls) == (grpc.StatusCode.UNAVAILABLE, 0)


def self_signed() -> Credentials:
    pair = certificates.create_authority(CLUSTER)
    return material(pair, "n2")


def of_another_authority() -> Credentials:
    other = certificates.create_authority(CLUSTER)
    return material(certificates.issue_node(other, cluster=CLUSTER, node="n2"), "n2")


def expired() -> Credentials:
    past = datetime.now(UTC) - timedelta(days=200)
    pair = certificates.issue_node(authority(), cluster=CLUSTER, node="n2", now=past)
    return material(pair, "n2")


def for_serving_only() -> Credentials:
    pair = certificates.issue_gateway(authority(), cluster=CLUSTER, name="n2", addresses=())
    return material(pair, "n2")


@pytest.mark.parametrize("made", [self_signed, of_another_authority, expired, for_serving_only])
async def test_bad_certificate_ends_the_handshake(made: Any) -> None:
    echo = Echo()
    async with serving(echo) as server:
        error = await refused(made(), server)
    assert (error.code(), echo.calls) == (grpc.StatusCode.UNAVAILABLE, 0)


async def test_member_of_another_cluster_of_the_same_authority_is_refused_with_the_reason() -> None:
    echo = Echo()
    shown = material(node_pair("n2", "trains"), "n2")
    async with serving(echo) as server:
        error = await refused(shown, server)
    assert (error.code(), echo.calls) == (grpc.StatusCode.PERMISSION_DENIED, 0)
    assert error.details() == "spiffe://trains/node/n2 is no member of cluster 'flights'"


async def test_member_that_the_node_does_not_admit_is_refused_with_the_reason() -> None:
    def admit(who: object) -> str | None:
        return "removed" if getattr(who, "name", "") == "n2" else None

    echo = Echo()
    async with serving(echo, admit=admit) as server:
        error = await refused(credentials("n2"), server)
        assert await said_by(credentials("n3"), server)
    assert (error.code(), echo.calls) == (grpc.StatusCode.PERMISSION_DENIED, 1)
    assert error.details() == "spiffe://flights/node/n2 was refused: removed"


async def test_server_with_the_certificate_of_another_node_gets_no_call() -> None:
    echo = Echo()
    async with serving(echo, "n3") as server:
        error = await refused(credentials("n2"), server, expected="n1")
    assert (error.code(), echo.calls) == (grpc.StatusCode.UNAVAILABLE, 0)


def handshake(port: int, version: ssl.TLSVersion) -> str | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # So that a refusal is the server's and not our own OpenSSL's.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain) as wrapped,
    ):
        return wrapped.version()


async def test_older_tls_is_refused_and_the_newest_is_spoken() -> None:
    async with serving(Echo()) as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(handshake, server.port, ssl.TLSVersion.TLSv1_2)
        assert await asyncio.to_thread(handshake, server.port, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


async def test_clear_text_is_refused() -> None:
    echo = Echo()
    async with (
        serving(echo) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await say(channel)
    assert (told.value.code(), echo.calls) == (grpc.StatusCode.UNAVAILABLE, 0)


async def test_probe_notices_a_server_that_speaks_no_tls() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(InvalidConfig, match=r"does not speak TLS 1\.3"):
            await probe("127.0.0.1", port)


async def test_port_in_use_is_named_with_its_setting() -> None:
    async with serving(Echo()) as first:
        with pytest.raises(InvalidConfig, match=rf"port {first.port} is in use.*`rpc`"):
            async with serving(Echo(), address=f"127.0.0.1:{first.port}"):
                pass


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("192.0.2.1:7400", "Cannot assign requested address"),
        ("nowhere.invalid:7400", "is not a host of this machine"),
        ("no-port", "is not host:port"),
    ],
)
async def test_address_that_cannot_be_used_is_named(address: str, why: str) -> None:
    with pytest.raises(InvalidConfig, match=why):
        async with serving(Echo(), address=address):
            pass


async def test_new_certificate_is_shown_without_a_restart_and_open_channels_live_on() -> None:
    shown = live("n1")
    echo = Echo()
    server = PeerServer("127.0.0.1:0", shown, limits=LIMITS)
    server.register(echo.add_to, echo)
    await server.start()
    try:
        old = PeerChannels(live("n2"), limits=LIMITS)
        address = f"127.0.0.1:{server.port}"
        await say(old.to("n1", address))
        other = certificates.create_authority(CLUSTER)
        pair = certificates.issue_node(other, cluster=CLUSTER, node="n1")
        renewed = material(pair, "n1")
        shown.replace(renewed)
        # The new certificate is of an authority that n2 does not know: only a new handshake fails.
        await say(old.to("n1", address))
        new = PeerChannels(live("n2"), limits=LIMITS)
        with pytest.raises(grpc.aio.AioRpcError):
            await say(new.to("n1", address))
        await old.close()
        await new.close()
    finally:
        await server.stop()


async def test_new_certificate_of_another_node_is_not_taken() -> None:
    with pytest.raises(InvalidConfig, match="this node is spiffe://flights/node/n1"):
        live("n1").replace(credentials("n2"))


class _Bomb:
    fired = False

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (_fire, ("sent",))


def _fire(_: str) -> None:
    _Bomb.fired = True


async def test_pickle_from_a_member_is_bytes_and_nothing_else() -> None:
    async with serving(Echo()) as server:
        answer = await said_by(credentials("n2"), server, text=pickle.dumps(_Bomb()))
    assert answer.startswith(pickle.dumps(_Bomb()))
    assert not _Bomb.fired
