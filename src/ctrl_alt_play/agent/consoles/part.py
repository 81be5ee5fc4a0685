"""A piece of a console as it is kept: whole lines of one stream, or a gap where lines are not there."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, cast

from ctrl_alt_play.clock import at_seconds
from ctrl_alt_play.protocol.live import MOST_BATCH_BYTES, Lines, Loss, Stream

PART_COST = 128
"""Bytes that a part takes on the wire beside its text."""


class Part(NamedTuple):
    """What `protocol.live.Lines` tells, small enough to be had by the thousand. `at` is in seconds of the wall clock."""

    offset: int
    lines: int
    at: float
    stream: str
    text: str | None
    lost: Loss | None = None

    @property
    def next(self) -> int:
        """The number of the line after these."""
        return self.offset + self.lines

    @property
    def size(self) -> int:
        """Bytes of text."""
        return 0 if self.text is None else len(self.text.encode())

    def between(self, start: int, stop: int) -> "Part":
        """Only the lines from `start` on, and before `stop`."""
        start, stop = max(start, self.offset), min(stop, self.next)
        if (start, stop) == (self.offset, self.next):
            return self
        text = None
        if self.text is not None:
            text = "\n".join(self.text.split("\n")[start - self.offset : stop - self.offset])
        return self._replace(offset=start, lines=stop - start, text=text)

    def told(self) -> Lines:
        stream = cast("Stream", self.stream)  # nothing else is ever taken in
        return Lines.model_construct(
            offset=self.offset,
            lines=self.lines,
            at=at_seconds(self.at) if self.at else None,
            stream=stream,
            text=self.text,
            lost=self.lost,
        )


def gap(offset: int, lines: int, at: float, lost: Loss) -> Part:
    return Part(offset, lines, at, "stdout", None, lost)


def without_holes(parts: Iterable[Part], since: int, end: int, first: int) -> Iterator[Part]:
    """The parts from `since` on and before `end`, with a gap for every line that none of them has."""
    at = 0.0
    for part in parts:
        if part.offset < since and part.next <= since:
            continue
        if part.offset >= end:
            break
        piece = part.between(since, end)
        yield from _hole(since, piece.offset, first, piece.at)
        yield piece
        since, at = piece.next, piece.at
    yield from _hole(since, end, first, at)


def _hole(start: int, stop: int, first: int, at: float) -> Iterator[Part]:
    if start < min(first, stop):
        yield gap(start, min(first, stop) - start, at, Loss.ROTATED)
    if max(start, first) < stop:
        yield gap(max(start, first), stop - max(start, first), at, Loss.FLOOD)


def head(parts: Iterable[Part], most_lines: int) -> list[Part]:
    """As many from the beginning as a page may have; at least one line, if there is one."""
    found: list[Part] = []
    lines, left = most_lines, MOST_BATCH_BYTES
    for part in parts:
        if found and (lines <= 0 or left < PART_COST):
            break
        taken = part if part.text is None else _fitting(part, lines, left, is_first=not _has_text(found))
        if taken is None:
            break
        found.append(taken)
        lines -= 1 if taken.text is None else taken.lines
        left -= PART_COST + taken.size
        if taken.next < part.next:
            break
    return found


def tail(parts: Iterable[Part], most_lines: int) -> list[Part]:
    """As `head`, from the end."""
    found: list[Part] = []
    lines, left = most_lines, MOST_BATCH_BYTES
    for part in reversed(list(parts)):
        if found and (lines <= 0 or left < PART_COST):
            break
        taken = part if part.text is None else _fitting(part, lines, left, is_first=not _has_text(found), at_end=True)
        if taken is None:
            break
        found.append(taken)
        lines -= 1 if taken.text is None else taken.lines
        left -= PART_COST + taken.size
        if taken.offset > part.offset:
            break
    return found[::-1]


def _has_text(parts: list[Part]) -> bool:
    return any(part.text is not None for part in parts)


def _fitting(part: Part, lines: int, left: int, *, is_first: bool, at_end: bool = False) -> Part | None:
    """As many of its lines as fit; the first one of a page always does."""
    if part.lines <= lines and part.size <= left:
        return part
    texts = (part.text or "").split("\n")[:: -1 if at_end else 1]
    count = 0
    for text in texts[: max(lines, 1)]:
        left -= len(text.encode()) + 1
        if left < 0 and not (is_first and count == 0):
            break
        count += 1
    if count == 0:
        return None
    return part.between(part.next - count, part.next) if at_end else part.between(part.offset, part.offset + count)
