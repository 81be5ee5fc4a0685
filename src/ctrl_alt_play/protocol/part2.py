"""What only our own panel and agent say to each other: what is durable, the whole truth at once, and the agreement to speak so."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from ctrl_alt_play.protocol.messages import HEARTBEAT_INTERVAL_S, ErrorBody, Instant, News
from ctrl_alt_play.protocol.specification import Desired, Model, ServerId

HIGHEST_SEQ = 2**53
"""What every JSON reader takes for a whole number."""


class CommandCompleted(News):
    """The one end of an accepted command. Durable."""

    command_id: str
    action: str
    server_id: str
    success: bool
    error: ErrorBody | None = None
    result: dict[str, Any] | None = None
    started_at: Instant = None
    finished_at: Instant = None


class CrashCause(StrEnum):
    """Why a game ended, as far as the node can know."""

    EXIT_CODE = "exit_code"
    SIGNAL = "signal"
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"
    PORT_TAKEN = "port_taken"
    IMAGE_MISSING = "image_missing"
    READINESS_LOST = "readiness_lost"
    START_FAILED = "start_failed"


class ServerCrashed(News):
    """A crash report. Durable. `changes` are sentences on what differs from the last good run; values of variables are never told."""

    server_id: ServerId
    cause: CrashCause = CrashCause.EXIT_CODE
    summary: str = ""
    exit_code: int | None = None
    signal: str | None = None
    uptime: float | None = Field(default=None, description="seconds")
    last_lines: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    crashes: int = Field(default=1, description="within the policy's window, this one included")
    restart_at: Instant = Field(default=None, description="unset: it is not started again by itself")
    crashed_at: Instant = None


class OperationProgress(News):
    """How far a command is. Perishable: the newest of each command replaces those before it."""

    command_id: str
    server_id: str | None = None
    phase: str
    percent: float | None = None
    message: str = ""


class UnderWay(News):
    command_id: str | None = None
    action: str
    phase: str | None = None


class ServerSnapshot(News):
    """All axes of one server at one moment."""

    server_id: ServerId
    revision: int = 1
    desired: Desired = Desired.OFF
    observed: str
    since: Instant = Field(default=None, description="when it became what it is")
    ready: bool | None = None
    hold: str | None = None
    container_id: str | None = None
    pid: int | None = None
    exit_code: int | None = None
    crashes: int | None = Field(default=None, description="within the crash policy's window")
    restart_at: Instant = None
    operation: UnderWay | None = None


class Orphan(News):
    """A container that carries our labels and that the agent does not know."""

    server_id: str
    container_id: str
    state: str
    image: str | None = None
    is_adoptable: bool = Field(default=False, description="its own label tells its specification")


class StateSnapshot(News):
    """The truth about a node, which replaces what was believed; events up to `seq` are older. Parts come in order; the last has not `more`."""

    servers: tuple[ServerSnapshot, ...]
    orphans: tuple[Orphan, ...] = ()
    seq: int = 0
    part: int = 1
    more: bool = False


class ProtocolRange(News):
    version: int = 1
    minimum: int = 1


class KnownServer(News):
    server_id: str
    revision: int = 1


class Welcome(News):
    """The panel's first message to an agent that offers part 2. `acked_seq` is the last durable event that the panel has kept."""

    protocol: ProtocolRange
    panel_version: str | None = None
    heartbeat_interval: float = Field(default=HEARTBEAT_INTERVAL_S, ge=1, le=60, description="seconds")
    acked_seq: int = Field(default=0, ge=0, le=HIGHEST_SEQ)
    servers: tuple[KnownServer, ...] = ()


class Ack(Model):
    """All durable events up to `seq` are kept by the panel."""

    seq: int = Field(ge=0, le=HIGHEST_SEQ)
