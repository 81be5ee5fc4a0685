"""A queue whose worker is there only while something waits in it: thousands of connections that are idle have none."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Lane(Generic[Item]):
    """`begin` makes the worker. It takes until it is given nothing, and then ends."""

    __slots__ = ("_begin", "_items", "_most", "_moved", "worker")

    def __init__(self, most: int, begin: Callable[[], asyncio.Task[None] | None]) -> None:
        self.worker: asyncio.Task[None] | None = None
        """The one that takes, or that ended before its time: then nobody takes any more."""
        self._most = most
        self._begin = begin
        self._items: list[Item] = []
        self._moved: asyncio.Event | None = None

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_full(self) -> bool:
        return len(self._items) >= self._most

    async def put(self, item: Item) -> None:
        """Waits for room."""
        while self.is_full:
            self._moved = self._moved or asyncio.Event()
            await self._moved.wait()
        self.put_at_once(item)

    def put_at_once(self, item: Item) -> None:
        """However full it is."""
        self._items.append(item)
        if self.worker is None:
            self.worker = self._begin()

    def take(self, most: int = 1) -> list[Item]:
        """The oldest. Nothing: the worker is over, and the next item makes another."""
        taken, self._items = self._items[:most], self._items[most:]
        if not taken:
            self.worker = None
        if self._moved is not None:
            self._moved.set()
            self._moved = None
        return taken
