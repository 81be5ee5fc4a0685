"""The witness sees what is wrong: each promise broken by hand."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.faults import chronicle
from tests.faults.calm import Calm, is_true
from tests.faults.game import Diary
from tests.faults.ledger import Ledger
from tests.faults.orders import Answer
from tests.faults.plan import Fault, Kind, Order
from tests.faults.records import Event, Operation, Spool
from tests.faults.walk import Asked

SERVER = "s"
RUNNING = {"State": {"Running": True, "Pid": 7, "StartedAt": "then", "Status": "running"}}


def told(seq: int, kind: str = "server_status_changed", missing: int = 0, **data: Any) -> Event:
    return Event(seq, "spool", seq, missing, SERVER, kind, datetime(2026, 1, 1, second=seq, tzinfo=UTC), data)


def completed(seq: int, id_: str, *, success: bool = True) -> Event:
    return told(seq, "command_completed", commandId=id_, action="start_server", success=success)


def operation(number: int, kind: str, state: str = "succeeded", code: str | None = None) -> Operation:
    return Operation(f"cmd_{number}", SERVER, kind, state, code, "owner")


def asked(number: int, kind: Kind, at: float = 0.0) -> Asked:
    order = Order(number, 3, kind, 0, is_patient=True)
    answer = Answer(202, {"id": f"cmd_{number}", "server_id": SERVER})
    return Asked(order, kind, SERVER, answer, at, at + 0.1, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=at))


def cancelled(number: int, at: float) -> Asked:
    return replace(asked(number, Kind.CANCEL, at), cancels=f"cmd_{number}")


def calm(desired: str = "on", starts: int = 1, lines: tuple[str, ...] = (), *operations: Operation) -> Calm:
    view = {"status": "RUNNING", "desired": desired, "hold": "none", "environment": {"WORD": "w"}}
    diary = Diary(tuple((f"run {number}", "w") for number in range(starts)), tuple(("run", line) for line in lines))
    return Calm({SERVER: view}, {SERVER: RUNNING}, {SERVER: diary}, {each.id: each for each in operations})


def held(hold: str = "suspended", starts: int = 1, *operations: Operation) -> Calm:
    """A calm in which a server is down for a hold."""
    view = {"status": "SUSPENDED", "desired": "on", "hold": hold, "environment": {"WORD": "w"}}
    exited = {"State": {**RUNNING["State"], "Running": False}}
    return replace(calm("on", starts, (), *operations), servers={SERVER: view}, containers={SERVER: exited})


def rules(
    after: Calm,
    *orders: Asked,
    events: tuple[Event, ...] = (),
    before: Calm | None = None,
    struck: Counter[Fault] | None = None,
    killed: int = 0,
) -> set[str]:
    killed_games = Counter({SERVER: killed})
    ledger = Ledger(before or calm(), after, orders, events, killed_games, set(), struck or Counter())
    return {violation.rule for violation in ledger.check()}


@pytest.mark.parametrize("seqs", [(1, 3), (1, 1), (2, 1), (2,)], ids=["a gap", "a double", "disorder", "no beginning"])
def test_events_that_are_not_one_after_the_other_are_found(seqs: tuple[int, ...]) -> None:
    events = [told(seq) for seq in seqs]
    assert chronicle.check_sequence(events, ("spool", seqs[-1]), Spool("spool", seqs[-1], 0, ()))


def test_events_whose_loss_was_told_are_no_gap() -> None:
    events = [told(1), told(5, missing=3)]
    assert chronicle.check_sequence(events, ("spool", 5), Spool("spool", 5, 0, ())) == []


def test_an_event_that_never_arrived_is_found() -> None:
    assert chronicle.check_sequence([told(1)], ("spool", 1), Spool("spool", 2, 1, ()))


def test_a_completion_that_is_missing_doubled_or_denied_is_found() -> None:
    start = operation(1, "start")
    assert chronicle.check_completions([start], [])
    assert chronicle.check_completions([start], [completed(1, "cmd_1"), completed(2, "cmd_1")])
    assert chronicle.check_completions([start], [completed(1, "cmd_1", success=False)])
    assert chronicle.check_completions([start], [completed(1, "cmd_1")]) == []


def test_a_change_that_its_node_refused_for_good_and_that_is_said_to_be_done_is_found() -> None:
    def refused(code: str) -> Event:
        error = {"code": code, "message": "No."}
        return told(1, "command_completed", commandId="cmd_1", action="update_server", success=False, error=error)

    assert chronicle.check_completions([operation(1, "update")], [refused("INVALID_STATE")]) == []
    assert chronicle.check_completions([operation(1, "update")], [refused("CANCELLED")])


def test_a_change_that_does_not_begin_where_the_last_one_ended_is_found() -> None:
    up, down = told(1, currentStatus="running"), told(2, previousStatus="stopped", currentStatus="crashed")
    assert chronicle.check_changes([up, down])


def test_a_round_as_it_should_be_has_nothing_wrong() -> None:
    orders = [asked(1, Kind.COMMAND), asked(2, Kind.RESTART, 10)]
    after = calm("on", 2, ("say 1",), operation(1, "command"), operation(2, "restart"))
    after.containers[SERVER] = {"State": {**RUNNING["State"], "Pid": 8}}
    assert rules(after, *orders, events=(completed(1, "cmd_1"), completed(2, "cmd_2"))) == set()


def test_a_line_lost_or_read_twice_is_found() -> None:
    order, done = asked(1, Kind.COMMAND), operation(1, "command")
    for lines in ((), ("say 1", "say 1")):
        assert rules(calm("on", 1, lines, done), order) == {"a line is read once"}


def test_a_line_that_was_refused_and_read_all_the_same_is_found() -> None:
    refused = operation(1, "command", "failed", "INVALID_STATE")
    assert rules(calm("on", 1, ("say 1",), refused), asked(1, Kind.COMMAND)) == {"a line is read once"}


def test_a_line_may_stay_unread_where_the_game_ended_at_once() -> None:
    done, end = operation(1, "command"), told(2, currentStatus="stopping")
    assert rules(calm("on", 1, (), done), asked(1, Kind.COMMAND), events=(completed(1, "cmd_1"), end)) == set()
    late = replace(end, seq=9, happened_at=end.happened_at + timedelta(minutes=1))
    assert rules(calm("on", 1, (), done), asked(1, Kind.COMMAND), events=(completed(1, "cmd_1"), late))


def test_a_start_done_twice_is_found() -> None:
    after = calm("on", 3, (), operation(1, "restart"))
    assert "a start is done once" in rules(after, asked(1, Kind.RESTART))


def test_a_start_that_nobody_asked_for_is_found() -> None:
    assert "a start is done once" in rules(calm("on", 2))


def test_an_operation_that_nobody_asked_for_is_found() -> None:
    after = calm("on", 1, (), operation(1, "command"))
    assert "nothing is done twice" in rules(after)


def test_an_operation_that_is_gone_is_found() -> None:
    assert "no operation is lost" in rules(calm(), asked(1, Kind.COMMAND))


def test_an_end_that_was_none_is_found() -> None:
    before = calm("on", 1, (), operation(1, "stop", "failed", "DOCKER_ERROR"))
    assert "an end is final" in rules(calm("on", 1, (), operation(1, "stop")), before=before)
    late = calm("on", 1, (), operation(1, "stop", "failed", "TIMEOUT"))
    assert "an end is final" not in rules(calm("on", 1, (), operation(1, "stop")), before=late)


def test_a_game_that_was_restarted_behind_everybodys_back_is_found() -> None:
    after = replace(calm(), containers={SERVER: {"State": {**RUNNING["State"], "Pid": 8}}})
    assert rules(after) == {"no game is harmed"}


def test_a_stop_that_was_forgotten_is_found() -> None:
    after = calm("on", 1, (), operation(1, "stop"))
    assert rules(after, asked(1, Kind.STOP), events=(completed(1, "cmd_1"),)) == {"what is wanted was asked for"}


def test_a_change_that_failed_and_was_kept_is_found() -> None:
    after = calm("on", 1, (), operation(1, "update", "failed", "INVALID_STATE"))
    after.servers[SERVER]["environment"] = {"WORD": "w1"}
    assert rules(after, asked(1, Kind.CHANGE)) == {"a change is kept"}


def test_a_crash_that_was_none_is_found() -> None:
    after = calm()
    assert "a crash is told when there was one" in rules(after, events=(told(1, "server_crashed"),))


def test_a_deleted_server_whose_container_stayed_is_found() -> None:
    after = replace(calm(), containers={SERVER: RUNNING, "gone": RUNNING})
    assert rules(after) == {"servers are what was asked for"}


def test_a_server_on_hold_that_runs_is_not_as_it_should_be() -> None:
    view = held().servers[SERVER]
    assert not is_true({**view, "status": "RUNNING"}, RUNNING)
    assert not is_true({**view, "status": "OFFLINE"}, None)
    assert is_true(view, None)
    assert is_true({**view, "status": "OFFLINE", "hold": "maintenance"}, None)
    assert not is_true({**view, "status": "OFFLINE", "hold": "none"}, None)


def test_a_start_while_a_hold_lasts_is_found() -> None:
    assert "a start is done once" in rules(held(starts=2), before=held())
    after = held("suspended", 2, operation(1, "start"))
    assert "a start is done once" in rules(after, asked(1, Kind.START), before=held())


def test_the_end_of_a_hold_starts_what_is_wanted() -> None:
    after = replace(calm("on", 2, (), operation(2, "update")))
    assert rules(after, asked(2, Kind.RELEASE), before=held()) == set()


def test_a_hold_that_was_forgotten_or_that_nobody_asked_for_is_found() -> None:
    done = operation(1, "update")
    assert rules(held("suspended", 1, done), asked(1, Kind.HOLD)) == set()
    assert "a hold is kept" in rules(calm("on", 1, (), done), asked(1, Kind.HOLD))
    assert "a hold is kept" in rules(held())


def test_what_was_cancelled_and_done_all_the_same_is_found() -> None:
    orders = (asked(1, Kind.RESTART), cancelled(1, at=1))
    after = calm("on", 2, (), operation(1, "restart"))
    after.containers[SERVER] = {"State": {**RUNNING["State"], "Pid": 8}}
    assert "what is cancelled is not done" in rules(after, *orders, events=(completed(9, "cmd_1"),))
    assert rules(after, *orders, events=(completed(2, "cmd_1"),)) == set()
    agent_killed = Counter({Fault.AGENT_KILLED: 1})
    assert rules(after, *orders, events=(completed(9, "cmd_1"),), struck=agent_killed) == set()


def test_a_cancellation_that_nobody_asked_for_is_found() -> None:
    after = calm("on", 1, (), operation(1, "restart", "failed", "CANCELLED"))
    assert "only what is cancelled is so" in rules(after, asked(1, Kind.RESTART))
    assert (
        rules(after, asked(1, Kind.RESTART), cancelled(1, at=1), events=(completed(1, "cmd_1", success=False),))
        == set()
    )


def test_a_start_that_was_cancelled_and_is_wanted_all_the_same_is_found() -> None:
    down = replace(calm("off"), containers={SERVER: {"State": {**RUNNING["State"], "Running": False}}})
    after = calm("on", 2, (), operation(1, "start", "failed", "CANCELLED"))
    told = (completed(1, "cmd_1", success=False),)
    assert "what is wanted was asked for" in rules(
        after, asked(1, Kind.START), cancelled(1, 1), events=told, before=down
    )


def test_a_start_of_what_nobody_wants_is_found() -> None:
    assert "a start is done once" in rules(
        calm("on", 2), before=calm("off"), struck=Counter({Fault.NODE_POWER_LOST: 1})
    )


def test_a_game_killed_in_the_calm_is_told_as_one_crash_and_started_once() -> None:
    crash = told(1, "server_crashed")
    assert rules(calm("on", 2), events=(crash,), killed=1) == set()
    assert rules(calm("on", 2), killed=1) == {"a start is done once", "a crash is told when there was one"}
    assert rules(calm("on", 3), events=(crash,), killed=1) == {"a start is done once"}
    assert rules(calm("on", 1), events=(crash,), killed=1) == {"a start is done once"}
