"""What the journal keeps: servers, accepted commands, and the durable events that the panel has not acknowledged."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import Field

from ctrl_alt_play.protocol.contents import Action
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.specification import Desired, Model, Specification

DESIRES = {
    Action.START_SERVER: Desired.ON,
    Action.RESTART_SERVER: Desired.ON,
    Action.STOP_SERVER: Desired.OFF,
    Action.KILL_SERVER: Desired.OFF,
    Action.DELETE_SERVER: Desired.OFF,
    Action.REINSTALL_SERVER: Desired.OFF,
}
"""What is wanted of a server once such a command is accepted."""


class Run(Model):
    """One life of a game's process, and whether it was seen to be ready; None where no rule asks, or while that is awaited."""

    started_at: float
    ready: bool | None = None
    is_awaited: bool = False


class Ended(Model):
    """An exit that has been taken note of: when Docker says that it was, and what it made of the server."""

    at: float
    observed: str
    is_unasked: bool = Field(default=False, description="the game ended by itself, and nothing else with it")
    is_spent: bool = Field(default=False, description="its container is not to be started again, but made anew")


class Memory(Model):
    """What a server's life needs to go on after the agent was killed. Times are seconds of the wall clock."""

    desired: Desired = Desired.OFF
    crashed_at: tuple[float, ...] = ()
    restart_at: float | None = None
    ended: Ended | None = None
    is_uninstalled: bool = Field(default=False, description="its installer has still to succeed, so it cannot run")
    is_unreported: bool = Field(default=False, description="the newest crash has no report yet")
    run: Run | None = None
    boot_id: str = Field(default="", description="of the machine, when the game was last started, or seen to run")
    written: tuple[str, ...] = Field(
        default=(), description="files that were written through the panel since the good run"
    )
    good_run: str | None = Field(default=None, description="what the last run that went well was made of, as JSON")


@dataclass(frozen=True, slots=True)
class ServerRecord:
    id: str
    uid: int
    specification: Specification
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """A command that was accepted. `position` names it in the journal; `phase` is a note of its own on how far it came."""

    position: int
    id: str | None
    server_id: str
    action: Action
    payload: Model
    message_id: str | None = None
    phase: dict[str, float] = field(default_factory=dict)
    accepted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """How a command of the past was accepted and ended, as its id tells it when it is sent again."""

    action: Action
    server_id: str
    accepted_at: datetime
    has_ended: bool
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class News:
    """A durable event, before it has its number."""

    kind: str
    server_id: str
    content: Model
    at: datetime
    is_for_part1: bool = False
    """Whether a panel of part 1 is told of it, too."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A durable event on its way; `data` is as it travels."""

    seq: int
    kind: str
    data: dict[str, Any]
    at: datetime
    is_for_part1: bool


@dataclass(frozen=True, slots=True)
class Ending:
    position: int
    at: datetime
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What is written down together, or not at all."""

    news: tuple[News, ...] = ()
    ending: Ending | None = None
    phase: tuple[int, dict[str, float]] | None = None
    memory: tuple[str, Memory] | None = None
    specification: tuple[str, Specification] | None = None
    removed: str | None = None
    is_light: bool = False
    """A loss of power may cost it: the game that it was about is lost then, too."""
