"""How fast a console may be, so that one that floods harms nobody: what is over it is only counted."""

from ctrl_alt_play.clock import Clock

BYTES_PER_S = 8 * 2**20
BURST_BYTES = 4 * 2**20


class Allowance:
    """So many bytes a second, and a burst. Once it is used up it grants nothing until a quarter of the burst is there again: what is kept of a
    flood are whole stretches, not shreds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left = float(BURST_BYTES)
        self._at = clock.monotonic()
        self._is_dry = False

    def grants(self, size: int) -> bool:
        """Whether so many bytes may be kept now."""
        now = self._clock.monotonic()
        self._left = max(self._left, min(BURST_BYTES, self._left + (now - self._at) * BYTES_PER_S))
        self._at = now
        self._is_dry = self._left < (BURST_BYTES / 4 if self._is_dry else size)
        if not self._is_dry:
            self._left -= size
        return not self._is_dry

    def advance(self, size: int) -> None:
        """Grants so much beforehand."""
        self._left = max(self._left, size)
