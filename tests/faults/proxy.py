"""The way between agent and panel: a TCP proxy that cuts, refuses, loses one direction, or is slow."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum

CHUNK_BYTES = 16 * 1024
RESET = struct.pack("ii", 1, 0)
"""To linger for no time at all: what is not sent yet is thrown away, and the other side is reset."""


class Way(StrEnum):
    UP = "to the panel"
    DOWN = "to the agent"


class Link:
    """Listens at `port` once `open`; all that comes is passed on to `target_port`, subject to what is wrong at the moment."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.hits = 0
        """How often anything that was wrong with the link met somebody: what was cut, refused, held up or slowed."""
        self._target_port = target_port
        self._open = {way: asyncio.Event() for way in Way}
        for gate in self._open.values():
            gate.set()
        self._is_refusing = False
        self._delay_s = 0.0
        self._bytes_per_s = 0.0
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=CHUNK_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def cut(self) -> None:
        """Ends every connection as a firewall does: a reset at both ends, and what was under way is lost."""
        self.hits += len(self._connections)
        for connection in self._connections:
            connection.cancel()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Cut, and no way through until the end."""
        self._is_refusing = True
        self.cut()
        try:
            yield
        finally:
            self._is_refusing = False

    @contextmanager
    def one_way(self, lost: Way) -> Iterator[None]:
        """Nothing comes through in the direction `lost`, and nobody is told."""
        self._open[lost].clear()
        try:
            yield
        finally:
            self._open[lost].set()

    @contextmanager
    def slow(self, delay_s: float, bytes_per_s: float) -> Iterator[None]:
        self._delay_s, self._bytes_per_s = delay_s, bytes_per_s
        try:
            yield
        finally:
            self._delay_s = self._bytes_per_s = 0.0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        far: asyncio.StreamWriter | None = None
        try:
            if self._is_refusing:
                self.hits += 1
            else:
                far_reader, far = await asyncio.open_connection("127.0.0.1", self._target_port, limit=CHUNK_BYTES)
                async with asyncio.TaskGroup() as pumps:
                    pumps.create_task(self._pump(reader, far, Way.UP))
                    pumps.create_task(self._pump(far_reader, writer, Way.DOWN))
        except* asyncio.CancelledError:
            for each in (writer, far):
                if each is not None:
                    each.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        except* OSError:
            pass
        finally:
            self._connections.discard(task)
            for each in (writer, far):
                if each is not None:
                    each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        while data := await reader.read(CHUNK_BYTES):
            self.hits += self._delay_s > 0 or not self._open[way].is_set()
            await self._open[way].wait()
            if self._delay_s:
                await asyncio.sleep(self._delay_s + len(data) / self._bytes_per_s)
            writer.write(data)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()
