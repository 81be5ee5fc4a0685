"""The newest lines of one console, in memory and without holes."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import attrgetter

from ctrl_alt_play.panel.consoles.batch import Batch, cut
from ctrl_alt_play.protocol.live import MOST_BATCH_BYTES, Lines, Offset

COST_OF_A_BATCH = 512
"""The bytes of memory that it takes beside its text, about."""
READS_KEPT = 4


class Ring:
    """The lines from `first` to before `end`; `origin` is the lowest number that this console's lines ever had."""

    def __init__(self, start: Offset, most_bytes: int, origin: Offset = 0) -> None:
        self.origin = origin
        self.first = self.end = start
        self.written = 0
        """Bytes that were ever added."""
        self.cost = 0
        """The bytes of memory that it takes, about."""
        self._most_bytes = most_bytes
        self._batches: deque[Batch] = deque()
        self._reads: dict[Offset, Batch] = {}
        """By the line that they begin with, up to the end as it is."""
        self._ahead: tuple[Lines, ...] = ()
        """Gaps of nobody knows how many lines: they have no number of their own, and go with the lines that follow."""

    def add(self, parts: Sequence[Lines]) -> None:
        """What is there already is left out. Where lines are missing before it, it begins anew behind them: there is a history to ask for these."""
        self._reads.clear()
        new: list[Lines] = []
        for part in parts:
            if part.next < self.end or (part.lines and part.next == self.end):
                continue
            if part.offset > self.end:
                new.clear()
                self._begin_anew(part.offset)
            new += [part] if part.offset == self.end else cut([part], self.end, part.next)
            self.end = part.next
        if new and new[-1].next == new[0].offset:
            self._ahead = tuple(new)
        elif new:
            self._append(Batch([*self._ahead, *new]))
            self._ahead = ()

    def _begin_anew(self, start: Offset) -> None:
        self._batches.clear()
        self._ahead = ()
        self.cost = 0
        self.first = self.end = start

    def _append(self, batch: Batch) -> None:
        self._batches.append(batch)
        self.written += batch.size
        self.cost += batch.size + COST_OF_A_BATCH
        while self.cost > self._most_bytes and len(self._batches) > 1:
            oldest = self._batches.popleft()
            self.cost -= oldest.size + COST_OF_A_BATCH
            self.first = oldest.next

    def read(self, offset: Offset) -> Batch | None:
        """From this line on, which is not older than `first`, about as much as fits into one message; None where it has not come yet. One batch
        for all who read from the same line before more has come.
        """
        if offset >= self.end or not self._batches:
            return None
        found = self._reads.get(offset)
        if found is None:
            if len(self._reads) >= READS_KEPT:
                self._reads.clear()
            found = self._reads[offset] = self._join(offset)
        return found

    def _join(self, offset: Offset) -> Batch:
        at = bisect_right(self._batches, offset, key=attrgetter("offset")) - 1
        found = [self._batches[at].since(offset)]
        size = found[0].size
        for batch in islice(self._batches, at + 1, None):
            if size >= MOST_BATCH_BYTES:
                break
            found.append(batch)
            size += batch.size
        return found[0] if len(found) == 1 else Batch([part for batch in found for part in batch.parts])

    def parts(self, start: Offset, stop: Offset) -> Iterator[Lines]:
        """What it has of the lines from `start` to before `stop`."""
        for batch in self._batches:
            yield from cut(batch.parts, start, stop)
