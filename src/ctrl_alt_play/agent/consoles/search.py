"""Searching a console's log, from its newest line backwards, for a bounded time a call."""

import re
from collections.abc import Iterator
from time import monotonic

from ctrl_alt_play.agent import expressions
from ctrl_alt_play.agent.consoles.ansi import plain
from ctrl_alt_play.agent.consoles.part import Part
from ctrl_alt_play.agent.consoles.segments import Record, Segment, content, records_in
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.live import MOST_BATCH_BYTES, SearchPage, SearchPayload

LONGEST_S = 1.0
PATTERN_BYTES = 1 << 20
_SHORT_ORDERS = re.compile(rb"\xc2[\x80-\x9f]")
"""What orders to a terminal begin with, in UTF-8, where it is no escape."""
_KNOWS_BLOCKS = re.compile(r"\\[Az]|\(\?[a-zA-Z]*-")
"""Expressions that mean something else in a block of lines than in one of them."""


class Search:
    """One search. Colours and cursor movements are not searched in, but are in what is found."""

    def __init__(self, payload: SearchPayload) -> None:
        """
        Raises:
            Fault: `INVALID_PAYLOAD`, the expression cannot be used.
        """
        text = payload.text if payload.is_regex else expressions.escaped(payload.text)
        flags = "i" if payload.ignore_case else ""
        try:
            self._pattern = expressions.compiled(f"(?{flags}:{text})", PATTERN_BYTES)
            self._of_block = expressions.compiled(f"(?m{flags}:{text})", PATTERN_BYTES)
        except ValueError as error:
            sentence = f"The expression {payload.text!r} cannot be used: {error}."
            raise Fault(ErrorCode.INVALID_PAYLOAD, sentence) from error
        if _KNOWS_BLOCKS.search(text):
            self._of_block = None
        self._after = payload.after.timestamp() if payload.after else 0.0
        self._until = payload.until.timestamp() if payload.until else float("inf")
        self._before = payload.before
        self._limit = payload.limit

    def run(self, found: tuple[Segment, ...]) -> SearchPage:
        """Belongs in a thread."""
        matches: list[Part] = []
        deadline_s, size, later = monotonic() + LONGEST_S, 0, None
        for segment in self._candidates(found):
            if later is not None and monotonic() > deadline_s:
                return _page(matches, later)
            for record in self._records(segment):
                for match in self._matches(record):
                    matches.append(match)
                    size += match.size
                    if len(matches) >= self._limit or size >= MOST_BATCH_BYTES:
                        return _page(matches, match.offset)
                if monotonic() > deadline_s:
                    return _page(matches, record.offset)
            later = segment.first
        return _page(matches, None)

    def _candidates(self, found: tuple[Segment, ...]) -> Iterator[Segment]:
        """The files that may hold what is wanted, the newest first."""
        for place, segment in reversed(list(enumerate(found))):
            is_later = place > 0 and found[place - 1].at >= self._until
            if segment.at >= self._after and not is_later and (self._before is None or segment.first < self._before):
                yield segment

    def _records(self, segment: Segment) -> Iterator[Record]:
        """The newest first; none, quickly, where nothing in the file matches."""
        data = content(segment)
        for record in reversed(list(records_in(data))) if self._may_match(data) else ():
            is_before = self._before is None or record.offset < self._before
            if record.lost is None and is_before and self._after <= record.at < self._until:
                yield record

    def _matches(self, record: Record) -> Iterator[Part]:
        shown = record.data.split(b"\n")
        lines, text = shown, record.data
        if _has_orders(text):
            lines = [plain(line.decode()).encode() for line in shown]
            text = b"\n".join(lines)
        if not self._may_match(text):
            return
        for place, line in reversed(list(enumerate(lines))):
            offset = record.offset + place
            if (self._before is None or offset < self._before) and self._pattern.search(line):
                yield Part(offset, 1, record.at, record.stream, shown[place].decode())

    def _may_match(self, block: bytes) -> bool:
        """Whether any line of many may match: most blocks need not be looked at line by line."""
        return self._of_block is None or _has_orders(block) or bool(self._of_block.search(block))


def _has_orders(text: bytes) -> bool:
    return b"\x1b" in text or (b"\xc2" in text and _SHORT_ORDERS.search(text) is not None)


def _page(matches: list[Part], before: int | None) -> SearchPage:
    return SearchPage.model_construct(matches=tuple(match.told() for match in matches), before=before or None)
