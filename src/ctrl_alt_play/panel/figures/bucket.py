"""Measurements of one stretch of time, added up as they come. No I/O, and no clock."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Reading(NamedTuple):
    """One measurement. What could not be measured is None."""

    cpu: float | None
    memory: float | None
    received: float | None
    sent: float | None
    read: float | None
    written: float | None
    disk: int | None
    pids: int | None
    players: int | None


_AVERAGED = 6
"""So many of the first are averaged; the first two, and all others, are told at most."""


class Bucket:
    """A row of the table `samples` on the way."""

    __slots__ = ("_counts", "_highest", "_sums", "at", "count", "resolution")

    def __init__(self, resolution: int, at: int) -> None:
        self.resolution, self.at = resolution, at
        self.count = 0
        self._sums = [0.0] * _AVERAGED
        self._counts = [0] * _AVERAGED
        self._highest: list[float | None] = [None] * len(Reading._fields)

    def add(self, reading: Reading) -> None:
        self.count += 1
        sums, counts, highest = self._sums, self._counts, self._highest
        for place, value in enumerate(reading):
            if value is None:
                continue
            if place < _AVERAGED:
                sums[place] += value
                counts[place] += 1
            most = highest[place]
            if most is None or value > most:
                highest[place] = value

    def row(self) -> dict[str, Any]:
        """Without the subject."""
        means = [total / count if count else None for total, count in zip(self._sums, self._counts, strict=True)]
        most = Reading(*self._highest)  # type: ignore[arg-type]  # what is whole in a reading is whole here
        return _row(self.resolution, self.at, self.count, means, most)


def row_of(reading: Reading, resolution: int, at: int) -> dict[str, Any]:
    """Of a stretch in which nothing else was measured, without the subject."""
    return _row(resolution, at, 1, reading[:_AVERAGED], reading)


def _row(resolution: int, at: int, count: int, means: Sequence[float | None], most: Reading) -> dict[str, Any]:
    whole = [None if value is None else round(value) for value in means]
    return {
        "resolution": resolution,
        "at": at,
        "count": count,
        "cpu": None if means[0] is None else round(means[0], 2),
        "cpu_max": None if most.cpu is None else round(most.cpu, 2),
        "memory": whole[1],
        "memory_max": None if most.memory is None else round(most.memory),
        "received": whole[2],
        "sent": whole[3],
        "read": whole[4],
        "written": whole[5],
        "disk": most.disk,
        "pids": most.pids,
        "players": most.players,
    }
