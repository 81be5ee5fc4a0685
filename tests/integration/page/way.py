"""The way between a page and its panel, which can be cut."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

from tests.faults.proxy import Link


@contextmanager
def proxied(port: int) -> Iterator[tuple[int, Callable[[], object]]]:
    """Another port that leads there, and what cuts all connections to it."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    link = Link(port)
    asyncio.run_coroutine_threadsafe(link.open(), loop).result(10)
    try:
        yield link.port, lambda: loop.call_soon_threadsafe(link.cut)
    finally:
        asyncio.run_coroutine_threadsafe(link.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
