"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")
EVERY_S = 0.02


def until(condition: Callable[[], Value], what: str, timeout_s: float = 10.0) -> Value:
    """The condition's first true value; fails, saying `what` was waited for, when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(EVERY_S)
