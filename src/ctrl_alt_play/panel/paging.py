"""Long lists in pages: a cursor says, opaquely, where the next page begins."""

import base64
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, Field

from ctrl_alt_play.panel.errors import FieldProblem, Invalid

Item = TypeVar("Item")
Row = TypeVar("Row")

Limit = Annotated[int, Field(ge=1, le=200)]


LONGEST_NUMBER = 18
"""Digits that every database's whole numbers hold."""


class Page(BaseModel, Generic[Item]):
    items: list[Item]
    next_cursor: str | None = Field(description="give it as `cursor` for the next page; null on the last")


def cut(rows: Sequence[Row], limit: int, key: Callable[[Row], tuple[str, ...]]) -> tuple[list[Row], str | None]:
    """At most `limit` of `rows`, which were asked for with one more, and the cursor of what follows."""
    page = list(rows[:limit])
    return page, _write(key(page[-1])) if len(rows) > limit else None


def read_cursor(cursor: str | None, parts: int) -> tuple[str, ...] | None:
    """The key of the last row of the page before.

    Raises:
        Invalid: it is no cursor of ours.
    """
    if cursor is None:
        return None
    try:
        key = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=="))
    except ValueError:
        key = None
    if (
        not isinstance(key, list)
        or len(key) != parts
        or not all(isinstance(part, str) and _can_be_kept(part) for part in key)
    ):
        raise _not_ours()
    return tuple(key)


def read_numbers(cursor: str | None, parts: int) -> tuple[int, ...] | None:
    """As `read_cursor`, where rows go by numbers."""
    key = read_cursor(cursor, parts)
    if key is None:
        return None
    if not all(part.isascii() and part.isdigit() and len(part) <= LONGEST_NUMBER for part in key):
        raise _not_ours()
    return tuple(map(int, key))


def read_number_cursor(cursor: str | None) -> int | None:
    key = read_numbers(cursor, 1)
    return None if key is None else key[0]


def _can_be_kept(text: str) -> bool:
    """Databases keep no half of a character, and PostgreSQL no NUL."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _not_ours() -> Invalid:
    problem = FieldProblem("cursor", "give a cursor as it came, or none")
    return Invalid("The cursor is not one that this panel gave.", fields=(problem,))


def _write(key: tuple[str, ...]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")
