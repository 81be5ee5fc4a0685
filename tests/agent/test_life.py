"""The tables of a server's life."""

import pytest

from ctrl_alt_play.agent.engine.base import Container, ContainerState
from ctrl_alt_play.agent.servers.life import LEADS_TO, MOST_WAITING, check, state_of
from ctrl_alt_play.protocol.contents import Action, ServerState
from ctrl_alt_play.protocol.errors import ErrorCode, Fault

CREATE, START, STOP = Action.CREATE_SERVER, Action.START_SERVER, Action.STOP_SERVER
RESTART, KILL, DELETE = Action.RESTART_SERVER, Action.KILL_SERVER, Action.DELETE_SERVER


def a_container(state: ContainerState, exit_code: int | None = None) -> Container:
    return Container(id="c", server_id="s", state=state, exit_code=exit_code)


@pytest.mark.parametrize(
    ("container", "is_meant_to_stop", "state"),
    [
        (None, False, ServerState.ABSENT),
        (None, True, ServerState.ABSENT),
        (a_container(ContainerState.CREATED), False, ServerState.CREATED),
        (a_container(ContainerState.RUNNING), True, ServerState.RUNNING),
        (a_container(ContainerState.EXITED, 0), False, ServerState.STOPPED),
        (a_container(ContainerState.EXITED, 1), False, ServerState.CRASHED),
        (a_container(ContainerState.EXITED, 1), True, ServerState.STOPPED),
        (a_container(ContainerState.EXITED, 137), True, ServerState.STOPPED),
        (a_container(ContainerState.EXITED, 137), False, ServerState.CRASHED),
    ],
)
def test_a_container_means_a_state(container: Container | None, is_meant_to_stop: bool, state: ServerState) -> None:
    assert state_of(container, is_meant_to_stop=is_meant_to_stop) is state


REFUSED: dict[Action, set[ServerState]] = {
    CREATE: set(ServerState),
    START: {ServerState.RUNNING, ServerState.STARTING},
    STOP: {ServerState.ABSENT, ServerState.CREATED, ServerState.STOPPED, ServerState.CRASHED},
    RESTART: set(),
    KILL: {ServerState.ABSENT, ServerState.CREATED, ServerState.STOPPED, ServerState.CRASHED},
    DELETE: set(),
}


@pytest.mark.parametrize("action", list(LEADS_TO))
@pytest.mark.parametrize("state", list(ServerState))
def test_what_may_be_asked_of_an_idle_server(action: Action, state: ServerState) -> None:
    assert (refusal(action, state, []) is not None) == (state in REFUSED[action])


@pytest.mark.parametrize(
    ("action", "state", "accepted", "code"),
    [
        (START, ServerState.STOPPED, [START], ErrorCode.INVALID_STATE),
        (START, ServerState.RUNNING, [STOP], None),
        (START, ServerState.RUNNING, [KILL], None),
        (STOP, ServerState.STOPPED, [START], None),
        (STOP, ServerState.RUNNING, [STOP], ErrorCode.INVALID_STATE),
        (STOP, ServerState.ABSENT, [CREATE], ErrorCode.INVALID_STATE),
        (START, ServerState.ABSENT, [CREATE], None),
        (STOP, ServerState.RUNNING, [RESTART], None),
        (KILL, ServerState.CREATED, [START], None),
        (KILL, ServerState.STOPPING, [STOP], None),
        (KILL, ServerState.ABSENT, [CREATE], ErrorCode.INVALID_STATE),
        (RESTART, ServerState.RUNNING, [DELETE], ErrorCode.INVALID_STATE),
        (DELETE, ServerState.RUNNING, [DELETE], ErrorCode.INVALID_STATE),
        (KILL, ServerState.STOPPING, [DELETE], None),
        (KILL, ServerState.STOPPED, [DELETE], ErrorCode.INVALID_STATE),
        (DELETE, ServerState.RUNNING, [START, STOP], None),
        (CREATE, ServerState.RUNNING, [DELETE], ErrorCode.INVALID_STATE),
    ],
)
def test_what_may_follow_upon_what_was_accepted(
    action: Action, state: ServerState, accepted: list[Action], code: ErrorCode | None
) -> None:
    assert refusal(action, state, accepted) is code


def test_the_inbox_has_a_bound_that_a_kill_passes() -> None:
    full = [RESTART] * MOST_WAITING
    assert refusal(RESTART, ServerState.RUNNING, full[1:]) is None
    assert refusal(RESTART, ServerState.RUNNING, full) is ErrorCode.INSUFFICIENT_RESOURCES
    assert refusal(KILL, ServerState.RUNNING, full) is None


def test_a_refusal_says_what_the_server_is() -> None:
    with pytest.raises(Fault, match="is crashed"):
        check(STOP, ServerState.CRASHED, [])


def refusal(action: Action, state: ServerState, accepted: list[Action]) -> ErrorCode | None:
    try:
        check(action, state, accepted)
    except Fault as fault:
        return fault.code
    return None
