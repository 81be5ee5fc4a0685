"""Waiting for a condition, in place of sleeping and hoping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

PAUSE_S = 0.005
Found = TypeVar("Found")


async def until(
    condition: Callable[[], Found | Awaitable[Found]], timeout_s: float = 5.0, *, pause_s: float = PAUSE_S
) -> Found:
    """The condition's first result that is true. It may be a coroutine function.

    Raises:
        AssertionError: it was not true in time.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        found = condition()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {inspect.getsource(condition).strip()}"
        await asyncio.sleep(pause_s)
