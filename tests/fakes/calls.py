"""Calls to a fake: they are remembered, and tests let them wait or fail."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

from ctrl_alt_play.agent.engine.faults import unavailable
from ctrl_alt_play.protocol.errors import Fault


@dataclass
class Call:
    """One call that changes something, and when it was under way."""

    what: str
    server_id: str
    began_at: float
    ended_at: float = float("inf")


@dataclass
class Hold:
    """Keeps calls of one kind waiting until `release` is set. Answers are what they were before the wait."""

    what: str
    server_id: str | None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)


class Calls:
    """What is under the engine's methods. `is_up`: it answers."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.is_up = True
        self._holds: list[Hold] = []
        self._faults: dict[str, list[Fault]] = defaultdict(list)

    def fail_next(self, what: str, fault: Fault) -> None:
        """The next call of this kind raises, and does nothing."""
        self._faults[what].append(fault)

    @asynccontextmanager
    async def holding(self, what: str, server_id: str | None = None) -> AsyncIterator[Hold]:
        """Within, calls of this kind wait. Ends by letting all of them go."""
        hold = Hold(what, server_id)
        self._holds.append(hold)
        try:
            yield hold
        finally:
            hold.release.set()
            if hold in self._holds:
                self._holds.remove(hold)

    def stop_holding(self, hold: Hold) -> None:
        """Lets later calls through, while those that wait go on waiting."""
        self._holds.remove(hold)

    def overlaps(self) -> list[tuple[Call, Call]]:
        """Calls upon one server that were under way at the same time."""
        return [
            (one, other)
            for one, other in itertools.combinations(self.calls, 2)
            if one.server_id == other.server_id and one.began_at < other.ended_at and other.began_at < one.ended_at
        ]

    def made(self, server_id: str, what: str | None = None) -> list[str]:
        """The calls upon a server that change something, in order."""
        return [call.what for call in self.calls if call.server_id == server_id and what in {None, call.what}]

    async def _arrive(self, what: str, server_id: str) -> None:
        await asyncio.sleep(0)
        for hold in [hold for hold in self._holds if hold.what == what and hold.server_id in {None, server_id}]:
            hold.arrived.set()
            await hold.release.wait()
        if not self.is_up:
            raise unavailable("connection refused")
        if self._faults[what]:
            raise self._faults[what].pop(0)

    @asynccontextmanager
    async def _call(self, what: str, server_id: str) -> AsyncIterator[None]:
        call = Call(what, server_id, monotonic())
        self.calls.append(call)
        try:
            await self._arrive(what.split(maxsplit=1)[0], server_id)
            yield
        finally:
            call.ended_at = monotonic()
