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
