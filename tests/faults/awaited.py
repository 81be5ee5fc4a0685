"""What is waited for just now, for the case that it never comes."""

from collections.abc import Iterator
from contextlib import contextmanager


class Awaited:
    """As text, all of it in words."""

    def __init__(self) -> None:
        self._words: list[str] = []

    @contextmanager
    def waiting_for(self, words: str) -> Iterator[None]:
        self._words.append(words)
        try:
            yield
        finally:
            self._words.remove(words)

    def __str__(self) -> str:
        return "; ".join(self._words) or "nothing that has a name"
