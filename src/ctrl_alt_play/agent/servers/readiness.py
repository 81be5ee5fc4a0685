"""Whether a game is ready for players: by what it writes, or by asking it."""

import asyncio
from time import thread_time
from typing import Any

import structlog

from ctrl_alt_play.agent import expressions
from ctrl_alt_play.agent.consoles.ansi import plain
from ctrl_alt_play.agent.figures.queries import QUERIES
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import REGEX, Probe, Readiness, Specification

LOOKED_AT = 16 * 1024
"""Characters of a line."""
SEARCHED = 1024
"""Characters of a line, for regular expressions. A longer one seems to them to go on with an ellipsis, so that its end is not found here."""
PATTERN_BYTES = 128 * 1024
"""What a compiled expression and its search may take; those that would take more are refused."""
SLOW_S = 0.05
log = structlog.get_logger(__name__)


class Signs:
    """The texts and regular expressions by which a console line says that the game is ready.

    Expressions are written by strangers and may not hold the agent up: RE2 searches without going back, within bounded memory. What still
    takes long is given up.
    """

    def __init__(self, rule: Readiness) -> None:
        self.is_empty = not rule.text
        self._strips_ansi = rule.strip_ansi
        self._texts = [text for text in rule.text if not text.startswith(REGEX)]
        self._patterns = [pattern for text in rule.text if text.startswith(REGEX) and (pattern := _compiled(text))]

    def sees(self, line: str) -> bool:
        """Whether a console line says that the game is ready."""
        if self._strips_ansi:
            line = plain(line[:LOOKED_AT])
        line = line[:LOOKED_AT]
        return any(text in line for text in self._texts) or (bool(self._patterns) and self._matches(line))

    def _matches(self, line: str) -> bool:
        text = (line if len(line) <= SEARCHED else f"{line[:SEARCHED]}…").encode(errors="replace")
        began_s = thread_time()
        for pattern in self._patterns:
            if pattern.search(text):
                return True
            if thread_time() - began_s > SLOW_S:
                log.warning("readiness_patterns_too_slow", count=len(self._patterns))
                self._patterns = []
                return False
        return False


async def answers(probe: Probe, address: str, port: int, timeout_s: float) -> bool:
    """Whether the game answers the probe now. Whatever else the game does is no answer."""
    try:
        async with asyncio.timeout(timeout_s):
            if probe.kind == "tcp":
                await _connect(address, port)
            else:
                await QUERIES[probe.protocol or ""](address, port, timeout_s)
    except Exception as error:  # noqa: BLE001 - libraries that read what strangers send promise no kind of error
        log.debug("probe_unanswered", address=address, port=port, reason=repr(error))
        return False
    return True


def check(specification: Specification) -> None:
    """Whether this node can watch for the readiness, and ask for the players, as it is told to.

    Raises:
        Fault: `CONFIG_INVALID`.
    """
    rule = specification.readiness
    for text in rule.text:
        if text.startswith(REGEX):
            _compile(text)
    if rule.probe is not None and rule.probe.kind == "query":
        _check_query(rule.probe.protocol)
    if specification.query is not None:
        _check_query(specification.query.protocol)


def _check_query(protocol: str | None) -> None:
    if protocol not in QUERIES:
        sentence = f"No game query is called {protocol!r} here. There are: {', '.join(sorted(QUERIES))}."
        raise Fault(ErrorCode.CONFIG_INVALID, sentence)


async def _connect(address: str, port: int) -> None:
    _, writer = await asyncio.open_connection(address, port)
    writer.transport.abort()


def _compiled(text: str) -> Any | None:
    try:
        return _compile(text)
    except Fault as fault:
        log.warning("readiness_pattern_refused", reason=fault.message)
        return None


def _compile(text: str) -> Any:
    try:
        return expressions.compiled(text.removeprefix(REGEX), PATTERN_BYTES)
    except ValueError as error:
        raise Fault(ErrorCode.CONFIG_INVALID, f"The readiness text {text!r} cannot be used: {error}.") from error
