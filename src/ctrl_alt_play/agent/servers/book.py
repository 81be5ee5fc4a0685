"""A server's book: what changed in its life is told, and what its life needs after a restart is remembered, in one entry of the journal.

It is in the log, too: with the panel away that is where a person reads it.
"""

from datetime import datetime

import structlog

from ctrl_alt_play.agent.records import Entry, Memory, News, OperationRecord, Run
from ctrl_alt_play.agent.servers import telling
from ctrl_alt_play.agent.servers.changes import GoodRun
from ctrl_alt_play.agent.servers.game import Game
from ctrl_alt_play.agent.servers.inbox import Inbox
from ctrl_alt_play.agent.servers.life import UP, Life
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.protocol.contents import ServerState
from ctrl_alt_play.protocol.errors import Fault

MOST_WRITTEN = 20
_LASTING = set(ServerState) - {ServerState.STARTING, ServerState.STOPPING}
"""What a panel of part 1 is told of. The two others are answered to the command, and seen in the status."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Book:
    """`since` is when the server became what it is."""

    def __init__(self, game: Game, inbox: Inbox, node: Node) -> None:
        self.memory = game.record.memory
        self.since = node.clock.utc()
        self._game = game
        self._inbox = inbox
        self._node = node
        self._told: ServerState | None = None
        self._news: ServerState | None = None

    def begin(self) -> None:
        """An action begins; `repeat` asks what was told since."""
        self._news = None

    def change(self, before: Life, after: Life, *, forced: bool | None) -> None:
        """The life has changed."""
        at = self._happened_at(before, after)
        if after.observed is not before.observed:
            log.info("server_changed", server_id=self._game.id, was=before.observed, now=after.observed)
            self.since = at if before.observed is not ServerState.UNKNOWN else self._seen_since(at)
        has_crashed = after.ended != before.ended and after.observed is ServerState.CRASHED
        is_unreported = has_crashed or self.memory.is_unreported
        news = self._news_of(before, after, at, forced=forced)
        self._write(self._remembered(after, is_unreported=is_unreported), *news)

    def repeat(self, life: Life) -> None:
        """What succeeded is always told, also where nothing was seen to change: a game may have died and been started again within one
        action. What it passes through is told as it goes on."""
        if life.observed in _LASTING and self._news is not life.observed:
            self._write(self.memory, self._tell(life, self._node.clock.utc()))

    def lose_sight(self, life: Life) -> None:
        """Nothing is known of the server."""
        if self._told is not life.observed:
            self._write(self.memory, self._tell(life, self._node.clock.utc()))

    def remember(self, life: Life) -> None:
        self._write(self._remembered(life))

    def fail(self, operation: OperationRecord, fault: Fault) -> None:
        """An action has failed, in the words of part 1."""
        self._write(self.memory, *telling.failure(operation, fault, self._node.clock.utc()))

    def end(
        self,
        operation: OperationRecord,
        fault: Fault | None,
        result: telling.Result,
        began_at: datetime | None,
        *,
        is_removed: bool,
    ) -> Entry:
        """The end of a command, and of its server where it is removed by it."""
        ids = {"server_id": self._game.id, "command_id": operation.id}
        if fault is None:
            log.info("operation_succeeded", **ids, action=operation.action)
        else:
            log.warning("operation_failed", **ids, action=operation.action, code=fault.code, reason=fault.message)
        now = self._node.clock.utc()
        is_deletion = is_removed and fault is None
        before = (telling.deletion(self._game.id, self._told, now),) if is_deletion else ()
        return telling.end(operation, fault, result, began_at, now, *before, removes=is_removed)

    def owe_report(self, life: Life) -> None:
        """There was a crash without an exit: the node could not start what should run."""
        self._write(self._remembered(life, is_unreported=True))

    def report(self, life: Life, crash: News) -> None:
        self._write(self._remembered(life, is_unreported=False), crash)

    def keep_good_run(self, run: GoodRun) -> None:
        """What is changed from here on may be why a later run does not go well."""
        self._write(self.memory.model_copy(update={"good_run": run.model_dump_json(by_alias=True), "written": ()}))

    def keep_written(self, path: str) -> None:
        """A person has written a file of the server."""
        written = (*(each for each in self.memory.written if each != path), path)[-MOST_WRITTEN:]
        self._write(self.memory.model_copy(update={"written": written}))

    def _news_of(self, before: Life, after: Life, at: datetime, *, forced: bool | None) -> tuple[News, ...]:
        is_news = after.observed is not before.observed and after.observed is not self._told
        if is_news and after.observed in _LASTING:
            return (self._tell(after, at, forced=forced),)
        told = [(each.observed, each.ready, each.is_paused, each.desired, each.restart_at) for each in (before, after)]
        if told[0] == told[1]:
            return ()
        return (self._status(before.observed, after, at, forced=forced, is_for_part1=False),)

    def _tell(self, life: Life, at: datetime, *, forced: bool | None = None) -> News:
        previous, self._told = self._told, life.observed
        self._news = life.observed
        return self._status(previous, life, at, forced=forced, is_for_part1=True)

    def _status(
        self, previous: ServerState | None, life: Life, at: datetime, *, forced: bool | None, is_for_part1: bool
    ) -> News:
        current = self._inbox.current
        command_id = current.id if current else None
        told = telling.change(self._game.id, previous, life, self._game.container, command_id, forced=forced)
        return News(telling.STATUS, self._game.id, told, at, is_for_part1)

    def _remembered(self, life: Life, *, is_unreported: bool | None = None) -> Memory:
        memory = self.memory
        return memory.model_copy(
            update={
                "desired": life.desired,
                "crashed_at": life.crashed_at,
                "restart_at": life.restart_at,
                "ended": life.ended,
                "is_uninstalled": not life.is_installed,
                "is_unreported": memory.is_unreported if is_unreported is None else is_unreported,
                "run": self._run(life),
                "boot_id": self._node.boot_id if self._game.is_running or life.observed in UP else memory.boot_id,
            }
        )

    def _happened_at(self, before: Life, after: Life) -> datetime:
        """A change happens when it is seen, but for the end of a game: Docker says when that was."""
        now = self._node.clock.utc()
        is_end = after.ended is not None and (before.ended is None or before.ended.at != after.ended.at)
        return telling.ended_at(after, self.memory, now) if is_end else now

    def _seen_since(self, at: datetime) -> datetime:
        """Since when a server is what it was found to be at a moment, by Docker's word."""
        container = self._game.container
        found = (container.started_at or container.finished_at) if container else None
        return min(found or at, at)

    def _run(self, life: Life) -> Run | None:
        if not self._game.is_running:
            return self.memory.run
        return Run(started_at=self._game.started_at_s, ready=life.ready, is_awaited=life.is_awaited)

    def _write(self, memory: Memory, *news: News) -> None:
        """A server that is gone is told of, but not remembered."""
        kept = None if memory == self.memory or self._inbox.is_closed else (self._game.id, memory)
        self.memory = memory
        if kept or news:
            self._node.journal.put(Entry(news=news, memory=kept))
