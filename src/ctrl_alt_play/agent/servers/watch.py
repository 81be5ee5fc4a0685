"""Watching one run of a game until it is ready, and after that, where its rule asks for it, whether it still answers."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

import structlog

from ctrl_alt_play.agent.consoles.cutting import Cutters
from ctrl_alt_play.agent.engine.base import Container, Engine
from ctrl_alt_play.agent.servers.readiness import Signs, answers
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.specification import Probe, Specification

PROBE_EVERY_S = 1.0
PROBE_TIMEOUT_S = 3.0
STILL_EVERY_S = 5.0
log = structlog.get_logger(__name__)


class Watch:
    """One run's readiness. `decided` is set once it is known; `is_ready` is then True, or False when its time passed, or None without a rule.

    `on_lost` is called when a game that was ready has not answered for as long as its rule allows.
    """

    def __init__(
        self,
        specification: Specification,
        container: Container,
        clock: Clock,
        on_decided: Callable[[bool | None], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.started_at = _start_of(container)
        self.decided = asyncio.Event()
        self.is_ready: bool | None = None
        self.is_frozen = False
        """Somebody has paused the game: that it does not answer is no news."""
        self._rule = specification.readiness
        self._signs = Signs(self._rule)
        self._address = container.address or "127.0.0.1"
        self._port = _port_of(self._rule.probe, specification)
        self._server_id = container.server_id
        self._clock = clock
        self._on_decided = on_decided
        self._on_lost = on_lost
        self._seen = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def has_rule(self) -> bool:
        return bool(self._rule.text) or self._rule.probe is not None

    def begin(self, lines: Iterable[str], engine: Engine | None = None) -> None:
        """Watches in a task of its own, after a look at the `lines` that the game has written already; with an `engine`, at all of them."""
        for line in lines:
            self.hear(line)
        self._task = asyncio.create_task(self._watch(engine), name=f"readiness {self._server_id}")

    def go_on(self, *, is_ready: bool) -> None:
        """It was decided before the agent was restarted: only whether the game still answers is left to watch."""
        self.is_ready = is_ready
        self.decided.set()
        if is_ready and self._rule.lost and self._rule.probe is not None:
            self._task = asyncio.create_task(self._stay(self._rule.probe), name=f"readiness {self._server_id}")

    def hear(self, text: str) -> None:
        """The game wrote lines, joined by newlines. Returns at once."""
        if self.decided.is_set() or self._seen.is_set() or self._signs.is_empty:
            return
        if any(self._signs.sees(line) for line in text.split("\n")):
            self._seen.set()

    def cancel(self) -> None:
        """Watches no more."""
        if self._task is not None:
            self._task.cancel()

    async def _watch(self, engine: Engine | None) -> None:
        if not self.has_rule:
            self._decide(is_ready=None)
            return
        if engine is not None and not self._signs.is_empty:
            with suppress(Fault):
                await self._read_back(engine)
        left_s = self._rule.timeout - (self._clock.utc().timestamp() - self.started_at)
        try:
            async with asyncio.timeout(min(max(left_s, 0.0), self._rule.timeout)):
                await self._sign()
        except TimeoutError:
            log.warning("readiness_not_seen", server_id=self._server_id, timeout_s=self._rule.timeout)
            self._decide(is_ready=False)
            return
        self._decide(is_ready=True)
        if self._rule.lost and self._rule.probe is not None:
            await self._stay(self._rule.probe)

    async def _sign(self) -> None:
        """Waits for the first sign, of whichever kind."""
        probing = None if self._rule.probe is None else asyncio.create_task(self._probe(self._rule.probe))
        seeing = asyncio.create_task(self._seen.wait())
        waits: set[asyncio.Task[object]] = {task for task in (probing, seeing) if task is not None}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _probe(self, probe: Probe) -> None:
        has_answered = False
        while not has_answered:
            has_answered = await answers(probe, self._address, self._port, PROBE_TIMEOUT_S)
            await asyncio.sleep(0 if has_answered else PROBE_EVERY_S)

    async def _stay(self, probe: Probe) -> None:
        answered_at = self._clock.monotonic()
        while True:
            await asyncio.sleep(min(STILL_EVERY_S, self._rule.lost / 2))
            if self.is_frozen or await answers(probe, self._address, self._port, PROBE_TIMEOUT_S):
                answered_at = self._clock.monotonic()
            elif self._clock.monotonic() - answered_at >= self._rule.lost:
                log.warning("readiness_lost", server_id=self._server_id, silent_s=self._rule.lost)
                self._on_lost()
                return

    async def _read_back(self, engine: Engine) -> None:
        """What was written while the agent was away may hold the sign."""
        cutters = Cutters()
        async for chunk in engine.logs(self._server_id, since_s=self.started_at):
            if (text := cutters[chunk.stream].feed(chunk.data)) is not None:
                self.hear(text)

    def _decide(self, *, is_ready: bool | None) -> None:
        self.is_ready = is_ready
        self.decided.set()
        self._on_decided(is_ready)


def _start_of(container: Container) -> float:
    return container.started_at.timestamp() if container.started_at else 0.0


def _port_of(probe: Probe | None, specification: Specification) -> int:
    if probe is not None and probe.port is not None:
        return probe.port
    return specification.ports[0].internal if specification.ports else 0
