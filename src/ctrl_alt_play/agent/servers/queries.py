"""Game queries: what a player's server list asks a game. The libraries take a while to load, so they are loaded when the first is asked for."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

Query = Callable[[str, int, float], Awaitable[Any]]
"""Takes an address, a port and a time limit in seconds; gives what the game said of itself. Raises anything when it said nothing of use."""


async def _minecraft(address: str, port: int, timeout_s: float) -> Any:
    mcstatus = await _loaded("mcstatus")
    return await mcstatus.JavaServer(address, port, timeout_s).async_status(tries=1)


async def _opengsq(name: str, question: str, address: str, port: int, timeout_s: float) -> Any:
    protocols = await _loaded("opengsq.protocols")
    return await getattr(getattr(protocols, name)(address, port, timeout_s), question)()


async def _loaded(module: str) -> Any:
    return await asyncio.to_thread(importlib.import_module, module)


_FAMILIES = {
    "ase": ("ASE", "get_status"),
    "battlefield": ("Battlefield", "get_info"),
    "doom3": ("Doom3", "get_status"),
    "gamespy1": ("GameSpy1", "get_basic"),
    "gamespy2": ("GameSpy2", "get_status"),
    "gamespy3": ("GameSpy3", "get_status"),
    "gamespy4": ("GameSpy4", "get_status"),
    "killingfloor": ("KillingFloor", "get_details"),
    "quake1": ("Quake1", "get_status"),
    "quake2": ("Quake2", "get_status"),
    "quake3": ("Quake3", "get_status"),
    "raknet": ("RakNet", "get_status"),
    "samp": ("Samp", "get_status"),
    "source": ("Source", "get_info"),
    "unreal2": ("Unreal2", "get_details"),
    "vcmp": ("Vcmp", "get_status"),
    "won": ("WON", "get_info"),
}
"""The classes of opengsq that need nothing but an address, and what to ask them for. `raknet` is Minecraft's Bedrock edition."""

QUERIES: dict[str, Query] = {
    "minecraft": _minecraft,
    **{family: partial(_opengsq, *asked) for family, asked in _FAMILIES.items()},
}
"""By the name of a probe's protocol."""
