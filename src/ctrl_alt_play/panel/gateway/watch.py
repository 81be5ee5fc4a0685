"""The passing of time for all connections, in one task: thousands of idle nodes cost no more than a walk along them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.logs import nothing_carried
from ctrl_alt_play.panel.gateway.connection import Connection

SHORTEST_PAUSE_S = 0.01
LATE_S = 1.0
"""A round that comes later by so much finds a panel that itself stood still."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Watch:
    def __init__(self, clock: Clock, tick_s: float) -> None:
        self._clock = clock
        self._tick_s = tick_s
        self._connections: set[Connection] = set()
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def over(self, connection: Connection) -> Iterator[None]:
        """Looks at the connection every `tick_s`, or when it says that there is something to see."""
        self._connections.add(connection)
        if self._task is None:
            self._task = asyncio.create_task(self._go_on(), name="watch connections", context=nothing_carried())
        try:
            yield
        finally:
            self._connections.discard(connection)
            if not self._connections and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _go_on(self) -> None:
        due_at = self._clock.monotonic()
        while True:
            late_s = self._clock.monotonic() - due_at
            pauses = [self._look(connection, late_s) for connection in list(self._connections)]
            pause_s = max(SHORTEST_PAUSE_S, min([self._tick_s, *pauses]))
            due_at = self._clock.monotonic() + pause_s
            await asyncio.sleep(pause_s)

    def _look(self, connection: Connection, late_s: float) -> float:
        try:
            next_s = connection.look(late_s if late_s > LATE_S else 0.0)
        except Exception:  # one node's trouble is not that of the others
            log.exception("watch_failed", node_id=connection.node_id)
            return self._tick_s
        return self._tick_s if next_s is None else next_s
