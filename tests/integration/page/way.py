"""The way between a page and its panel, which can be cut."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.faults.proxy import Link
from tests.integration.loops import own_loop


@contextmanager
def proxied(port: int) -> Iterator[tuple[int, Callable[[], object]]]:
    """Another port that leads there, and what cuts all connections to it."""
    link = Link(port)

    async def cut() -> None:
        link.cut()

    with own_loop() as run:
        run(link.open())
        try:
            yield link.port, lambda: run(cut())
        finally:
            run(link.close())
