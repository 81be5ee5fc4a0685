"""Who plays on each server whose specification names a query: asked every 15 s while it runs, each in a task of its own, so that none waits for
another. Who came and who went since the answer before is told.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from ctrl_alt_play.agent.figures.queries import QUERIES
from ctrl_alt_play.agent.figures.subject import Subject
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.live import PlayersChanged, PlayersSeen
from ctrl_alt_play.protocol.specification import Specification

EVERY_S = 15.0
EARLY_S = 0.5
"""So much earlier is soon enough: it is asked where figures are measured, and their clock is not that exact."""
DEADLINE_S = 2.0
KEPT_S = 45.0
"""A game that does not answer just now is believed to be as it said last, for so long."""
MOST_NAMES = 1000
log = structlog.get_logger(__name__)


@dataclass
class Roll:
    """One run of one game. `names` are those that were told of; None where nobody can say who was there before."""

    started_at_s: float
    names: Counter[str] | None
    seen: PlayersSeen | None = None
    seen_at: float = 0.0
    asked_at: float = float("-inf")
    asking: asyncio.Task[None] | None = None


class Census:
    """`on_change` hears of joins and leaves, once each."""

    def __init__(self, clock: Clock, on_change: Callable[[PlayersChanged], object]) -> None:
        self._clock = clock
        self._on_change = on_change
        self._began_at_s = clock.utc().timestamp()
        self._rolls: dict[str, Roll] = {}

    def seen(self, server_id: str) -> PlayersSeen | None:
        """The newest answer; None where the game is not asked, or has not answered for a while."""
        roll = self._rolls.get(server_id)
        if roll is None or roll.seen is None or self._clock.monotonic() - roll.seen_at > KEPT_S:
            return None
        return roll.seen

    def ask(self, running: Iterable[Subject]) -> None:
        """Asks all games whose turn it is, of those that run. Returns at once."""
        asked = {subject.id: subject for subject in running if subject.specification.query is not None}
        for server_id in self._rolls.keys() - asked.keys():
            self._close(server_id)
        for subject in asked.values():
            roll = self._roll(subject)
            if roll.asking is None and self._clock.monotonic() - roll.asked_at >= EVERY_S - EARLY_S:
                roll.asked_at = self._clock.monotonic()
                roll.asking = asyncio.create_task(self._ask(subject, roll), name=f"players {subject.id}")

    def close(self) -> None:
        """Asks no more."""
        for roll in self._rolls.values():
            if roll.asking is not None:
                roll.asking.cancel()

    def _roll(self, subject: Subject) -> Roll:
        """That of this run. Of a game that ran before this agent did, the first answer is compared with nothing."""
        roll = self._rolls.get(subject.id)
        if roll is not None and roll.started_at_s == subject.started_at_s:
            return roll
        if roll is not None:
            self._close(subject.id)
        is_watched_from_its_start = subject.started_at_s >= self._began_at_s
        self._rolls[subject.id] = Roll(subject.started_at_s, Counter() if is_watched_from_its_start else None)
        return self._rolls[subject.id]

    def _close(self, server_id: str) -> None:
        """The run is over, and whoever was there is gone."""
        roll = self._rolls.pop(server_id)
        if roll.asking is not None:
            roll.asking.cancel()
        if roll.names:
            most = roll.seen.max if roll.seen else None
            self._tell(server_id, PlayersSeen(online=0, max=most), Counter(), roll.names)

    async def _ask(self, subject: Subject, roll: Roll) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                seen = await _answer(subject.specification, subject.container.address or "127.0.0.1")
        except Exception as error:  # noqa: BLE001 - libraries that read what strangers send promise no kind of error
            log.debug("players_not_told", server_id=subject.id, reason=repr(error))
        else:
            roll.seen, roll.seen_at = seen, self._clock.monotonic()
            self._compare(subject.id, roll, seen)
        finally:
            roll.asking = None

    def _compare(self, server_id: str, roll: Roll, seen: PlayersSeen) -> None:
        """Names count only where the game gives all of them: some give a sample, and another one each time."""
        before, now = roll.names, Counter(seen.list)
        if now.total() < (seen.online or 0):
            roll.names = None
            return
        roll.names = now
        if before is not None and before != now:
            self._tell(server_id, seen, now - before, before - now)

    def _tell(self, server_id: str, seen: PlayersSeen, joined: Counter[str], left: Counter[str]) -> None:
        changed = PlayersChanged(
            server_id=server_id,
            online=seen.online or 0,
            max=seen.max,
            joined=tuple(sorted(joined.elements()))[:MOST_NAMES],
            left=tuple(sorted(left.elements()))[:MOST_NAMES],
        )
        log.info("players_changed", server_id=server_id, joined=len(changed.joined), left=len(changed.left))
        self._on_change(changed)


async def _answer(specification: Specification, address: str) -> PlayersSeen:
    """As the specification's query gives it. Raises anything."""
    query, ports = specification.query, specification.ports
    if query is None:
        raise ValueError("it names no query")
    port = query.port or (ports[0].internal if ports else 0)
    return await QUERIES[query.protocol](address, port, DEADLINE_S)
