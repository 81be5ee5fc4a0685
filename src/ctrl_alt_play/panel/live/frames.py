"""What viewers are sent: one JSON object a frame, written once for all who get it."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic_core import to_json


@dataclass(frozen=True, slots=True)
class Frame:
    text: str
    topic: str | None = None
    place: int | None = None
    """The frame's `id`: whoever gives it as `after` gets what follows it."""


def frame(
    kind: str, topic: str | None = None, data: str | None = None, place: int | None = None, **more: object
) -> Frame:
    """`data` is JSON already."""
    named = {"topic": topic, "kind": kind, "id": place, **more}
    text = to_json({name: value for name, value in named.items() if value is not None}).decode()
    return Frame(text if data is None else f'{text[:-1]},"data":{data}}}', topic, place)


def listed(items: Iterable[str]) -> str:
    """JSON of a list of what is JSON already."""
    return f"[{','.join(items)}]"


def removed(topic: str, id_: str) -> Frame:
    return frame("removed", topic, to_json({"id": id_}).decode())


def problem(code: str, message: str, topic: str | None = None) -> Frame:
    return frame("error", topic, code=code, message=message)
