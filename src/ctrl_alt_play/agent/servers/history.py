"""What a server's runs were: the last one that went well, and the report of one that did not."""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import structlog
from pydantic import ValidationError

from ctrl_alt_play.agent.consoles.cutting import Cutters
from ctrl_alt_play.agent.records import Memory, News
from ctrl_alt_play.agent.servers import crashes
from ctrl_alt_play.agent.servers.causes import Evidence
from ctrl_alt_play.agent.servers.changes import GoodRun
from ctrl_alt_play.agent.servers.game import Game
from ctrl_alt_play.agent.servers.life import Life
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.agent.servers.telling import CRASHED, ended_at
from ctrl_alt_play.clock import at_seconds
from ctrl_alt_play.protocol.errors import Fault

GOOD_AFTER_S = 60.0
"""A run that lasted so long, and was ready where a rule asks for it, went well."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class History:
    """Knows of the run under way what its end will be judged by."""

    def __init__(self, game: Game, node: Node, on_good_run: Callable[[GoodRun], None]) -> None:
        self.start_fault: Fault | None = None
        """Why the node could not start the game by itself."""
        self.was_lost = False
        """The game ran, but did not answer any more, and was ended for it."""
        self._game = game
        self._node = node
        self._on_good_run = on_good_run
        self._timer: asyncio.TimerHandle | None = None

    def begin_run(self, memory: Memory) -> None:
        """The game runs as it should; it is a good run once it has done so for a while, and if it was none already."""
        self.end_run()
        good = _good_run(memory)
        if good is None or good.at != self._game.started_at_s:
            self._timer = asyncio.get_running_loop().call_later(GOOD_AFTER_S, self._went_well)

    def end_run(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def report(self, life: Life, memory: Memory) -> News:
        """The report of the crash that was seen last, with the game's last words."""
        await self._game.last_words()
        container, limits = self._game.container, self._game.record.specification.limits
        used_bytes = self._game.meter.disk_bytes
        fault, self.start_fault = self.start_fault, None
        was_lost, self.was_lost = self.was_lost, False
        seen = Evidence(
            exit_code=container.exit_code if container else None,
            oom_killed=container.oom_killed if container else False,
            fault=fault,
            silent_s=self._game.record.specification.readiness.lost if was_lost else None,
            memory_limit_bytes=limits.memory,
            disk_free_bytes=await asyncio.to_thread(self._free_bytes),
            limit_free_bytes=limits.disk - used_bytes if limits.disk and used_bytes is not None else None,
            last_lines=[] if fault else await self._last_lines(self._began_at(memory)),
        )
        told_at = self._node.clock.utc()
        crashed_at = told_at if fault else ended_at(life, memory, told_at)
        told = crashes.report(
            self._game.id,
            seen,
            crashed_at=crashed_at,
            started_at=None if fault else self._began_at(memory),
            crashes=max(1, len(life.crashed_at)),
            restart_at=None if life.restart_at is None else at_seconds(life.restart_at),
            good=_good_run(memory),
            now=self._run(memory.written, was_made=fault is None),
        )
        log.warning(
            "server_crashed",
            server_id=self._game.id,
            cause=told.cause,
            summary=told.summary,
            is_started_again=told.restart_at is not None,
        )
        return News(CRASHED, self._game.id, told, crashed_at)

    def _went_well(self) -> None:
        self._timer = None
        self._on_good_run(self._run((), was_made=True))

    def _run(self, written: tuple[str, ...], *, was_made: bool) -> GoodRun:
        """What a run was made of; or, where the container of today could not be made, what it was to be made of. A change that came while the
        game ran has no part in it, but for the stop rule.
        """
        container, specification = self._game.container, self._game.record.specification
        if was_made and container is not None and container.specification is not None:
            specification = container.specification.model_copy(update={"stop": specification.stop})
        return GoodRun(
            specification=specification,
            image_id=container.image_id if container else "",
            at=self._game.started_at_s,
            files=written,
        )

    def _began_at(self, memory: Memory) -> datetime | None:
        """When the run that crashed began: the newest of what this agent started and what it remembers."""
        remembered = at_seconds(memory.run.started_at) if memory.run else None
        launched = self._game.launched_at
        return max((each for each in (remembered, launched) if each is not None), default=None)

    async def _last_lines(self, since: datetime | None) -> list[str]:
        """What was heard, if this agent started the run; else what Docker has kept of it."""
        if self._game.last_lines and self._game.launched_at is not None:
            return list(self._game.last_lines)
        cutters, found = Cutters(), list[str]()
        with suppress(Fault):
            since_s = None if since is None else since.timestamp()
            async for chunk in self._node.engine.logs(self._game.id, since_s=since_s, tail=crashes.MOST_LINES):
                text = cutters[chunk.stream].feed(chunk.data)
                found += [] if text is None else text.split("\n")
        return found + [text for _, text in cutters.flush()]

    def _free_bytes(self) -> int | None:
        try:
            return shutil.disk_usage(self._game.folder).free
        except OSError:
            return None


def _good_run(memory: Memory) -> GoodRun | None:
    """What an agent of another version wrote, and this one cannot read, counts as not known."""
    try:
        return None if memory.good_run is None else GoodRun.model_validate_json(memory.good_run)
    except ValidationError:
        return None
