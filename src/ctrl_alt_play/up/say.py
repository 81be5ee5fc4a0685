"""Words for the person at the terminal: progress on standard error, and sentences instead of tracebacks."""

import sys
import time
from types import TracebackType


class Trouble(Exception):
    """Something that only the person can mend; the message is one sentence that says how."""


def say(words: str) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


class step:  # noqa: N801 - reads as a statement
    """Says what is being done, and how long it took when that was noticeable."""

    def __init__(self, words: str) -> None:
        self._words = words

    def __enter__(self) -> None:
        self._began = time.monotonic()
        say(f"  {self._words} …")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        took = time.monotonic() - self._began
        if kind is None and took >= 1:
            say(f"    done in {took:.0f} s")
