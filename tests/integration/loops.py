"""An event loop of its own for a test that is not asynchronous: Playwright has one that runs, in the thread of the tests."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

PATIENCE_S = 120.0
Run = Callable[[Coroutine[Any, Any, Any]], Any]


@contextmanager
def own_loop() -> Iterator[Run]:
    """Waits for what it is given."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    try:
        yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
