"""Taking turns in the order of asking, with a bound on who waits; and giving way to what overtakes."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from ctrl_alt_play.protocol.errors import ErrorCode, Fault

MOST_WAITING = 100


class Turns:
    """A lock that refuses to be waited for by too many."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[None]:
        """One's turn.

        Raises:
            Fault: `INSUFFICIENT_RESOURCES` when too many wait already, as when a game does not read.
        """
        if self._waiting >= MOST_WAITING:
            sentence = f"{MOST_WAITING} lines or files wait for this server already; let some of them end."
            raise Fault(ErrorCode.INSUFFICIENT_RESOURCES, sentence)
        self._waiting += 1
        try:
            async with self._lock:
                yield
        finally:
            self._waiting -= 1


class Overtaken(Exception):
    """A kill has come; the action that it found does no more."""


def give_way(overtaken: asyncio.Event) -> None:
    """Raises: Overtaken, when something else has come."""
    if overtaken.is_set():
        raise Overtaken


async def unless_overtaken(work: Coroutine[Any, Any, None], overtaken: asyncio.Event) -> None:
    """Does what may take long; what overtakes cuts it off.

    Raises:
        Overtaken: it was cut off.
    """
    doing, waiting = asyncio.create_task(work), asyncio.create_task(overtaken.wait())
    try:
        await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if overtaken.is_set():
            raise Overtaken
        await doing
    finally:
        for task in (doing, waiting):
            task.cancel()
        await asyncio.gather(doing, waiting, return_exceptions=True)
