"""What Docker streams: lines of JSON, and output whose frames tell which stream they are of."""

import asyncio
import struct
from collections.abc import AsyncIterator

from aiohttp import StreamReader

from ctrl_alt_play.agent.engine.base import Chunk

STREAMS = {1: "stdout", 2: "stderr"}
_HEADER = struct.Struct(">BxxxL")


async def lines(content: StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length, for labels are repeated in every event; aiohttp's own end at 128 KiB. The last may have no end."""
    rest = b""
    async for data in content.iter_any():
        *ended, rest = (rest + data).split(b"\n")
        for line in ended:
            yield line
    if rest:
        yield rest


async def frames(content: StreamReader) -> AsyncIterator[Chunk]:
    """Output of a container without a terminal, up to the first frame that is cut off."""
    try:
        while True:
            stream, length = _HEADER.unpack(await content.readexactly(_HEADER.size))
            yield Chunk(STREAMS.get(stream, "stdout"), await content.readexactly(length))
    except asyncio.IncompleteReadError:
        return


async def raw(content: StreamReader) -> AsyncIterator[Chunk]:
    """Output of a container with a terminal, where both streams are one."""
    async for data in content.iter_any():
        yield Chunk("stdout", data)
