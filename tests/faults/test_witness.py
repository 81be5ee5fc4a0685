"""The witness sees what is wrong: each promise broken by hand."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.faults import chronicle
from tests.faults.calm import Calm
from tests.faults.game import Diary
from tests.faults.ledger import Ledger
from tests.faults.orders import Answer
from tests.faults.plan import Kind, Order
from tests.faults.records import Event, Operation, Spool
from tests.faults.walk import Asked

SERVER = "s"
RUNNING = {"State": {"Running": True, "Pid": 7, "StartedAt": "then", "Status": "running"}}


def told(seq: int, kind: str = "server_status_changed", missing: int = 0, **data: Any) -> Event:
    return Event(seq, "spool", seq, missing, SERVER, kind, datetime(2026, 1, 1, second=seq, tzinfo=UTC), data)


def completed(seq: int, id_: str, *, success: bool = True) -> Event:
    return told(seq, "command_completed", commandId=id_, success=success)


def operation(number: int, kind: str, state: str = "succeeded", code: str | None = None) -> Operation:
    return Operation(f"cmd_{number}", SERVER, kind, state, code, "owner")


def asked(number: int, kind: Kind, at: float = 0.0) -> Asked:
    order = Order(number, 3, kind, 0, is_patient=True)
    return Asked(order, kind, SERVER, Answer(202, {"id": f"cmd_{number}", "server_id": SERVER}), at, at + 0.1)


def calm(desired: str = "on", starts: int = 1, lines: tuple[str, ...] = (), *operations: Operation) -> Calm:
    view = {"status": "RUNNING", "desired": desired, "environment": {"WORD": "w"}}
    diary = Diary(tuple((f"run {number}", "w") for number in range(starts)), tuple(("run", line) for line in lines))
    return Calm({SERVER: view}, {SERVER: RUNNING}, {SERVER: diary}, {each.id: each for each in operations})


def rules(after: Calm, *orders: Asked, events: tuple[Event, ...] = (), before: Calm | None = None) -> set[str]:
    ledger = Ledger(
        before or calm(), after, orders, events, Counter(), set(), is_engine_disturbed=False, power_losses=0
    )
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
