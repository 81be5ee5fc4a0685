"""What is found where a node is looked at: as it is kept, told by an agent, and shown to people."""

from enum import StrEnum

from pydantic import Field

from ctrl_alt_play.protocol.messages import News


class State(StrEnum):
    OK = "ok"
    UNKNOWN = "unknown"
    """Nobody could look, or there is nothing to be seen yet."""
    WARNING = "warning"
    """It works, and should be looked after."""
    PROBLEM = "problem"
    """Something does not work."""


class Finding(News):
    """`seen` and `todo` are sentences for people; what is well has nothing to do."""

    id: str = Field(max_length=64)
    state: State = State.UNKNOWN
    seen: str = Field(default="", max_length=2000)
    todo: str = Field(default="", max_length=2000)


class Examination(News):
    """What an agent found on its own node."""

    findings: tuple[Finding, ...] = Field(default=(), max_length=100)
