"""Time, handed to whatever needs it, so that tests can hold it still."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Two readings of time: one that never jumps, for deadlines, and one for people."""

    def monotonic(self) -> float:
        """Seconds since some fixed point; never goes backwards."""
        ...

    def utc(self) -> datetime:
        """The wall clock, aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        return time.monotonic()

    def utc(self) -> datetime:
        return datetime.now(UTC)


def at_seconds(seconds: float) -> datetime:
    """Seconds since 1970 as an aware time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def spoken(time: datetime) -> str:
    """A time as sentences for people have it."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
