"""What people may call things."""

import re
from ipaddress import ip_address
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


def _ip_address(text: str) -> str:
    """In the one spelling that addresses are compared in."""
    try:
        return str(ip_address(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is no IP address: give one such as 0.0.0.0, 192.0.2.7 or ::1") from error


def _host(text: str) -> str:
    try:
        return _ip_address(text.strip("[]"))
    except ValueError:
        if len(text) > _LONGEST_HOST or re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*", text) is None:
            raise ValueError(
                f"{text!r} is no host: give a name such as play.example.org, or an IP address, without a port"
            ) from None
        return text


_LONGEST_HOST = 253
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"

IpAddress = Annotated[str, AfterValidator(_ip_address)]
Host = Annotated[str, StringConstraints(strip_whitespace=True, max_length=255), AfterValidator(_host)]
"""What players type: a name, or an address."""
NodeId = Annotated[str, _spelled("_.-")]
"""Fits a header, a folder, and a container's label."""
Username = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True), _spelled("_.@-")]
