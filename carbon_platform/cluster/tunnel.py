"""Ports on loopback that lead to pods: through the API server's port-forward, one WebSocket per connection."""

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit, urlunsplit

from carbon_platform.cluster.client import Api
from carbon_platform.errors import CarbonError, CheckFailed, Unreachable

_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
_CHUNK = 64 * 1024

Connect = Callable[[], Awaitable["tuple[str, str, int]"]]
"""Finds the pod to connect to now: namespace, name, port."""


class Tunnels:
    """Tunnels of one process. Close it to end them all."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._servers: dict[object, asyncio.Server] = {}
        self._connections: set[asyncio.Task[None]] = set()
        self._opening = asyncio.Lock()

    async def listen(self, key: object, connect: Connect, port: int = 0) -> tuple[str, int]:
        """Address on loopback that leads to wherever `connect` says at the time of each connection.

        The same `key` gives the same address while the tunnels are open.
        """

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                pod = await connect()
                await forward(self._api, *pod, reader, writer)
            except CarbonError:
                pass  # the client sees its connection closed, and says so in its own words
            finally:
                writer.close()

        return await self._serve(key, serve, port)

    async def socks5(self, resolve: Callable[[str, int], Awaitable[tuple[str, str, int]]]) -> tuple[str, int]:
        """Address of a SOCKS5 proxy (RFC 1928, no authentication, loopback only) for cluster host names."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await _socks5(self._api, resolve, reader, writer)
            except (CarbonError, asyncio.IncompleteReadError, ConnectionError):
                pass  # as above
            finally:
                writer.close()

        return await self._serve("socks5", serve, 0)

    async def _serve(
        self, key: object, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], port: int
    ) -> tuple[str, int]:
        async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None, "a stream callback runs in a task"
            self._connections.add(task)
            try:
                with contextlib.suppress(asyncio.CancelledError):
                    await serve(reader, writer)
            finally:
                self._connections.discard(task)

        async with self._opening:
            if key not in self._servers:
                self._servers[key] = await asyncio.start_server(tracked, "127.0.0.1", port)
        host, bound = self._servers[key].sockets[0].getsockname()[:2]
        return host, bound

    async def close(self) -> None:
        """End every tunnel and every connection through one."""
        for server in self._servers.values():
            server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._servers.clear()


async def forward(
    api: Api, namespace: str, pod: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Carry one TCP connection to a pod's port until either side ends it."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed, InvalidStatus
    from websockets.typing import Subprotocol

    parts = urlsplit(api.server)
    scheme = "wss" if parts.scheme == "https" else "ws"
    path = f"{parts.path.rstrip('/')}/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
    url = urlunsplit((scheme, parts.netloc, path, f"ports={port}", ""))
    token = await api.authorization()
    try:
        async with connect(
            url,
            ssl=api.ssl_context() if scheme == "wss" else None,
            subprotocols=[Subprotocol(_PROTOCOL)],
            additional_headers={"Authorization": token} if token else None,
            max_size=None,
            compression=None,
            proxy=None,
            open_timeout=10,
        ) as socket:

            async def upload() -> None:
                while data := await reader.read(_CHUNK):
                    await socket.send(bytes([_DATA]) + data)

            async def download() -> None:
                greeted: set[int] = set()
                async for message in socket:
                    assert isinstance(message, bytes), "the channel protocol is binary"
                    channel, data = message[0], message[1:]
                    if channel not in greeted:
                        greeted.add(channel)  # the first message of each channel repeats the port
                        data = data[2:]
                    if channel == _ERROR and data:
                        raise Unreachable(f"port {port} of pod {namespace}/{pod} can't be reached", data.decode())
                    if channel == _DATA and data:
                        writer.write(data)
                        await writer.drain()

            tasks = [asyncio.create_task(upload()), asyncio.create_task(download())]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    except (ConnectionClosed, ConnectionError):
        return
    except (OSError, InvalidStatus, TimeoutError) as error:
        raise Unreachable(f"no tunnel to pod {namespace}/{pod}", str(error) or type(error).__name__) from error


async def _socks5(
    api: Api,
    resolve: Callable[[str, int], Awaitable[tuple[str, str, int]]],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    version, methods = await reader.readexactly(2)
    await reader.readexactly(methods)
    writer.write(b"\x05\x00")
    version, command, _, kind = await reader.readexactly(4)
    if kind == 3:
        (length,) = await reader.readexactly(1)
        host = (await reader.readexactly(length)).decode()
    else:
        host = ".".join(str(part) for part in await reader.readexactly(4 if kind == 1 else 16))
    (port,) = struct.unpack("!H", await reader.readexactly(2))
    nothing = b"\x00\x01" + bytes(6)
    if (version, command) != (5, 1):
        writer.write(b"\x05\x07" + nothing)
        return
    try:
        namespace, pod, target = await resolve(host, port)
    except CheckFailed:
        writer.write(b"\x05\x04" + nothing)
        await writer.drain()
        return
    writer.write(b"\x05\x00" + nothing)
    await forward(api, namespace, pod, target, reader, writer)
