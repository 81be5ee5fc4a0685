"""The log of one console: numbered lines, on the disk and, the newest of them, in memory."""

import asyncio
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from ctrl_alt_play.agent.consoles import part as parts_of
from ctrl_alt_play.agent.consoles.part import Part, gap, without_holes
from ctrl_alt_play.agent.consoles.search import Search
from ctrl_alt_play.agent.consoles.segments import Segment, Segments, records
from ctrl_alt_play.agent.consoles.threads import Threads
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.live import (
    MOST_BATCH_BYTES,
    ConsolePage,
    HistoryPayload,
    Loss,
    SearchPage,
    SearchPayload,
)
from ctrl_alt_play.protocol.specification import ConsoleRule

TAIL_BYTES = 256 * 1024
"""Kept in memory, at least; more of what the reader has not come to yet."""
MOST_PENDING_BYTES = 8 * 2**20
"""What may wait for the disk; what comes while so much waits is only counted."""
RECORD_BYTES = 32 * 1024
MARK_EVERY_BYTES = 64 * 1024
MOST_MARKS = 160
log = structlog.get_logger(__name__)


class Reader(Protocol):
    """Who stays at a log's end."""

    offset: int
    """The line that it reads next."""
    most_bytes: int
    """So much of what it has not read is kept in memory for it."""

    def on_more(self) -> None:
        """There is more to read."""
        ...


class ConsoleLog:
    """`append` and `lose` return at once; who reads sees lines as soon as they are on the disk, or could not be brought there.

    Open it before all else. A disk that fails costs the log what could not be written, and nothing else.
    """

    def __init__(self, folder: Path, boot_id: str, clock: Clock, threads: Threads) -> None:
        self.end = 0
        """How many lines there ever were, of those that can be read."""
        self.at = 0.0
        """When the newest line was taken in; 0 where there is none."""
        self.reader: Reader | None = None
        self._segments = Segments(folder, boot_id)
        self._clock = clock
        self.threads = threads
        self._next = 0
        self._pending: list[Part] = []
        self._pending_bytes = 0
        self._tail: list[Part] = []
        self._tail_bytes = 0
        self._marks: deque[tuple[int, int]] = deque(maxlen=MOST_MARKS)
        """Places of lines in the stream of bytes that was taken in."""
        self._bytes = 0
        self._opening: asyncio.Future[None] | None = None
        self._is_failing = False

    @property
    def first(self) -> int:
        """The oldest line that is kept."""
        return self._segments.first

    def keep(self, rule: ConsoleRule) -> None:
        """How much is kept from now on."""
        self._segments.rule = rule

    async def open(self) -> None:
        """Finds what was kept before; does so once."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
        await asyncio.shield(self._opening)

    async def _open(self) -> None:
        try:
            await self.threads.run(self._segments.open)
        except (OSError, ValueError) as error:
            log.warning("console_not_opened", reason=str(error))
        self._next = self.end = self._segments.end
        for segment in self._segments.found:
            self._marks.append((segment.first, self._bytes))
            self._bytes += segment.size
            self.at = segment.at if segment.first < self.end else self.at

    # Taking in

    @property
    def waiting_bytes(self) -> int:
        """What was taken in and is not on the disk yet."""
        return self._pending_bytes

    def append(self, stream: str, text: str) -> None:
        """Takes in lines, joined by newlines."""
        lines, size = text.count("\n") + 1, len(text)
        if self._pending_bytes > MOST_PENDING_BYTES:
            self.lose(lines)
            return
        last = self._pending[-1] if self._pending else None
        self._pending_bytes += size
        if (
            last is not None
            and last.text is not None
            and last.stream == stream
            and len(last.text) + size < RECORD_BYTES
        ):
            self._pending[-1] = last._replace(lines=last.lines + lines, text=f"{last.text}\n{text}")
        else:
            self._pending.append(Part(self._next, lines, self._now(), stream, text))
        self._next += lines
        self.threads.wake(self)

    def lose(self, lines: int, why: Loss = Loss.FLOOD) -> None:
        """So many lines are not there."""
        last = self._pending[-1] if self._pending else None
        if last is not None and last.lost is why:
            self._pending[-1] = last._replace(lines=last.lines + lines)
        else:
            self._pending.append(gap(self._next, lines, self._now(), why))
        self._next += lines
        self.threads.wake(self)

    def take(self) -> list[Part]:
        """What is to be written. For the writer, as `write` and `show`."""
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        return pending

    def write(self, parts: list[Part]) -> None:
        """In the writer's thread."""
        try:
            if parts:
                self._segments.write(parts)
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:
                log.warning("console_not_written", reason=str(error))
            self._is_failing = True

    def show(self, parts: list[Part]) -> None:
        """They can be read now."""
        for part in parts:
            size = len(part.text or "")
            if not self._marks or self._bytes - self._marks[-1][1] >= MARK_EVERY_BYTES:
                self._marks.append((part.offset, self._bytes))
            self._bytes += size
            self._tail.append(part)
            self._tail_bytes += size
            self.end, self.at = part.next, part.at
        self.forget()
        if self.reader is not None:
            self.reader.on_more()

    def forget(self) -> None:
        """Lets go of what need not be in memory any more."""
        dropped = 0
        while self._tail_bytes > TAIL_BYTES and dropped < len(self._tail) - 1:
            oldest = self._tail[dropped]
            if self.reader and self.reader.offset < oldest.next and self._tail_bytes <= self.reader.most_bytes:
                break
            self._tail_bytes -= len(oldest.text or "")
            dropped += 1
        del self._tail[:dropped]

    # Reading

    @property
    def remembered(self) -> int:
        """The oldest line that is in memory."""
        return self._tail[0].offset if self._tail else self.end

    def behind(self, offset: int) -> int:
        """About how many bytes there are from this line on."""
        place = bisect_right(self._marks, offset, key=lambda mark: mark[0])
        return self._bytes - self._marks[max(place - 1, 0)][1] if self._marks else 0

    def newest(self, since: int) -> list[Part]:
        """A batch from `since` on, of what is in memory."""
        place = bisect_left(self._tail, since, key=lambda part: part.offset)
        if place and (place == len(self._tail) or self._tail[place].offset > since):
            place -= 1
        return parts_of.head(without_holes(self._tail[place:], since, self.end, self.first), MOST_BATCH_BYTES)

    async def kept(self, since: int, most_lines: int = MOST_BATCH_BYTES) -> list[Part]:
        """A batch from `since` on, from the disk."""
        found, end, first = self._segments.found, self.end, self.first
        return await self._read(lambda: _forward(found, since, end, first, most_lines))

    async def last(self, before: int | None = None, most_lines: int = MOST_BATCH_BYTES) -> list[Part]:
        """The newest batch, or the newest before a line."""
        found, end, first = self._segments.found, self.end, self.first
        before = end if before is None else min(before, end)
        return await self._read(lambda: _backward(found, before, first, most_lines))

    async def history(self, payload: HistoryPayload) -> ConsolePage:
        """A page of what was kept, and of what was not."""
        await self.threads.run(self._segments.prune)
        if payload.since is None:
            parts = await self.last(payload.before, payload.lines)
            upto = self.end if payload.before is None else payload.before
        else:
            parts = await self.kept(payload.since, payload.lines)
            upto = min(payload.since, self.end)
        reached = parts[-1].next if parts else min(upto, self.end)
        return ConsolePage.model_construct(
            parts=tuple(part.told() for part in parts), first=self.first, next=reached, end=max(self.end, reached)
        )

    async def search(self, payload: SearchPayload) -> SearchPage:
        """The newest lines that match.

        Raises:
            Fault: `INVALID_PAYLOAD`, the expression cannot be used.
        """
        search = Search(payload)
        await self.threads.run(self._segments.prune)
        found = self._segments.found
        return await asyncio.get_running_loop().run_in_executor(self.threads.searchers, search.run, found)

    def discard(self) -> None:
        """The server is no more: what is not written will not be."""
        self.take()

    async def seal(self) -> None:
        """Nothing more is taken in: should the machine be booted next, numbering can go on where it ended."""
        if self._opening is not None:
            await self.threads.run(self._segments.seal)

    async def _read(self, work: Callable[[], list[Part]]) -> list[Part]:
        return await asyncio.get_running_loop().run_in_executor(self.threads.readers, work)

    def _now(self) -> float:
        return self._clock.utc().timestamp()


def _forward(found: tuple[Segment, ...], since: int, end: int, first: int, most_lines: int) -> list[Part]:
    place = max(bisect_right(found, since, key=lambda segment: segment.first) - 1, 0)
    kept = (record for segment in found[place:] for record in records(segment))
    parts = (record.part() for record in kept if record.offset + record.lines >= since)
    return parts_of.head(without_holes(parts, since, end, first), most_lines)


def _backward(found: tuple[Segment, ...], before: int, first: int, most_lines: int) -> list[Part]:
    parts: list[Part] = []
    for segment in reversed([each for each in found if each.first < before]):
        parts[:0] = [record.part() for record in records(segment) if record.offset < before]
        texts = [part for part in parts if part.text is not None]
        if sum(part.lines for part in texts) >= most_lines or sum(part.size for part in texts) >= MOST_BATCH_BYTES:
            break
    start = parts[0].offset if parts else min(first, before)
    return parts_of.tail(without_holes(parts, start, before, first), most_lines)
