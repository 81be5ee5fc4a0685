"""Joining what a console's log has, what the engine kept of the output meanwhile, and what is heard since: each line once, and in order.

Each stream is joined by itself, for the order of two streams differs from one account to the other.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Block(NamedTuple):
    """Whole lines of one stream, joined by newlines; or, without text, so many that were left out."""

    stream: str
    text: str | None
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Joint:
    """What is to follow the log."""

    news: list[Block]
    """What the engine kept, and the log has not."""
    is_whole: bool
    """Whether the log's end was found in it; else lines may be missing between the two."""
    heard_before: dict[str, int]
    """How many of the lines heard since are among the news, by stream."""
    is_closed: bool
    """Whether what is heard since begins before the news end; else what the engine tells is behind, and may be asked for again."""


def join(
    recorded: Sequence[Block], kept: Sequence[Block], heard: Sequence[Block], heard_at_first: dict[str, int]
) -> Joint:
    """`heard_at_first` is how many lines of each stream had been heard when the engine was asked for what it kept: it has at least these."""
    news_from: dict[str, int] = {}
    heard_before: dict[str, int] = {}
    is_whole, is_closed = True, True
    for stream in ("stdout", "stderr"):
        known, found, since = (lines_of(blocks, stream) for blocks in (recorded, kept, heard))
        place = end_of(known, found) if known else 0
        is_whole = is_whole and (place is not None or not found)
        news_from[stream] = place or 0
        at_first = min(heard_at_first.get(stream, 0), len(since))
        overlap = overlap_of(found, since, at_first)
        is_closed = is_closed and overlap is not None
        heard_before[stream] = overlap or 0
    news = [rest for rest in map(Without(news_from), kept) if rest is not None]
    return Joint(news, is_whole, heard_before, is_closed)


def lines_of(blocks: Iterable[Block], stream: str) -> list[str]:
    """The lines of one stream, up to the first that was left out."""
    lines: list[str] = []
    for block in blocks:
        if block.text is None:
            break
        if block.stream == stream:
            lines += block.text.split("\n")
    return lines


class Without:
    """Leaves out the first lines of each stream."""

    def __init__(self, counts: dict[str, int]) -> None:
        self._left = dict(counts)

    def __call__(self, block: Block) -> Block | None:
        """What is left of the block, if anything."""
        skipped = self._left.get(block.stream, 0)
        if block.text is None or not skipped:
            return block
        lines = block.text.split("\n")
        self._left[block.stream] = max(0, skipped - len(lines))
        return Block(block.stream, "\n".join(lines[skipped:])) if skipped < len(lines) else None


def end_of(known: Sequence[str], found: Sequence[str]) -> int | None:
    """How many of the found lines there are up to where the known ones end: at the first place that has the most of these before it, in a row.

    None where not one of them is found. The last known line may have been told before it was whole.
    """
    for last in (known, known[:-1]):
        if not last:
            continue
        matches = _matches([*reversed(last), None, *reversed(found)])[: len(last) : -1]
        longest = max(matches, default=0)
        if longest:
            return matches.index(longest) + 1
    return None


def overlap_of(found: Sequence[str], since: Sequence[str], at_least: int) -> int | None:
    """How many of the lines heard since are at the end of the found ones: the most that can be, but no fewer than `at_least`; None where that
    cannot be. Of the first line heard the beginning may be missing.
    """
    if not since:
        return 0
    end = found[max(0, len(found) - len(since) + 1) :] if len(since) > 1 else []
    matches = _matches([*since[1:], None, *end])[len(since) :]
    lengths = [len(end) - place for place, match in enumerate(matches) if match == len(end) - place]
    for length in (*lengths, 0):
        is_begun = len(found) > length and found[len(found) - length - 1].endswith(since[0])
        if is_begun and length + 1 >= at_least:
            return length + 1
    return None if at_least else 0


def _matches(items: Sequence[Hashable]) -> list[int]:
    """How many items from each place on are the same as from the beginning on (the Z function, in linear time)."""
    matches = [0] * len(items)
    left = right = 0
    for place in range(1, len(items)):
        length = min(right - place, matches[place - left]) if place < right else 0
        while place + length < len(items) and items[length] == items[place + length]:
            length += 1
        matches[place] = length
        if place + length > right:
            left, right = place, place + length
    return matches
