"""The one status, over every combination of what it is made of."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ctrl_alt_play.panel.models import OperationKind, OperationState
from ctrl_alt_play.panel.servers.status import Facts, Status, Work, derive, explain
from ctrl_alt_play.protocol.contents import ServerState
from ctrl_alt_play.protocol.specification import Hold

START = datetime(2026, 1, 1, tzinfo=UTC)
OBSERVED, NODE, HELD, CREATION, CURRENT = (START + timedelta(hours=hour) for hour in range(5))

SEEN = {
    ServerState.ABSENT: Status.OFFLINE,
    ServerState.CREATED: Status.OFFLINE,
    ServerState.STARTING: Status.STARTING,
    ServerState.RUNNING: Status.RUNNING,
    ServerState.STOPPING: Status.STOPPING,
    ServerState.STOPPED: Status.OFFLINE,
    ServerState.CRASHED: Status.CRASHED,
    ServerState.UNKNOWN: Status.UNKNOWN,
}
UP = (ServerState.STARTING, ServerState.RUNNING, ServerState.STOPPING)
DOING = {
    OperationKind.START: dict.fromkeys(
        (ServerState.ABSENT, ServerState.CREATED, ServerState.STOPPED, ServerState.CRASHED, ServerState.UNKNOWN),
        Status.STARTING,
    ),
    OperationKind.RESTART: {
        **dict.fromkeys(ServerState, Status.STARTING),
        ServerState.RUNNING: Status.STOPPING,
        ServerState.STOPPING: Status.STOPPING,
    },
    OperationKind.STOP: dict.fromkeys(UP, Status.STOPPING),
    OperationKind.KILL: dict.fromkeys(UP, Status.STOPPING),
}


def expected(
    observed: ServerState, hold: Hold, creation: OperationState | None, current: OperationKind | None, *, online: bool
) -> tuple[Status, datetime]:
    was_made = creation if observed is ServerState.ABSENT else None
    if hold is Hold.SUSPENDED and observed not in UP:
        return Status.SUSPENDED, HELD
    if was_made is OperationState.FAILED:
        return Status.INSTALL_FAILED, CREATION
    if not online:
        return Status.UNKNOWN, NODE
    if was_made in (OperationState.QUEUED, OperationState.RUNNING):
        return Status.INSTALLING, CREATION
    if current is not None and observed in DOING.get(current, {}):
        return DOING[current][observed], CURRENT
    return SEEN[observed], OBSERVED


@pytest.mark.parametrize(("observed", "hold"), list(itertools.product(ServerState, Hold)))
def test_status_over_all_combinations(observed: ServerState, hold: Hold) -> None:
    rest = itertools.product((None, *OperationState), (None, *OperationKind), (True, False))
    for creation, current, online in rest:
        facts = Facts(
            observed=observed,
            observed_since=OBSERVED,
            node_online=online,
            node_since=NODE,
            hold=hold,
            hold_since=None if hold is Hold.NONE else HELD,
            installation=None if creation is None else Work(OperationKind.CREATE, creation, CREATION),
            current=None if current is None else Work(current, OperationState.RUNNING, CURRENT),
        )
        assert derive(facts) == expected(observed, hold, creation, current, online=online), facts


def facts(**more: Any) -> Facts:
    return Facts(
        **{"observed": ServerState.RUNNING, "observed_since": OBSERVED, "node_online": True, "node_since": NODE, **more}
    )


SUSPENDED: dict[str, Any] = {"hold": Hold.SUSPENDED, "hold_since": HELD}
AWAY = "the node is away since 2026-01-01 01:00:00 UTC"
CRASHED: dict[str, Any] = {"observed": ServerState.CRASHED, "exit_code": 1, "node_tells_all": True}


@pytest.mark.parametrize(
    ("known", "sentence"),
    [
        ({}, None),
        ({"ready": True}, None),
        ({"ready": False}, "running, readiness not seen"),
        ({"ready": False, "reason": "The game is paused."}, "The game is paused."),
        ({"node_online": False, "ready": False}, AWAY),
        ({"observed": ServerState.UNKNOWN, "reason": "Docker is away."}, "Docker is away."),
        ({"observed": ServerState.UNKNOWN}, "the node did not say what it is"),
        (
            {"observed": ServerState.UNKNOWN, "node_tells_all": True, "reason": "It crashed long before."},
            "the node cannot tell since 2026-01-01 00:00:00 UTC: its container engine may be away",
        ),
        (SUSPENDED, "on hold since 2026-01-01 02:00:00 UTC, which takes effect when the node takes it over"),
        (SUSPENDED | {"observed": ServerState.STOPPING}, "on hold since 2026-01-01 02:00:00 UTC"),
        (SUSPENDED | {"observed": ServerState.STOPPED}, "on hold since 2026-01-01 02:00:00 UTC"),
        (
            SUSPENDED | {"observed": ServerState.STOPPED, "node_online": False},
            "on hold since 2026-01-01 02:00:00 UTC",
        ),
        (SUSPENDED | {"node_online": False}, f"{AWAY}; the hold takes effect when it is back"),
        ({"hold": Hold.MAINTENANCE, "node_online": False}, f"{AWAY}; the hold takes effect when it is back"),
        (
            {"hold": Hold.MAINTENANCE, "ready": False},
            "on hold for maintenance, which takes effect when the node takes it over",
        ),
        ({"hold": Hold.MAINTENANCE, "observed": ServerState.STOPPED}, "on hold for maintenance"),
        ({"observed": ServerState.STOPPED, "reason": "The game ended by itself."}, "The game ended by itself."),
        (CRASHED | {"node_tells_all": False}, "crashed with exit code 1"),
        (CRASHED, "crashed with exit code 1; it is not started again by itself"),
        (CRASHED | {"reason": "Out of memory."}, "crashed: Out of memory; it is not started again by itself"),
        (
            CRASHED | {"reason": "Out of memory.", "restart_at": CURRENT},
            "crashed: Out of memory; starts again at 2026-01-01 04:00:00 UTC",
        ),
        (
            CRASHED | {"hold": Hold.MAINTENANCE, "restart_at": CURRENT},
            "crashed with exit code 1; on hold for maintenance",
        ),
    ],
)
def test_what_the_status_alone_does_not_say_is_one_sentence(known: dict[str, Any], sentence: str | None) -> None:
    given = facts(**known)
    assert explain(derive(given)[0], given) == sentence


def test_a_crash_that_is_to_be_started_again_is_a_crash_until_it_is() -> None:
    assert derive(facts(**CRASHED, restart_at=CURRENT)) == (Status.CRASHED, OBSERVED)


@pytest.mark.parametrize("kind", list(OperationKind))
def test_a_node_that_tells_all_is_believed_about_what_it_is_doing(kind: OperationKind) -> None:
    for observed in set(ServerState) - {ServerState.ABSENT}:
        current = Work(kind, OperationState.RUNNING, CURRENT)
        given = facts(observed=observed, node_tells_all=True, current=current)
        assert derive(given) == (SEEN[observed], OBSERVED)
