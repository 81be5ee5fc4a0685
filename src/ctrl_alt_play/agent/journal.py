"""What the agent must know again after it was killed: its servers, the commands it accepted, and what it has still to tell the panel.

One SQLite file, written by one thread. A command is with the kernel before the panel is told that it was accepted, so that a killed agent forgets
nothing, and on the disk, so that a loss of power costs nothing either; but for lines to a game, which is lost then itself.
"""

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, TypeVar

import structlog

from ctrl_alt_play.agent import schema, spool, tables
from ctrl_alt_play.agent.records import Entry, Known, News, OperationRecord, ServerRecord, Spooled
from ctrl_alt_play.errors import StartupError
from ctrl_alt_play.logs import nothing_carried
from ctrl_alt_play.protocol.errors import ErrorCode, Fault

RETRY_S = 0.5
PATIENCE_S = 0.5
"""How long a command waits to be accepted while the journal cannot be written."""
MOST_WAITING = 10_000
"""Entries kept in memory while the journal cannot be written; past it the oldest are lost, and the log says so."""
FORGET_EVERY_S = 3600.0
LOOK_EVERY_S = 5.0
"""How often the file is looked for."""
log = structlog.get_logger(__name__)
Result = TypeVar("Result")


class Journal:
    """Open one with `Journal.open`; it belongs to one agent at a time.

    `put` never waits and never fails: what cannot be written now, for a full disk or a locked file, is kept and tried again, in order.
    """

    def __init__(
        self, file: Path, database: sqlite3.Connection, thread: ThreadPoolExecutor, found: spool.Found
    ) -> None:
        self.spool_id = found.id
        self.newest_seq = found.newest
        """The last number given to a durable event; it may not be written yet."""
        self.is_acknowledged = found.is_acknowledged
        """Whether this node's panel has ever been one of part 2."""
        self.written_seq = found.newest
        self.on_news: Callable[[int, News], None] = lambda _seq, _news: None
        """Told of each durable event when it gets its number."""
        self.on_written: Callable[[], None] = lambda: None
        """Told when durable events can be read."""
        self._file = file
        self._names = schema.names(file)
        self._database = database
        self._former: list[sqlite3.Connection] = []
        """Open files that were taken away. To close one removes, by its name, what belongs to the newest: so that goes first."""
        self._thread = thread
        self._acked = self._forgotten = found.acked
        self._waiting: deque[tuple[Entry, int, asyncio.Future[None]]] = deque()
        self._writing: asyncio.Task[None] | None = None
        self.is_stuck = False
        """Nothing can be written just now."""
        self.is_lost = False
        """The file was taken away, and could not be made anew yet."""
        self._forgot_at = float("-inf")

    @classmethod
    async def open(cls, file: Path) -> "Journal":
        """Opens or makes the file.

        Raises:
            StartupError: it cannot be written, or is of a newer version.
        """
        thread = ThreadPoolExecutor(1, "journal")
        loop = asyncio.get_running_loop()
        try:
            database = await loop.run_in_executor(thread, schema.open_database, file)
            found = await loop.run_in_executor(thread, spool.find, database)
        except (sqlite3.Error, OSError) as error:
            thread.shutdown()
            raise StartupError(
                f"The agent's journal {file} cannot be opened: {error}. Check the disk and who owns the folder."
            ) from error
        return cls(file, database, thread, found)

    @property
    def unacknowledged(self) -> int:
        """How many durable events the panel has not kept yet."""
        return max(0, self.newest_seq - self._acked)

    async def servers(self) -> list[ServerRecord]:
        return await self._run(tables.servers)

    async def operations(self) -> list[OperationRecord]:
        """What was accepted and has not ended, in the order of acceptance."""
        return await self._run(tables.operations)

    async def outcome(self, command_id: str) -> Known | None:
        """What became of a command, for as long as it is remembered; None when none of that id was accepted."""
        return await self._run(lambda db: tables.outcome(db, command_id))

    async def accept(
        self, operation: OperationRecord, server: ServerRecord | None = None
    ) -> tuple[OperationRecord, ServerRecord | None]:
        """Keeps an accepted command, and with it the new server that it makes, whole or not at all; a uid of 0 becomes the lowest free one.

        Raises:
            Fault: `INSUFFICIENT_RESOURCES`, the journal cannot be written: nothing was accepted.
            sqlite3.IntegrityError: the command, or the server, is there already.
        """
        await self._caught_up()
        accepted = replace(operation, accepted_at=datetime.now(UTC))
        try:
            return await self._run(lambda db: tables.accept(db, accepted, server))
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise _unwritable(error) from error

    def put(self, entry: Entry) -> asyncio.Future[None]:
        """Writes an entry down, after all that was put before. The future ends when it is written; nobody has to wait for it."""
        first = self.newest_seq + 1
        self.newest_seq += len(entry.news)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, first, written))
        if len(self._waiting) > MOST_WAITING:
            self._make_room()
        for seq, news in enumerate(entry.news, first):
            self.on_news(seq, news)
        self._write_soon()
        return written

    def _make_room(self) -> None:
        """The oldest news go first; how a command ended goes only where there is nothing else."""
        victim = next((each for each in self._waiting if each[0].ending is None), self._waiting[0])
        self._waiting.remove(victim)
        victim[2].cancel()
        log.error("journal_overflow", lost=1, waiting=MOST_WAITING)

    async def written(self, entry: Entry, timeout_s: float = PATIENCE_S) -> bool:
        """Puts an entry and waits for it, but not for ever: a full disk is no reason not to stop a game. Whether it is written."""
        done, _ = await asyncio.wait({self.put(entry)}, timeout=timeout_s)
        return bool(done)

    async def events_after(self, seq: int, limit: int) -> list[Spooled]:
        """The durable events that follow a number, the oldest first."""
        return await self._run(lambda db: spool.read(db, seq, limit))

    async def meet_part2(self) -> None:
        """The panel is one of part 2; which is remembered, so that a slow one is never taken for one that acknowledges nothing."""
        if not self.is_acknowledged:
            self.is_acknowledged = True
            with contextlib.suppress(sqlite3.Error):
                await self._run(spool.meet_part2)

    async def take_over(self, acked: int) -> None:
        """The panel knows of more events than this journal, which was set back, as by a backup: those that it has not told get new numbers.

        Raises:
            Fault, sqlite3.Error: they cannot, just now.
        """
        if acked <= self.newest_seq:
            return
        await self._caught_up()
        log.warning("journal_was_set_back", newest=self.newest_seq, acked=acked)
        self.newest_seq += acked
        await self._run(lambda db: spool.renumber(db, acked))
        self.written_seq += acked

    def ack(self, seq: int) -> None:
        """The panel has kept all up to here: they are forgotten."""
        if seq > self._acked:
            self._acked = seq
            self.newest_seq = max(
                self.newest_seq, seq
            )  # a panel that knows more has known this journal before it was set back
            self._write_soon()

    async def close(self) -> None:
        """Writes what can be written, and closes the file."""
        if (writing := self._writing) is not None:
            await asyncio.wait({writing}, timeout=PATIENCE_S)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        await self._run(self._close)
        self._thread.shutdown()

    async def guard(self) -> NoReturn:
        """Sees to it, for as long as the agent lives, that what is written is in the file that the next agent will read."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Looks for the file; one that was removed or replaced is made anew of what this agent holds open."""
        if await self._run(lambda _: schema.names(self._file)) == self._names:
            return
        if not self.is_lost:
            log.error("journal_lost", file=str(self._file), reason="removed or replaced while the agent ran")
        self.is_lost = True
        try:
            await self._run(self._put_back)
        except (sqlite3.Error, OSError) as error:
            log.error("journal_not_put_back", file=str(self._file), reason=str(error))  # noqa: TRY400 - the reason is all
            return
        self.is_lost = False
        log.warning("journal_put_back", file=str(self._file))

    def _close(self, database: sqlite3.Connection) -> None:
        for each in (database, *self._former):
            each.close()

    def _put_back(self, database: sqlite3.Connection) -> None:
        schema.put_back(database, self._file)
        self._database = schema.open_database(self._file)
        self._former.append(database)
        self._names = schema.names(self._file)

    async def _caught_up(self) -> None:
        if self.is_stuck or self.is_lost:
            raise _unwritable("its file is gone" if self.is_lost else "it could not be written just now")
        if self._waiting:
            _, late = await asyncio.wait({self._waiting[-1][2]}, timeout=PATIENCE_S)
            if late:
                raise _unwritable("it is being written too slowly")

    def _write_soon(self) -> None:
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="journal", context=nothing_carried())

    async def _write(self) -> None:
        """Writes until nothing waits any more. What is put after the last look begins anew."""
        try:
            await self._forget_old()
            while self._waiting or self._acked > self._forgotten:
                await self._write_batch()
        finally:
            self._writing = None

    async def _write_batch(self) -> None:
        """As many entries at once as there are."""
        batch, acked = list(self._waiting), self._acked
        newest = batch[-1][1] + len(batch[-1][0].news) - 1 if batch else self.written_seq
        try:
            await self._run(lambda db, b=batch, a=acked: spool.write(db, [(entry, seq) for entry, seq, _ in b], a))  # type: ignore[misc]
        except sqlite3.Error as error:
            await self._stuck(error)
            return
        except Exception:  # one entry that cannot be written at all must not hold up the others
            log.exception("journal_entry_broken", entries=len(batch))
            await self._set_aside(batch)
            return
        self.is_stuck, self._forgotten = False, acked
        for entry in batch:
            if self._waiting and self._waiting[0] is entry:  # else it has gone for want of room
                self._waiting.popleft()
        self.written_seq = max(self.written_seq, newest)
        for _, _, written in batch:
            if not written.done():
                written.set_result(None)
        self.on_written()

    async def _set_aside(self, batch: list[tuple[Entry, int, asyncio.Future[None]]]) -> None:
        """Gives up what cannot be written at all. Writing the others a second time, with the rest, changes nothing."""
        for each in batch:
            entry, seq, written = each
            try:
                await self._run(lambda db, e=entry, s=seq: spool.write(db, [(e, s)], 0))  # type: ignore[misc]
            except sqlite3.Error as error:
                await self._stuck(error)
                return
            except Exception:
                log.exception("journal_entry_lost", seq=seq)
                self._waiting.remove(each)
                written.cancel()

    async def _stuck(self, error: sqlite3.Error) -> None:
        if not self.is_stuck:
            log.error("journal_not_written", reason=str(error), waiting=len(self._waiting))
        self.is_stuck = True
        await asyncio.sleep(RETRY_S)

    async def _forget_old(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._forgot_at >= FORGET_EVERY_S:
            self._forgot_at = now
            with contextlib.suppress(sqlite3.Error):
                await self._run(tables.forget_old)

    async def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._database))


def _unwritable(reason: object) -> Fault:
    sentence = "The agent's journal cannot be written, so nothing can be accepted. Is the node's disk full?"
    return Fault(ErrorCode.INSUFFICIENT_RESOURCES, sentence, str(reason))
