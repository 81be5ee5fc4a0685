"""Game queries: what a player's server list asks a game, and who plays by its answer.

The libraries take a while to load, so they are loaded when the first is asked for. What answers is a stranger's program on this node: it gets
no more of the agent's memory and time than an answer needs.
"""

import asyncio
import bz2
import importlib
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from ctrl_alt_play.agent.figures import own_queries
from ctrl_alt_play.agent.figures.seen import seen
from ctrl_alt_play.protocol.live import PlayersSeen

MOST_BYTES = 2**18
"""Of an answer."""
NAMES_TIMEOUT_S = 0.8
_BEDROCK_MARK = bytes.fromhex("00ffff00fefefefefdfdfdfd12345678")
_BEDROCK_PING = b"\x01" + bytes(8) + _BEDROCK_MARK + bytes(8)
Query = Callable[[str, int, float], Awaitable[PlayersSeen]]
"""Takes an address, a port and a time limit in seconds; gives who plays. Raises anything when the game said nothing of use."""


async def _minecraft(address: str, port: int, _timeout_s: float) -> PlayersSeen:
    """The answer is read by mcstatus, and taken in here: it would itself take in two gigabytes from a game that sends them."""
    reader, writer = await asyncio.open_connection(address, port, limit=MOST_BYTES)
    try:
        hello = b"\x00" + _varint(47) + _sized(address.encode()) + port.to_bytes(2, "big") + _varint(1)
        writer.write(_sized(hello) + _sized(b"\x00"))
        await _read_varint(reader)
        kind, length = await _read_varint(reader), await _read_varint(reader)
        if kind != 0 or length > MOST_BYTES:
            raise ValueError(f"this is no status: kind {kind}, {length} bytes")
        status = json.loads(await reader.readexactly(length))
    finally:
        writer.transport.abort()
    responses = await _loaded("mcstatus.responses")
    players = responses.JavaStatusResponse.build(status).players
    return seen(players, players.sample or ())


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _varint(number: int) -> bytes:
    data = b""
    while number > 0x7F:
        number, data = number >> 7, data + bytes([number & 0x7F | 0x80])
    return data + bytes([number])


async def _read_varint(reader: asyncio.StreamReader) -> int:
    number = 0
    for shift in range(0, 35, 7):
        (byte,) = await reader.readexactly(1)
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number
    raise ValueError("this is no number of Minecraft's")


async def _bedrock(address: str, port: int, timeout_s: float) -> PlayersSeen:
    """The answer is read by mcstatus, and taken in here, for all that a game sends would wait in its memory. How many fields it has differs."""
    async with asyncio.timeout(timeout_s), own_queries.contact(address, port) as game:
        answer = await game.ask(_BEDROCK_PING)
    if answer[:1] != b"\x1c" or answer[17:33] != _BEDROCK_MARK:
        raise ValueError("this is no answer of Bedrock's")
    fields = answer[35 : 35 + int.from_bytes(answer[33:35])].decode(errors="replace").split(";")
    responses = await _loaded("mcstatus.responses")
    return seen(responses.BedrockStatusResponse.build(fields, 0).players)


async def _opengsq(
    name: str, question: str, names: str | None, address: str, port: int, timeout_s: float
) -> PlayersSeen:
    """Some games are asked for the names apart; one that does not give them has told how many play all the same."""
    protocols = await _loaded("opengsq.protocols")
    protocols.source.bz2 = _Bounded
    game = getattr(protocols, name)(address, port, timeout_s)
    status = await getattr(game, question)()
    players: Any = getattr(status, "players", ())
    if names is not None:
        players = ()
        with suppress(Exception):
            async with asyncio.timeout(NAMES_TIMEOUT_S):
                players = await getattr(game, names)()
    return seen(status, players if isinstance(players, list) else ())


class _Bounded:
    """In place of the module by which opengsq unpacks what a game sends: a hundred bytes may hold gigabytes."""

    @staticmethod
    def decompress(data: bytes) -> bytes:
        unpacked = bz2.BZ2Decompressor().decompress(data, MOST_BYTES)
        if len(unpacked) == MOST_BYTES:
            raise ValueError("the answer is too long")
        return unpacked


async def _loaded(module: str) -> Any:
    return await asyncio.to_thread(importlib.import_module, module)


_FAMILIES = {
    "ase": ("ASE", "get_status", None),
    "battlefield": ("Battlefield", "get_info", "get_players"),
    "doom3": ("Doom3", "get_status", None),
    "gamespy1": ("GameSpy1", "get_status", None),
    "gamespy2": ("GameSpy2", "get_status", None),
    "gamespy3": ("GameSpy3", "get_status", None),
    "gamespy4": ("GameSpy4", "get_status", None),
    "killingfloor": ("KillingFloor", "get_details", "get_players"),
    "quake1": ("Quake1", "get_status", None),
    "quake2": ("Quake2", "get_status", None),
    "quake3": ("Quake3", "get_status", None),
    "samp": ("Samp", "get_status", "get_players"),
    "source": ("Source", "get_info", "get_players"),
    "unreal2": ("Unreal2", "get_details", "get_players"),
    "vcmp": ("Vcmp", "get_status", "get_players"),
    "won": ("WON", "get_info", "get_players"),
}
"""The classes of opengsq that need nothing but an address, what to ask them for, and how for names where that is another question."""

QUERIES: dict[str, Query] = {
    "minecraft": _minecraft,
    "bedrock": _bedrock,
    **{family: partial(_opengsq, *asked) for family, asked in _FAMILIES.items()},
    "cube2": own_queries.cube2,
    "ddnet": own_queries.ddnet,
    "mumble": own_queries.mumble,
    "teeworlds": own_queries.teeworlds,
}
"""By the name of a probe's protocol."""
