"""Taking turns, in the order of asking, with a bound on who waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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
