"""What news settle: every kind of operation against every word an agent may say."""

import itertools

import pytest

from ctrl_alt_play.panel.models import OperationKind as Kind
from ctrl_alt_play.panel.operations.outcomes import Pending, Verdict, verdicts, verdicts_after_absence
from ctrl_alt_play.protocol.contents import Outcome, ServerState

S = ServerState
KINDS = tuple(Kind)
WORDS = (*ServerState, *Outcome, "restarting", "creating", "no such word")

SUCCEEDS = {
    (Kind.CREATE, S.CREATED),
    (Kind.START, S.RUNNING),
    (Kind.RESTART, S.RUNNING),
    (Kind.STOP, S.STOPPED),
    (Kind.STOP, S.CRASHED),
    (Kind.KILL, S.STOPPED),
    (Kind.KILL, S.CRASHED),
    (Kind.DELETE, Outcome.DELETED),
}
FAILS = {
    (Kind.CREATE, Outcome.CREATE_FAILED): "CREATE_FAILED",
    (Kind.START, Outcome.START_FAILED): "START_FAILED",
    (Kind.RESTART, Outcome.START_FAILED): "START_FAILED",
    (Kind.START, S.CRASHED): "START_FAILED",
    (Kind.STOP, Outcome.STOP_FAILED): "STOP_FAILED",
    (Kind.KILL, Outcome.STOP_FAILED): "STOP_FAILED",
    (Kind.RESTART, Outcome.STOP_FAILED): "STOP_FAILED",
    (Kind.DELETE, Outcome.DELETE_FAILED): "DELETE_FAILED",
}


def pending(*kinds: Kind) -> list[Pending]:
    return [Pending(f"{index} {kind}", kind) for index, kind in enumerate(kinds)]


def told(kinds: tuple[Kind, ...], word: str, previous: ServerState = S.UNKNOWN) -> dict[str, str]:
    """The operations that ended, and how."""
    return ended(verdicts(pending(*kinds), word, previous, None))


def ended(given: list[Verdict]) -> dict[str, str]:
    return {verdict.id: verdict.failure.code if verdict.failure else "done" for verdict in given}


@pytest.mark.parametrize(("kind", "word"), list(itertools.product(KINDS, WORDS)))
def test_a_single_operation_is_settled_by_what_concerns_it_alone(kind: Kind, word: str) -> None:
    expected = "done" if (kind, word) in SUCCEEDS else FAILS.get((kind, word))
    assert told((kind,), word) == ({f"0 {kind}": expected} if expected else {})


@pytest.mark.parametrize(
    ("kinds", "word", "previous", "expected"),
    [
        ((Kind.STOP, Kind.START), S.STOPPED, S.RUNNING, {"0 stop": "done"}),
        ((Kind.START, Kind.STOP), S.RUNNING, S.STARTING, {"0 start": "done"}),
        ((Kind.START, Kind.START), S.RUNNING, S.STARTING, {"0 start": "done"}),
        ((Kind.STOP, Kind.STOP), S.STOPPED, S.RUNNING, {"0 stop": "done", "1 stop": "done"}),
        ((Kind.STOP, Kind.START, Kind.STOP), S.STOPPED, S.RUNNING, {"0 stop": "done"}),
        ((Kind.STOP, Kind.KILL), S.STOPPED, S.RUNNING, {"0 stop": "done", "1 kill": "done"}),
        ((Kind.START, Kind.KILL), S.STOPPED, S.STARTING, {"0 start": "KILLED", "1 kill": "done"}),
        ((Kind.RESTART, Kind.KILL), S.CRASHED, S.STOPPING, {"0 restart": "KILLED", "1 kill": "done"}),
        ((Kind.KILL, Kind.START), S.STOPPED, S.RUNNING, {"0 kill": "done"}),
        ((Kind.RESTART, Kind.STOP), S.STOPPED, S.STOPPING, {}),
        ((Kind.RESTART,), S.CRASHED, S.RUNNING, {}),
        ((Kind.RESTART,), S.CRASHED, S.STARTING, {"0 restart": "START_FAILED"}),
        ((Kind.START,), S.STOPPED, S.STARTING, {"0 start": "START_FAILED"}),
        ((Kind.START,), S.STOPPED, S.STOPPED, {}),
        ((Kind.START, Kind.STOP), S.CRASHED, S.STOPPED, {"0 start": "START_FAILED", "1 stop": "done"}),
        ((Kind.START, Kind.DELETE), Outcome.DELETED, S.STOPPED, {"0 start": "SERVER_DELETED", "1 delete": "done"}),
        ((Kind.START,), Outcome.DELETED, S.STOPPED, {}),
        ((Kind.CREATE, Kind.KILL), S.STOPPED, S.CREATED, {"1 kill": "done"}),
        ((), S.RUNNING, S.STOPPED, {}),
    ],
)
def test_several_operations_are_settled_in_their_order(
    kinds: tuple[Kind, ...], word: str, previous: ServerState, expected: dict[str, str]
) -> None:
    assert told(kinds, word, previous) == expected


def test_the_agents_own_sentence_is_kept() -> None:
    (verdict,) = verdicts(pending(Kind.START), Outcome.START_FAILED, S.STOPPED, "no such image")
    assert verdict.failure is not None
    assert verdict.failure.message == "no such image"


WAITS = {
    Kind.START: {S.STARTING, S.STOPPING, S.UNKNOWN},
    Kind.RESTART: {S.STARTING, S.STOPPING, S.UNKNOWN},
    Kind.STOP: {S.STOPPING, S.UNKNOWN},
    Kind.KILL: {S.STOPPING, S.UNKNOWN},
    Kind.CREATE: {S.ABSENT, S.UNKNOWN},
    Kind.DELETE: set(S) - {S.ABSENT},
    Kind.COMMAND: set(S),
    Kind.STATUS: set(S),
    Kind.UPDATE: set(S),
    Kind.ADOPT: set(S),
    Kind.REINSTALL: set(S),
}
ACHIEVED = {
    Kind.START: {S.RUNNING},
    Kind.RESTART: {S.RUNNING},
    Kind.STOP: {S.ABSENT, S.CREATED, S.STOPPED, S.CRASHED},
    Kind.KILL: {S.ABSENT, S.CREATED, S.STOPPED, S.CRASHED},
    Kind.CREATE: {S.CREATED, S.STARTING, S.RUNNING, S.STOPPING, S.STOPPED, S.CRASHED},
    Kind.DELETE: {S.ABSENT},
    Kind.COMMAND: set(),
    Kind.STATUS: set(),
    Kind.UPDATE: set(),
    Kind.ADOPT: set(),
    Kind.REINSTALL: set(),
}


@pytest.mark.parametrize(("kind", "state"), list(itertools.product(KINDS, ServerState)))
def test_after_an_absence_the_state_alone_decides(kind: Kind, state: ServerState) -> None:
    found = ended(verdicts_after_absence(pending(kind), state))
    if state in WAITS[kind]:
        assert found == {}
    else:
        assert found == {f"0 {kind}": "done" if state in ACHIEVED[kind] else "INTERRUPTED"}
