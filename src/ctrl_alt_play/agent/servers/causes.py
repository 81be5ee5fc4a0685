"""Why a game ended, from what the node saw, and in a sentence for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from signal import Signals

from ctrl_alt_play.agent.consoles.ansi import plain
from ctrl_alt_play.agent.servers.words import size
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.part2 import CrashCause

FULL_BYTES = 2**20
"""So little is left on a full disk, for the kernel keeps some back."""
_QUOTED = 200
_LOOKED_AT = 1000
_BY_FAULT = {ErrorCode.PORT_CONFLICT: CrashCause.PORT_TAKEN, ErrorCode.IMAGE_NOT_FOUND: CrashCause.IMAGE_MISSING}
_SAID = {
    CrashCause.OUT_OF_MEMORY: (
        "java.lang.outofmemoryerror",
        "system.outofmemoryexception",
        "javascript heap out of memory",
        "runtime: out of memory",
        "std::bad_alloc",
        "cannot allocate memory",
    ),
    CrashCause.DISK_FULL: (
        "no space left on device",
        "enospc",
        "disk quota exceeded",
        "not enough space on the disk",
    ),
    CrashCause.PORT_TAKEN: (
        "address already in use",
        "eaddrinuse",
        "failed to bind to port",
        "only one usage of each socket address",
    ),
}
_MEANINGS = {126: " (a command could not be executed)", 127: " (a command was not found)"}
_OUTSIDE = {"SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"}
"""A game does not send itself these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the node saw of an end that nobody had asked for."""

    exit_code: int | None = None
    oom_killed: bool = False
    fault: Fault | None = None
    """What kept it from starting."""
    silent_s: float | None = None
    """So long a running game did not answer, and was ended for it."""
    memory_limit_bytes: int = 0
    disk_free_bytes: int | None = None
    """On the node's disk."""
    limit_free_bytes: int | None = None
    """Left of what the server may use of the disk; below zero when it uses more."""
    last_lines: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    cause: CrashCause
    summary: str
    signal: str | None = None


def explain(seen: Evidence) -> Explanation:
    """The likeliest cause. What the kernel and Docker say goes before what the game itself wrote."""
    signal = _signal_of(seen.exit_code)
    if seen.fault is not None:
        return Explanation(_cause_of_fault(seen.fault), f"It could not be started: {_sentence(seen.fault.message)}")
    if seen.silent_s is not None:
        summary = f"It ran, but did not answer any more for {seen.silent_s:g} s, so the node ended it."
        return Explanation(CrashCause.READINESS_LOST, summary, signal)
    if seen.oom_killed:
        return Explanation(CrashCause.OUT_OF_MEMORY, _out_of_memory(seen), signal)
    if (said := _said(seen.last_lines)) is not None:
        cause, line = said
        return Explanation(cause, f"{_trouble(cause, seen)}: “{line}” It then {_ending(seen.exit_code)}.", signal)
    if seen.disk_free_bytes is not None and seen.disk_free_bytes < FULL_BYTES:
        return Explanation(CrashCause.DISK_FULL, f"The node's disk is full. It {_ending(seen.exit_code)}.", signal)
    cause = CrashCause.EXIT_CODE if signal is None else CrashCause.SIGNAL
    return Explanation(cause, f"It {_ending(seen.exit_code)}.", signal)


def _cause_of_fault(fault: Fault) -> CrashCause:
    if "no space left on device" in fault.message.lower():
        return CrashCause.DISK_FULL
    return _BY_FAULT.get(fault.code, CrashCause.START_FAILED)


def _out_of_memory(seen: Evidence) -> str:
    limit = f" (limit {size(seen.memory_limit_bytes)})" if seen.memory_limit_bytes else ""
    if seen.exit_code in {None, 137}:
        return f"It ran out of memory{limit} and was killed."
    return f"One of its processes ran out of memory{limit} and was killed. It then {_ending(seen.exit_code)}."


def _trouble(cause: CrashCause, seen: Evidence) -> str:
    match cause:
        case CrashCause.OUT_OF_MEMORY:
            return "It says that it ran out of memory"
        case CrashCause.PORT_TAKEN:
            return "It says that its port is taken"
        case _ if seen.disk_free_bytes is not None and seen.disk_free_bytes < FULL_BYTES:
            return "The node's disk is full"
        case _ if seen.limit_free_bytes is not None and seen.limit_free_bytes < FULL_BYTES:
            return "It has used up its limit of disk space"
        case _:
            return "It says that the disk is full"


def _said(lines: Sequence[str]) -> tuple[CrashCause, str] | None:
    """The newest line that names a cause."""
    for line in reversed(lines):
        text = plain(line[:_LOOKED_AT]).strip()
        lowered = text.lower()
        for cause, words in _SAID.items():
            if any(word in lowered for word in words):
                return cause, text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"
    return None


def _ending(exit_code: int | None) -> str:
    if exit_code is None:
        return "ended, nobody knows how"
    match _signal_of(exit_code):
        case None:
            return f"ended with exit code {exit_code}{_MEANINGS.get(exit_code, '')}"
        case "SIGKILL":
            return "was killed (SIGKILL) by something outside"
        case signal if signal in _OUTSIDE:
            return f"was ended by {signal}, sent by something outside"
        case signal:
            return f"was ended by {signal}"


def _signal_of(exit_code: int | None) -> str | None:
    """A shell's and Docker's way to say that a signal ended a process: 128 and the signal's number."""
    try:
        return None if exit_code is None else Signals(exit_code - 128).name
    except ValueError:
        return None


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
