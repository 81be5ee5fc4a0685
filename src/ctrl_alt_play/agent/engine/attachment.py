"""A console over Docker's hijacked connection."""

import asyncio
from contextlib import suppress

import aiohttp
from aiodocker import DockerError
from aiodocker.stream import Stream

from ctrl_alt_play.agent.engine.base import Chunk
from ctrl_alt_play.agent.engine.streams import STREAMS
from ctrl_alt_play.protocol.errors import ErrorCode, Fault

WRITE_TIMEOUT_S = 0.8


class DockerAttachment:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._writing: asyncio.Task[None] | None = None

    async def read(self) -> Chunk | None:
        try:
            message = await self._stream.read_out()
        except (aiohttp.ClientError, OSError, DockerError):
            return None
        return None if message is None else Chunk(STREAMS.get(message.stream, "stdout"), message.data)

    async def write(self, data: bytes) -> None:
        """What a game does not read stays in memory, so nothing is written behind a line that was not taken yet."""
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                if self._writing is not None:
                    await asyncio.shield(self._writing)
                self._writing = asyncio.create_task(self._stream.write_in(data))
                await asyncio.shield(self._writing)
        except TimeoutError as error:
            raise Fault(ErrorCode.TIMEOUT, "The game does not read its console: its input is full.") from error
        except (aiohttp.ClientError, OSError, DockerError, RuntimeError, AssertionError) as error:
            raise Fault(ErrorCode.INVALID_STATE, "The game's console is closed; it has stopped.") from error

    async def close(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        self._abort()
        with suppress(AssertionError):  # aiodocker, when the engine has closed the connection already
            await self._stream.close()

    def _abort(self) -> None:
        """What a game does not read would otherwise hold the connection open for as long as the game runs."""
        response = self._stream._resp  # noqa: SLF001 - aiodocker only closes politely
        if response is not None and response.connection is not None and response.connection.transport is not None:
            response.connection.transport.abort()
