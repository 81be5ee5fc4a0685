"""The one status that people see, derived from all that is known of a server."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ctrl_alt_play.clock import spoken
from ctrl_alt_play.panel.models import OperationKind, OperationState
from ctrl_alt_play.protocol.contents import ServerState
from ctrl_alt_play.protocol.specification import Hold


class Status(StrEnum):
    INSTALLING = "INSTALLING"
    INSTALL_FAILED = "INSTALL_FAILED"
    SUSPENDED = "SUSPENDED"
    OFFLINE = "OFFLINE"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    CRASHED = "CRASHED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Work:
    """What of an operation bears on a server's status."""

    kind: OperationKind
    state: OperationState
    since: datetime
    """When it came into this state."""


@dataclass(frozen=True, slots=True)
class Facts:
    observed: ServerState
    observed_since: datetime
    node_online: bool
    node_since: datetime
    hold: Hold = Hold.NONE
    hold_since: datetime | None = None
    installation: Work | None = None
    """The newest, its creation included."""
    current: Work | None = None
    """The operation that the node is at, if any: the oldest that it accepted and has not ended."""
    node_tells_all: bool = False
    """It speaks part 2, so it says itself when a server is starting or stopping."""
    ready: bool | None = None
    reason: str | None = None
    """Why it is as it is, in the words of its node or of the panel."""
    exit_code: int | None = None
    restart_at: datetime | None = None


_OBSERVED = {
    ServerState.ABSENT: Status.OFFLINE,
    ServerState.CREATED: Status.OFFLINE,
    ServerState.STARTING: Status.STARTING,
    ServerState.RUNNING: Status.RUNNING,
    ServerState.STOPPING: Status.STOPPING,
    ServerState.STOPPED: Status.OFFLINE,
    ServerState.CRASHED: Status.CRASHED,
    ServerState.UNKNOWN: Status.UNKNOWN,
}
_UP = (ServerState.STARTING, ServerState.RUNNING, ServerState.STOPPING)


def derive(facts: Facts) -> tuple[Status, datetime]:
    """The status, and since when it is so. What comes first hides what comes after.

    A hold that keeps it down; an installation that failed, which a node's absence does not undo; the absence of the node, behind which all
    else is only what was last believed; an installation under way; what the node is doing, where it does not tell so itself; what was seen.
    """
    installation = facts.installation if facts.observed is ServerState.ABSENT else None
    if facts.hold is Hold.SUSPENDED and facts.observed not in _UP:
        return Status.SUSPENDED, facts.hold_since or facts.observed_since
    if installation is not None and installation.state is OperationState.FAILED:
        return Status.INSTALL_FAILED, installation.since
    if not facts.node_online:
        return Status.UNKNOWN, facts.node_since
    if installation is not None and installation.state in (OperationState.QUEUED, OperationState.RUNNING):
        return Status.INSTALLING, installation.since
    if (
        facts.current is not None
        and not facts.node_tells_all
        and (doing := _doing(facts.current.kind, facts.observed)) is not None
    ):
        return doing, facts.current.since
    return _OBSERVED[facts.observed], facts.observed_since


def explain(status: Status, facts: Facts) -> str | None:
    """What the status alone does not say: one sentence for people, made here for all that show it."""
    held = _explain_hold(facts)
    match status:
        case Status.INSTALL_FAILED:
            return f"not installed: {facts.reason.splitlines()[0]}" if facts.reason else None
        case Status.UNKNOWN if not facts.node_online:
            away = f"the node is away since {spoken(facts.node_since)}"
            return f"{away}; the hold takes effect when it is back" if held and facts.observed in _UP else away
        case Status.UNKNOWN if facts.node_tells_all:
            return f"the node cannot tell since {spoken(facts.observed_since)}: its container engine may be away"
        case Status.UNKNOWN:
            return facts.reason or "the node did not say what it is"
        case Status.STARTING | Status.RUNNING if held:
            return f"{held}, which takes effect when the node takes it over"
        case Status.RUNNING if facts.ready is False:
            return facts.reason or "running, readiness not seen"
        case Status.CRASHED:
            return _explain_crash(facts)
        case _:
            return held or facts.reason


def _explain_hold(facts: Facts) -> str | None:
    match facts.hold:
        case Hold.NONE:
            return None
        case Hold.MAINTENANCE:
            return "on hold for maintenance"
        case Hold.SUSPENDED:
            return f"on hold since {spoken(facts.hold_since)}" if facts.hold_since else "on hold"


def _explain_crash(facts: Facts) -> str:
    code = "crashed" if facts.exit_code is None else f"crashed with exit code {facts.exit_code}"
    what = f"crashed: {facts.reason.rstrip('.')}" if facts.reason else code
    if facts.hold is not Hold.NONE:
        return f"{what}; on hold for maintenance"
    if facts.restart_at is not None:
        return f"{what}; starts again at {spoken(facts.restart_at)}"
    return f"{what}; it is not started again by itself" if facts.node_tells_all else what


def _doing(kind: OperationKind, observed: ServerState) -> Status | None:
    match kind:
        case OperationKind.START if observed not in _UP:
            return Status.STARTING
        case OperationKind.RESTART:
            return Status.STOPPING if observed in (ServerState.RUNNING, ServerState.STOPPING) else Status.STARTING
        case OperationKind.STOP | OperationKind.KILL if observed in _UP:
            return Status.STOPPING
        case _:
            return None
