"""Lines of a console as they are handed on: a row of parts, made into JSON once for all who get it."""

from collections.abc import Iterator, Sequence
from functools import cached_property

from pydantic_core import to_json

from ctrl_alt_play.protocol.live import Lines, Loss, Offset


class Batch:
    """At least one part; they follow on each other."""

    def __init__(self, parts: Sequence[Lines]) -> None:
        self.parts = tuple(parts)
        self.offset: Offset = self.parts[0].offset
        self.next: Offset = self.parts[-1].next
        """Where a viewer that has this goes on: what it gives as `after` when it comes again."""
        self.size = sum(len(part.text.encode()) for part in self.parts if part.text)
        """Bytes of text."""

    @cached_property
    def json(self) -> str:
        """`{"parts": [{offset, lines, at, stream, text, lost}], "next": n}`, without a newline."""
        parts = [part.model_dump() for part in self.parts]
        return to_json({"parts": parts, "next": self.next}).decode()

    @cached_property
    def event(self) -> bytes:
        """As a server-sent event, whose id is `next`."""
        return f"data: {self.json}\nid: {self.next}\n\n".encode()

    def since(self, offset: Offset) -> "Batch":
        """The same from this line on, which it has to have."""
        return self if offset <= self.offset else Batch(list(cut(self.parts, offset, self.next)))


def gap(start: Offset, stop: Offset, lost: Loss) -> Batch:
    return Batch([Lines(offset=start, lines=stop - start, lost=lost)])


def cut(parts: Sequence[Lines], start: Offset, stop: Offset) -> Iterator[Lines]:
    """What parts have of the lines from `start` to before `stop`."""
    for part in parts:
        if part.next <= start or part.offset >= stop:
            continue
        first, last = max(start, part.offset), min(stop, part.next)
        if last - first == part.lines:
            yield part
        else:
            text = None if part.text is None else _lines_of(part.text, first - part.offset, last - first)
            yield part.model_copy(update={"offset": first, "lines": last - first, "text": text})


def _lines_of(text: str, skipped: int, count: int) -> str:
    rest = text.split("\n", skipped)[-1]
    return "\n".join(rest.split("\n", count)[:count])
