"""What people may call things."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from ctrl_alt_play.characters import is_unseen, shown


def _visible(name: str) -> str:
    unseen = sorted({shown(character) for character in name if is_unseen(character)})
    if unseen:
        raise ValueError(f"leave out what cannot be seen in a name: {', '.join(unseen)}")
    return name


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _spelled(others: str) -> AfterValidator:
    """As an id: letters, digits, and these."""
    pattern = re.compile(rf"[A-Za-z0-9][A-Za-z0-9{re.escape(others)}]{{0,63}}")

    def check(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise ValueError(
                f"begin with a letter or a digit, and go on with up to 63 letters, digits, and {' '.join(others)}"
            )
        return text

    return AfterValidator(check)


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128), AfterValidator(_visible)]
Tag = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_lower=True, min_length=1, max_length=32, pattern=r"^[^,]*$"),
    AfterValidator(_visible),
]
"""In small letters, so that a word is one tag however it was typed, and without the comma that stands between tags."""
Tags = Annotated[tuple[Tag, ...], Field(max_length=10), AfterValidator(_each_once)]
Category = Annotated[str, StringConstraints(strip_whitespace=True, max_length=64), AfterValidator(_visible)]
"""By which people group templates; empty: none."""
NodeId = Annotated[str, _spelled("_.-")]
"""Fits a header, a folder, and a container's label."""
Username = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True), _spelled("_.@-")]
