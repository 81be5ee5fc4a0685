"""Secrets never reach a log: not those that this process knows, not what a field calls one, not what looks like one."""

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any
from urllib.parse import quote

from structlog.typing import EventDict, WrappedLogger

BLOT = "[redacted]"
SHORTEST_KNOWN = 6
"""A known secret that is shorter is not looked for: it would blot out words that have nothing to do with it."""
LONGEST_TEXT = 16_000
"""Characters of one field. The journal of systemd cuts lines of more than 48 KiB, and what was one event would be several."""
DEEPEST = 8

_NAMES = r"secret|passw|passphrase|token|authori[sz]ation|cookie|credential|api[_-]?key"
_IS_NAMED_SO = re.compile(rf"{_NAMES}|(^|[_-])key$", re.IGNORECASE)
_VALUE = r"""("[^"]*"|'[^']*'|[^\s"',;&)}\]]+)"""
_LOOKS_SO = (  # each takes time in proportion to the text, whatever the text is
    (re.compile(r"\b(bearer\s+)[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1{BLOT}"),
    (re.compile(r"\beyJ[\w-]{5,4000}\.[\w-]+\.[\w-]*"), BLOT),
    (re.compile(r"(://[^\s/:@]*:)[^\s/@]+@"), rf"\1{BLOT}@"),
    (re.compile(r"\b((?:proxy-)?authorization|(?:set-)?cookie)(\s*:\s*)[^\r\n\"']+", re.IGNORECASE), rf"\1\2{BLOT}"),
    (re.compile(rf"((?:{_NAMES})[\w-]{{0,40}}=){_VALUE}", re.IGNORECASE), rf"\1{BLOT}"),
    (re.compile(rf"""((?:{_NAMES})[\w-]{{0,40}}["']\s{{0,9}}:\s{{0,9}}){_VALUE}""", re.IGNORECASE), rf"\1{BLOT}"),
)


class Redaction:
    """A processor of structlog: it makes all fields plain values (what JSON knows), short enough, and without secrets."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._finds_known: re.Pattern[str] | None = None

    def learn(self, secrets: Iterable[str]) -> None:
        """From now on these are blotted out wherever they appear, also as they look in an address or in a program's text."""
        for secret in secrets:
            if len(secret) >= SHORTEST_KNOWN:
                self._known |= {secret, quote(secret, safe=""), repr(secret)[1:-1]}
        if self._known:
            self._finds_known = re.compile("|".join(re.escape(each) for each in sorted(self._known, key=len)[::-1]))

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {str(name): self._field(str(name), value, 0) for name, value in event.items()}

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._finds_known is not None:
            text = self._finds_known.sub(BLOT, text)
        for looks_so, instead in _LOOKS_SO:
            text = looks_so.sub(instead, text)
        return text

    def _field(self, name: str, value: Any, depth: int) -> Any:
        if _IS_NAMED_SO.search(name) and value is not None and not isinstance(value, bool):
            return BLOT
        return self._value(value, depth)

    def _value(self, value: Any, depth: int) -> Any:
        match value:
            case Enum():
                return self._value(value.value, depth)
            case None | bool() | int() | float():
                return value
            case Mapping() if depth < DEEPEST:
                return {self.text(str(name)): self._field(str(name), each, depth + 1) for name, each in value.items()}
            case list() | tuple() | set() | frozenset() if depth < DEEPEST:
                return [self._value(each, depth + 1) for each in value]
            case bytes():
                return self._short(value.decode(errors="backslashreplace"))
            case _:
                return self._short(str(value))

    def _short(self, text: str) -> str:
        """Cut in its middle: of a traceback both ends matter. Secrets go first, or a half of one could stay."""
        text = self.text(text)
        if len(text) <= LONGEST_TEXT:
            return text
        half = LONGEST_TEXT // 2
        return f"{text[:half]} … {text[-half:]}"
