"""A node's own words put on a server's axes: what it tells of a change, of a crash, and of all that it holds. Part 2 alone.

Here the node is believed as it speaks: it knows what was asked of it, so nothing is concluded from what the panel believed before.
"""

from datetime import UTC, datetime

from ctrl_alt_play.panel.intake import observation
from ctrl_alt_play.panel.intake.becoming import become, explain, state_by
from ctrl_alt_play.panel.intake.observation import number, state_of, text
from ctrl_alt_play.panel.models import Server
from ctrl_alt_play.panel.servers.figures import as_stored
from ctrl_alt_play.protocol.contents import ServerState, StatusChanged, StatusReport
from ctrl_alt_play.protocol.part2 import ServerCrashed, ServerSnapshot
from ctrl_alt_play.protocol.specification import Desired

LARGEST_REVISION = 2**30
"""Nobody counts so far who counts in earnest; there is room for the panel's next."""


def past(at: datetime | None, now: datetime) -> datetime:
    """A moment by the node's clock, which may be wrong: what it tells of has happened."""
    return min(_moment(at) or now, now)


def take_change(server: Server, change: StatusChanged, at: datetime | None, now: datetime) -> None:
    seen = observation.of_change(change)
    if seen is None:
        return
    server.observed_at = now
    server.desired = change.desired or server.desired
    server.crashes = server.crashes if change.crashes is None else _count(change.crashes)
    state = state_by(server, seen)
    if state is not None:
        become(server, state, past(at, now))
        server.ready = change.ready if state is ServerState.RUNNING else None
        if change.restart_at is not None or state is not ServerState.CRASHED or change.desired is Desired.OFF:
            server.restart_at = _moment(change.restart_at)
    if state is ServerState.RUNNING:
        server.last_error = None
    explain(server, seen, state)


def take_crash(server: Server, crash: ServerCrashed, now: datetime) -> None:
    server.observed_at = now
    server.last_error = text(crash.summary) or server.last_error
    server.exit_code = number(crash.exit_code)
    server.crashes = _count(crash.crashes)
    server.restart_at = _moment(crash.restart_at)


def take_snapshot(server: Server, told: ServerSnapshot, now: datetime) -> None:
    state = state_of(told.observed) or ServerState.UNKNOWN
    become(server, state, past(told.since, now) if told.since else now)
    if told.since is not None:
        server.observed_since = past(told.since, now)
    server.observed_at = now
    server.desired = told.desired
    server.ready = told.ready if state is ServerState.RUNNING else None
    if server.ready:
        server.last_error = None
    server.exit_code = number(told.exit_code)
    server.crashes = _count(told.crashes)
    server.restart_at = _moment(told.restart_at)
    take_revision(server, told.revision)


def take_revision(server: Server, told: int) -> None:
    """What its node holds. Where that is newer than what the panel knows, because it was undone there or the panel has an old database, the
    panel's word becomes the next revision, so that the node takes it.
    """
    node_revision = min(_count(told), LARGEST_REVISION)
    if node_revision != server.node_revision:
        server.node_revision, server.node_specification = node_revision, None
    if server.node_revision > server.revision:
        server.revision = server.node_revision + 1


def take_absence(server: Server, now: datetime) -> None:
    """Its node told all that it holds, and this server is not among it."""
    become(server, ServerState.ABSENT, now)
    server.observed_at = now
    server.ready = server.exit_code = server.restart_at = None
    server.node_revision = server.node_specification = None
    server.crashes = 0


def take_figures(server: Server, report: StatusReport, now: datetime) -> None:
    """What was measured is no word on what the server is: that comes in its own order, by changes and snapshots."""
    seen = observation.of_report(report, now)
    if seen.figures is not None:
        server.figures, server.measured_at = as_stored(seen.figures), now


def _moment(at: datetime | None) -> datetime | None:
    """None also for what no calendar holds in UTC."""
    try:
        return None if at is None else at.astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def _count(told: int | None) -> int:
    return max(0, number(told) or 0)
