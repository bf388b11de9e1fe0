"""The unix socket lets in processes that know the secret, from a folder that is nobody else's."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from molecule.model.errors import InvalidConfig, Unauthenticated
from molecule.rpc import errors
from molecule.rpc.local_channel import local_channel
from molecule.rpc.server import LocalServer
from tests.adapters.rpc.cluster_of_two import LIMITS, Echo, say

SECRET = "s" * 43


@asynccontextmanager
async def listening(path: Path, echo: Echo | None = None) -> AsyncIterator[Echo]:
    echo = echo or Echo()
    server = LocalServer(path, secret=SECRET, limits=LIMITS)
    server.register(echo.add_to, echo)
    await server.start()
    try:
        yield echo
    finally:
        await server.stop()


async def said(path: Path, secret: str = SECRET) -> bytes:
    channel = local_channel(path, secret=secret, role="worker", name="w1", limits=LIMITS)
    async with channel:
        with errors.translated():
            return await say(channel)


async def test_process_with_the_secret_is_answered_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "run" / "node.sock"
    async with listening(path):
        assert await said(path) == b"word of spiffe:///worker/w1"
    assert not path.exists()


async def test_streams_carry_the_secret_too(tmp_path: Path) -> None:
    path = tmp_path / "run" / "node.sock"
    async with listening(path):
        channel = local_channel(path, secret=SECRET, role="worker", name="w1", limits=LIMITS)
        async with channel:
            call = channel.stream_stream("/echo/Stream")()
            await call.write(b"a")
            assert await call.read() == b"a"
            await call.done_writing()


@pytest.mark.parametrize("secret", ["", "wrong", SECRET[:-1]])
async def test_process_without_the_secret_is_refused(tmp_path: Path, secret: str) -> None:
    path = tmp_path / "run" / "node.sock"
    async with listening(path) as echo:
        with pytest.raises(Unauthenticated):
            await said(path, secret)
    assert echo.calls == 0


async def test_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    async with listening(tmp_path / "run" / "node.sock"):
        assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


async def test_folder_open_to_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    with pytest.raises(InvalidConfig, match="0700"):
        async with listening(tmp_path / "run" / "node.sock"):
            pass


async def test_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o700)
    (tmp_path / "run").symlink_to(tmp_path / "theirs")
    with pytest.raises(InvalidConfig, match="folder of this user"):
        async with listening(tmp_path / "run" / "node.sock"):
            pass


async def test_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to give a folder to another user")
    (tmp_path / "run").mkdir(mode=0o700)
    os.chown(tmp_path / "run", 12345, 12345)
    with pytest.raises(InvalidConfig, match="folder of this user"):
        async with listening(tmp_path / "run" / "node.sock"):
            pass


async def test_path_too_long_for_a_socket_is_refused_with_the_bound(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="107 bytes"):
        async with listening(tmp_path / ("x" * 108) / "node.sock"):
            pass


async def test_socket_left_by_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "run" / "node.sock"
    (tmp_path / "run").mkdir(mode=0o700)
    dead = await asyncio.start_unix_server(lambda _, writer: writer.close(), path)
    dead.close()
    await dead.wait_closed()
    path.touch()
    async with listening(path):
        assert await said(path)


async def test_socket_of_a_living_process_is_not_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "run" / "node.sock"
    async with listening(path):
        with pytest.raises(InvalidConfig, match="in use by another process"):
            async with listening(path):
                pass
        assert await said(path)
