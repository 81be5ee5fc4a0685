"""When nodes were last heard of, written for all of them together: a transaction for each would be most of what the database does."""

import asyncio
from datetime import datetime

import structlog

from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.nodes import service as nodes

MOST_AT_ONCE = 500

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Seen:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._times: dict[str, datetime] = {}

    def note(self, node_id: str, now: datetime) -> None:
        self._times[node_id] = now

    async def write_for_ever(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.write()
            except Exception:  # a database that is away comes back, and the next heartbeats tell the same
                log.exception("seen_nodes_not_written")

    async def write(self) -> None:
        """In one order everywhere, so that two panels never wait for each other."""
        times, self._times = sorted(self._times.items()), {}
        for start in range(0, len(times), MOST_AT_ONCE):
            async with self._database.writing_rows() as connection:
                await nodes.mark_seen(connection, times[start : start + MOST_AT_ONCE])
