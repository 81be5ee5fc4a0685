"""The one status that people see, derived from all that is known of a server."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

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
    creation: Work | None = None
    current: Work | None = None
    """The operation that the node is at, if any: the oldest that it accepted and has not ended."""


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

    A hold; a creation that failed, which a node's absence does not undo; the absence of the node, behind which all else is only what
    was last believed; a creation under way; what the node is doing, where it said that it does it and no news came yet; what was seen.
    """
    creation = facts.creation if facts.observed is ServerState.ABSENT else None
    if facts.hold is Hold.SUSPENDED:
        return Status.SUSPENDED, facts.hold_since or facts.observed_since
    if creation is not None and creation.state is OperationState.FAILED:
        return Status.INSTALL_FAILED, creation.since
    if not facts.node_online:
        return Status.UNKNOWN, facts.node_since
    if creation is not None and creation.state in (OperationState.QUEUED, OperationState.RUNNING):
        return Status.INSTALLING, creation.since
    if facts.current is not None and (doing := _doing(facts.current.kind, facts.observed)) is not None:
        return doing, facts.current.since
    return _OBSERVED[facts.observed], facts.observed_since


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
