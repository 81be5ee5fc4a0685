"""A clock that stands still until it is told to move."""

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class HeldClock:
    """Both readings move together, and only by `advance`."""

    def __init__(self, utc: datetime = NOON, monotonic_s: float = 1000.0) -> None:
        self._utc = utc
        self._monotonic_s = monotonic_s

    def monotonic(self) -> float:
        return self._monotonic_s

    def utc(self) -> datetime:
        return self._utc

    def advance(self, seconds: float) -> None:
        self._monotonic_s += seconds
        self._utc += timedelta(seconds=seconds)
