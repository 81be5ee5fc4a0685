"""One server, or one node, as it was measured within the last minute, and what of that is still to be written. No I/O, and no clock."""

from collections import deque
from typing import Any, Generic, TypeVar

from ctrl_alt_play.panel.figures.bucket import Bucket, Reading, row_of
from ctrl_alt_play.panel.figures.schemas import NodeSample, ServerSample

SECOND, MINUTE, QUARTER = 1, 60, 900
RECENT_S = 60.0
MOST_RECENT = 60
OFTEN_S = 5.0
"""What is measured at least so often is kept by the second."""
LONGEST_S, SHORTEST_S = 90.0, 0.1
"""Between two counts; over others no rate is told."""

Counters = tuple[int | None, int | None, int | None, int | None]
"""Bytes received, sent, read and written."""
RatesOf = tuple[float | None, float | None, float | None, float | None]
Told = TypeVar("Told", ServerSample, NodeSample)

_NO_RATES: RatesOf = (None, None, None, None)


class Meter(Generic[Told]):
    """`taken_s` and `written_s` are by the panel's clock, in seconds since 1970: when it last was measured, and when that was last written down."""

    __slots__ = (
        "_counters", "_counters_s", "_minute", "_recent", "_rows", "node_id", "often_since_s", "subject_id", "taken_s", "written_s",
    )  # fmt: skip

    def __init__(self, subject_id: int, node_id: str) -> None:
        self.subject_id, self.node_id = subject_id, node_id
        self.taken_s = self.written_s = 0.0
        self.often_since_s: float | None = None
        """Since when there are rows for each second."""
        self._recent: deque[tuple[float, Told]] = deque(maxlen=MOST_RECENT)
        self._counters: Counters = (None, None, None, None)
        self._counters_s = 0.0
        self._minute: Bucket | None = None
        self._rows: list[dict[str, Any]] = []

    def rates(self, counters: Counters, at_s: float) -> RatesOf:
        """Bytes a second since they were last counted. A counter that fell began anew at 0: so a restart is no dip below it."""
        elapsed_s = at_s - self._counters_s
        before, self._counters, self._counters_s = self._counters, counters, at_s
        if not SHORTEST_S <= elapsed_s <= LONGEST_S:
            return _NO_RATES
        received, sent, read, written = (
            None if now is None or then is None else (now - then if now >= then else now) / elapsed_s
            for now, then in zip(counters, before, strict=True)
        )
        return received, sent, read, written

    def keep(self, sample: Told, reading: Reading, now_s: float) -> None:
        is_often = now_s - self.taken_s <= OFTEN_S
        self.often_since_s = (self.often_since_s or now_s) if is_often else None
        self.taken_s = now_s
        self._recent.append((now_s, sample))
        minute = int(now_s) // MINUTE * MINUTE
        if self._minute is None or self._minute.at != minute:
            self._finish_minute()
            self._minute = Bucket(MINUTE, minute)
        self._minute.add(reading)
        if is_often:
            self._rows.append(self._of_this(row_of(reading, SECOND, int(now_s))))

    @property
    def newest(self) -> Told | None:
        return self._recent[-1][1] if self._recent else None

    def recent(self, now_s: float) -> list[Told]:
        """Of the last minute, the oldest first."""
        return [sample for at_s, sample in self._recent if at_s >= now_s - RECENT_S]

    def running(self, resolution: int) -> list[dict[str, Any]]:
        """Rows that are not written down yet."""
        rows = [row for row in self._rows if row["resolution"] == resolution]
        if resolution == MINUTE and self._minute is not None:
            rows.append(self._of_this(self._minute.row()))
        return rows

    def take_rows(self, now_s: float, *, is_end: bool = False) -> list[dict[str, Any]]:
        """What is complete; at the end also what is not. It is not given again."""
        if self._minute is not None and (is_end or now_s >= self._minute.at + MINUTE):
            self._finish_minute()
        rows, self._rows = self._rows, []
        return rows

    def _finish_minute(self) -> None:
        if self._minute is not None:
            self._rows.append(self._of_this(self._minute.row()))
            self._minute = None

    def _of_this(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"subject_id": self.subject_id, **row}
