"""What is heard all the time, and written from time to time for all of it together: a transaction for each would be most of what a database does."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from ctrl_alt_play.panel.db import Database

MOST_AT_ONCE = 500
Value = TypeVar("Value")

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Noted(Generic[Value]):
    """The newest value of each id. `keep` writes rows; `failure` is what the log calls it when that fails."""

    def __init__(
        self,
        database: Database,
        keep: Callable[[AsyncConnection, Sequence[tuple[str, Value]]], Awaitable[None]],
        failure: str,
    ) -> None:
        self._database = database
        self._keep = keep
        self._failure = failure
        self._values: dict[str, Value] = {}

    def note(self, id_: str, value: Value) -> None:
        self._values[id_] = value

    async def write_for_ever(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.write()
            except Exception:  # a database that is away comes back, and what is heard next tells the same
                log.exception(self._failure)

    async def write(self) -> None:
        """In one order everywhere, so that two panels never wait for each other."""
        values, self._values = sorted(self._values.items(), key=lambda row: row[0]), {}
        for start in range(0, len(values), MOST_AT_ONCE):
            async with self._database.writing_rows() as connection:
                await self._keep(connection, values[start : start + MOST_AT_ONCE])
