"""What is to be set in a file, and where: paths, conditions and values, as templates write them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ctrl_alt_play.agent.expressions import compiled

Scalar = str | int | float | bool | None

REGEX = "regex:"
MOST_BYTES_OF_AN_EXPRESSION = 1024 * 1024
_GROUP = re.compile(r"\$(?:(\d{1,2})|\{(\w{1,32})\})")
_STEP = re.compile(r"\[([^\[\]]*)\]|([^.\[]+)")
_SAID = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9]\d{0,14})\.\d{1,15}")


class Wildcard(Enum):
    ANY = "*"


ANY = Wildcard.ANY
Step = str | int | Wildcard


class Broken(Exception):
    """A file is not what its parser reads, or has no place for what is to be set. `line` counts from 1."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message if line is None else f"line {line}: {message}")
        self.line = line


@dataclass(frozen=True, slots=True)
class Edit:
    """Sets what is at `match` to `value`; with `if_value` only where that stands there, or something that it matches (`regex:…`), and then
    `value` may name its groups as `$1`. What is not there is made, but not with a condition or a wildcard.
    """

    match: str
    value: Scalar
    if_value: str | None = None

    @property
    def path(self) -> tuple[Step, ...]:
        return steps(self.match)

    @property
    def makes(self) -> bool:
        return self.if_value is None and ANY not in self.path

    def on(self, present: str) -> Scalar:
        """What stands there afterwards, where this stands there now: `present` itself where nothing is to change.

        Raises:
            Broken: the condition is no expression.
        """
        if self.if_value is None:
            return self.value
        if not self.if_value.startswith(REGEX):
            return self.value if present == self.if_value else present
        try:
            pattern = compiled(self.if_value.removeprefix(REGEX), MOST_BYTES_OF_AN_EXPRESSION, has_groups=True)
        except ValueError as error:
            raise Broken(f"{self.if_value!r} is no regular expression that can be used here: {error}") from error
        found = pattern.sub(lambda match: _filled(text(self.value), match), present.encode(errors="surrogateescape"))
        return str(found.decode(errors="surrogateescape"))


def _filled(template: str, found: Any) -> bytes:
    """A group that took no part, or that there is not, is empty, as in Go, for whose rules templates are written."""

    def one(named: re.Match[str]) -> str:
        name = named[1] or named[2]
        try:
            return (found.group(int(name) if name.isdigit() else name) or b"").decode(errors="surrogateescape")
        except (IndexError, KeyError):
            return ""

    return _GROUP.sub(one, template).encode(errors="surrogateescape")


def steps(match: str) -> tuple[Step, ...]:
    """`servers.*.address` and `listeners[0].host`, as steps into a tree. What else stands in brackets is a name, dots and all."""
    found: list[Step] = []
    for bracketed, plain in _STEP.findall(match):
        if "*" in (plain, bracketed):
            found.append(ANY)
        else:
            found.append(plain or (int(bracketed) if bracketed.isdecimal() else bracketed.strip("\"'")))
    return tuple(found)


def text(value: Scalar) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def typed(value: Scalar, present: Scalar) -> Scalar:
    """The value as the kind of thing that stands there: a text stays a text, a number a number. In the place of nothing, as what it looks like."""
    match present:
        case str():
            return text(value)
        case _ if not isinstance(value, str):
            return value
        case bool():
            return _SAID.get(value.lower(), value)
        case int() | float():
            number = _number(value)
            return float(number) if isinstance(present, float) and isinstance(number, int) else number
        case None:
            return value == "true" if value in ("true", "false") else _number(value)


def _number(value: str) -> str | int | float:
    if _INTEGER.fullmatch(value):
        return int(value)
    return float(value) if _DECIMAL.fullmatch(value) else value


def built(path: Sequence[Step], value: Scalar) -> Any:
    """What has to be put where a path begins that is not there yet.

    Raises:
        Broken: it would need a list that has something before its first entry.
    """
    made: Any = typed(value, None)
    for step in reversed(path):
        if step == 0 and isinstance(step, int):
            made = [made]
        elif isinstance(step, str):
            made = {step: made}
        else:
            raise Broken(f"there is no list in which {step} could be set")
    return made
