"""What agents say of a server, in whichever of the protocol's shapes, as one kind of thing."""

from dataclasses import dataclass
from datetime import datetime

from ctrl_alt_play.panel.servers.figures import Figures
from ctrl_alt_play.protocol.contents import (
    Outcome,
    Players,
    Resources,
    ServerState,
    ServerStatus,
    Stats,
    StatusChanged,
    StatusReport,
)

_LARGEST_NUMBER = 2**31 - 1
"""Of what a column holds; an exit code beyond it is no exit code."""


@dataclass(frozen=True, slots=True)
class Observation:
    server_id: str
    word: str
    is_news: bool
    """Told because it happened. What is not may be a mere repetition of what is known."""
    exit_code: int | None = None
    error: str | None = None
    code: str | None = None
    """Of the error, from agents that tell it."""
    forced: bool = False
    """It was killed, for it did not end in its time."""
    figures: Figures | None = None
    measured_at: datetime | None = None

    @property
    def state(self) -> ServerState | None:
        return state_of(self.word)


_STATES = frozenset(ServerState)


def state_of(word: str) -> ServerState | None:
    """What a server is by a node's word; None where the word tells of an attempt, not of a state."""
    match word:
        case Outcome.DELETED | Outcome.CREATE_FAILED:
            return ServerState.ABSENT
        case Outcome.START_FAILED | Outcome.STOP_FAILED | Outcome.DELETE_FAILED:
            return None
        case "creating" | "deleting" | "processing":
            return None
        case "restarting":
            return ServerState.STOPPING
        case _:
            return ServerState(word) if word in _STATES else ServerState.UNKNOWN


def of_change(change: StatusChanged) -> Observation | None:
    if change.word is None:
        return None
    error = change.error
    if error is None and change.oom_killed:
        error = "The server ran out of memory and was killed."
    return Observation(
        change.server_id,
        change.word,
        is_news=True,
        exit_code=number(change.exit_code),
        error=text(error),
        code=change.code,
        forced=bool(change.forced),
    )


def of_report(report: StatusReport, now: datetime) -> Observation:
    players = report.players or Players()
    told = {"players": players.online, "players_max": players.max, "player_names": players.list or None}
    figures = _figures(report.resources or Resources(), report.uptime).model_copy(update=told)
    return Observation(report.server_id, report.status, is_news=False, figures=figures, measured_at=now)


def of_legacy(status: ServerStatus, now: datetime) -> Observation:
    """A legacy status with figures is told at intervals; one without is told because something happened."""
    if status.stats is None:
        return Observation(status.server_id, status.status, is_news=True, error=text(status.error))
    return Observation(
        status.server_id,
        status.status,
        is_news=False,
        error=text(status.error),
        figures=_legacy_figures(status.stats),
        measured_at=status.stats.timestamp or now,
    )


def _figures(resources: Resources, uptime_s: float | None) -> Figures:
    memory, disk, network = resources.memory, resources.disk, resources.network
    return Figures(
        cpu_percent=resources.cpu,
        memory_used_bytes=memory.used_bytes if memory else None,
        memory_limit_bytes=memory.limit_bytes if memory else None,
        disk_used_bytes=disk.used_bytes if disk else None,
        disk_limit_bytes=disk.limit_bytes if disk else None,
        network_received_bytes=network.rx if network else None,
        network_sent_bytes=network.tx if network else None,
        uptime_s=uptime_s,
    )


def _legacy_figures(stats: Stats) -> Figures:
    return Figures(
        cpu_percent=stats.cpu,
        memory_used_bytes=stats.memory,
        disk_used_bytes=stats.disk,
        network_received_bytes=stats.network.received if stats.network else None,
        network_sent_bytes=stats.network.sent if stats.network else None,
        players=stats.players,
    )


def number(value: int | None) -> int | None:
    return value if value is not None and abs(value) <= _LARGEST_NUMBER else None


def text(value: str | None) -> str | None:
    """PostgreSQL keeps no NUL, and nobody reads more."""
    return None if value is None else value.replace("\x00", "")[:2000]
