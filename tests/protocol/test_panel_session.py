"""The panel's half: questions and their answers, silence, and news."""

import json

import pytest
from tests.fakes.clock import HeldClock
from tests.protocol.support import ask, frame, response

from ctrl_alt_play.protocol.contents import Action
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.panel_session import MOST_OPEN, Answered, PanelSession
from ctrl_alt_play.protocol.part2 import ProtocolRange
from ctrl_alt_play.protocol.specification import Specification


@pytest.mark.parametrize("kind", ["command", "something_new", "system_info_request"])
def test_what_a_panel_does_not_know_is_counted_and_ignored(panel: PanelSession, kind: str) -> None:
    received = panel.receive(frame(type=kind, id="x", action="start_server"))
    assert (received.told, received.answered, received.replies) == (None, None, ())
    assert panel.counts["unknown"] == 1
    panel.receive(frame(type="event", event="something_new", data={}))
    assert panel.counts["unknown"] == 2


@pytest.mark.parametrize(("version", "limit_s"), [(1, 90), (2, 30)])
def test_a_node_that_misses_three_heartbeats_counts_as_away(
    panel: PanelSession, clock: HeldClock, version: int, limit_s: float
) -> None:
    panel.agree(ProtocolRange(version=version))
    clock.advance(limit_s)
    assert not panel.is_silent
    clock.advance(0.1)
    assert panel.is_silent
    panel.receive("any frame at all")
    assert (panel.is_silent, panel.silent_s) == (False, 0)


@pytest.mark.parametrize(("version", "limit_s"), [(1, 35), (2, 15)])
def test_a_node_that_left_a_command_unanswered_counts_as_away_when_one_heartbeat_is_late(
    panel: PanelSession, clock: HeldClock, version: int, limit_s: float
) -> None:
    panel.agree(ProtocolRange(version=version))
    ask(panel, timeout_s=10)
    clock.advance(10)
    assert panel.overdue() == ["q1"]
    clock.advance(limit_s - 10)
    assert not panel.is_silent
    clock.advance(0.1)
    assert panel.is_silent


def test_a_node_that_is_merely_busy_is_not_away(panel: PanelSession, clock: HeldClock) -> None:
    panel.agree(ProtocolRange(version=2))
    ask(panel, timeout_s=10)
    clock.advance(10)
    panel.overdue()
    panel.receive(frame(type="heartbeat", data={"nodeId": "node-1"}))
    clock.advance(29)
    assert not panel.is_silent


def test_time_in_which_nobody_listened_is_no_silence(panel: PanelSession, clock: HeldClock) -> None:
    clock.advance(200)
    panel.excuse(150)
    assert not panel.is_silent
    assert panel.silent_s == 200
    clock.advance(41)
    assert panel.is_silent
    panel.excuse(1_000_000)
    assert not panel.is_silent
    clock.advance(91)
    assert panel.is_silent
    panel.receive("{}")
    clock.advance(91)
    assert panel.is_silent


def test_news_that_names_a_commands_id_is_no_answer(panel: PanelSession) -> None:
    ask(panel, "m1")
    received = panel.receive(frame(type="server_status", messageId="m1", data={"serverId": "one", "status": "running"}))
    assert received.answered is None
    assert received.told is not None
    assert panel.abandon() == ["m1"]


def test_an_answer_finds_its_question_and_only_once(panel: PanelSession) -> None:
    ask(panel, "q1")
    ask(panel, "q2")
    answered = panel.receive(response("q2", message="done")).answered
    assert isinstance(answered, Answered)
    assert (answered.id, answered.answer.message) == ("q2", "done")
    assert panel.receive(response("q2")).answered is None
    assert panel.counts["unmatched"] == 1
    assert panel.abandon() == ["q1"]


@pytest.mark.parametrize("id_", ["", "never asked"])
def test_an_answer_to_nothing_is_counted(panel: PanelSession, id_: str) -> None:
    ask(panel)
    assert panel.receive(response(id_)).answered is None
    assert panel.counts["unmatched"] == 1
    assert panel.next_deadline_s() is not None


def test_a_question_past_its_time_is_told_once_and_its_late_answer_counted(
    panel: PanelSession, clock: HeldClock
) -> None:
    ask(panel, "q1", 5)
    ask(panel, "q2", 9)
    assert panel.next_deadline_s() == 5
    clock.advance(5)
    assert panel.next_deadline_s() == 0
    assert panel.overdue() == ["q1"]
    assert panel.overdue() == []
    assert panel.next_deadline_s() == 4
    assert panel.receive(response("q1")).answered is None
    assert panel.counts["unmatched"] == 1


def test_whoever_no_longer_waits_is_forgotten(panel: PanelSession) -> None:
    ask(panel)
    panel.forget("q1")
    panel.forget("q1")
    assert panel.next_deadline_s() is None
    assert panel.abandon() == []


def test_open_questions_have_a_bound(panel: PanelSession) -> None:
    for number in range(MOST_OPEN):
        ask(panel, f"q{number}")
    with pytest.raises(Fault) as refusal:
        ask(panel, "one more")
    assert refusal.value.code is ErrorCode.INSUFFICIENT_RESOURCES


def test_an_unknown_error_code_in_a_response_is_internal(panel: PanelSession) -> None:
    ask(panel)
    answered = panel.receive(response(success=False, error={"code": "NEW_ONE", "message": "?"})).answered
    assert answered is not None
    assert answered.answer.error is not None
    assert answered.answer.error.code is ErrorCode.INTERNAL


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("server_status", {"status": "running"}),
        ("server_output", {"serverId": "one"}),
        ("heartbeat", None),
        ("file_content", {"serverId": "one"}),
    ],
)
def test_news_of_the_wrong_shape_is_answered_by_an_error(panel: PanelSession, kind: str, data: object) -> None:
    received = panel.receive(frame(type=kind, data=data))
    assert received.told is None
    (reply,) = received.replies
    assert json.loads(reply)["data"]["code"] == "INVALID_MESSAGE"
    assert panel.counts["invalid"] == 1


def test_a_command_that_no_agent_would_take_is_never_sent(panel: PanelSession) -> None:
    """Sent, it would end the connection, and sent again the next one."""
    huge = Specification(image="game", environment={f"V{number}": "x" * 65_500 for number in range(17)})
    with pytest.raises(Fault, match="too large") as refused:
        panel.command("c", Action.UPDATE_SERVER, "one", huge, 1)
    assert refused.value.code is ErrorCode.INVALID_PAYLOAD
    assert panel.next_deadline_s() is None
