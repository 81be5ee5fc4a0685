"""What is not as it should be, and what of it is still true."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.protocol.support import command, frame, taken

from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.protocol.agent_session import AgentSession, Answers
from ctrl_alt_play.protocol.contents import Action
from ctrl_alt_play.protocol.messages import Response, parse
from ctrl_alt_play.protocol.panel_session import PanelSession
from ctrl_alt_play.protocol.specification import Limits


@pytest.fixture
def panel() -> PanelSession:
    return PanelSession("node", SystemClock())


def told(panel: PanelSession, message: dict[str, Any]) -> Any:
    received = panel.receive(json.dumps(message))
    assert received.replies == ()
    assert received.told is not None
    return received.told.content


@pytest.mark.parametrize(("field", "value"), [("pid", ""), ("exitCode", "none"), ("forced", 7), ("error", ["x"])])
def test_an_odd_optional_field_costs_only_itself(panel: PanelSession, field: str, value: object) -> None:
    data = {"serverId": "one", "currentStatus": "running", field: value}
    change = told(panel, {"type": "event", "event": "server_status_changed", "data": data})
    assert change.word == "running"
    assert change.pid is None


def test_odd_figures_leave_the_status(panel: PanelSession) -> None:
    stats = {"cpu": "3", "memory": 1.5, "players": {"online": 3}, "network": []}
    status = told(panel, {"type": "server_status", "data": {"serverId": "one", "status": "running", "stats": stats}})
    assert (status.status, status.stats.cpu, status.stats.memory) == ("running", 3.0, None)


def test_an_unknown_stream_is_read_as_output(panel: PanelSession) -> None:
    data = {"serverId": "one", "output": "hello", "stream": "console"}
    assert told(panel, {"type": "server_output", "data": data}).stream == "stdout"


def test_a_response_with_an_odd_error_still_answers(panel: PanelSession) -> None:
    panel.command("c1", Action.START_SERVER, "one", None, 5)
    received = panel.receive(json.dumps({"id": "c1", "type": "response", "success": False, "error": "boom"}))
    assert received.answered is not None
    assert isinstance(received.answered.answer, Response)
    assert received.answered.answer.error is None


def test_an_unknown_type_is_ignored_whatever_it_carries(panel: PanelSession) -> None:
    agent = AgentSession("node", SystemClock(), Answers())
    for session in (panel, agent):
        assert session.receive(json.dumps({"type": "future", "data": [1]})).replies == ()
        assert session.counts["unknown"] == 1


@pytest.mark.parametrize(
    "message",
    [
        {"type": "error"},
        {"type": "error", "data": "x"},
        {"type": "error", "messageId": [1], "timestamp": {}, "data": []},
    ],
)
def test_an_error_is_never_answered_by_an_error(panel: PanelSession, message: dict[str, Any]) -> None:
    agent = AgentSession("node", SystemClock(), Answers())
    assert panel.receive(json.dumps(message)).replies == ()
    assert agent.receive(json.dumps(message)).replies == ()


def test_a_weight_of_nothing_is_no_weight() -> None:
    assert Limits.model_validate({"io": 0}).io is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", "null", '"text"', "NaN", '{"type": 5}x', "{}", '{"type": null}', '{"type": ""}']
)
@pytest.mark.parametrize("as_bytes", [True, False])
def test_what_is_no_message_is_answered_by_an_error_and_counted(
    agent: AgentSession, panel: PanelSession, text: str, as_bytes: bool
) -> None:
    for session in (agent, panel):
        received = session.receive(text.encode() if as_bytes else text)
        (reply,) = received.replies
        assert json.loads(reply)["type"] == "error"
        assert json.loads(reply)["data"]["code"] == "INVALID_MESSAGE"
        assert session.counts == {"received": 1, "invalid": 1}


def test_bytes_that_are_no_text_are_no_message(agent: AgentSession, panel: PanelSession) -> None:
    for session in (agent, panel):
        assert len(session.receive(b'{"type": "heartbeat\xff"}').replies) == 1


@pytest.mark.parametrize(
    "timestamp",
    [None, "2026-11-20T11:10:46.579382404Z", "2026-11-20", "yesterday", 1732100000, {}, "0001-01-01T00:00:00+23:59"],
)
def test_any_timestamp_or_none_will_do(agent: AgentSession, panel: PanelSession, timestamp: object) -> None:
    assert taken(agent, command(timestamp=timestamp)).id == "c1"
    told = panel.receive(
        frame(type="heartbeat", timestamp=timestamp, data={"nodeId": "n", "timestamp": timestamp})
    ).told
    assert told is not None


def test_nanoseconds_are_read_as_far_as_python_goes() -> None:
    message = parse(frame(type="heartbeat", timestamp="2026-11-20T11:10:46.579382404Z"))
    assert message.timestamp == datetime(2026, 11, 20, 11, 10, 46, 579382, UTC)


def test_what_is_required_is_told_apart_from_what_may_be_left_out(panel: PanelSession) -> None:
    data = {"serverId": "../etc", "currentStatus": "running", "pid": "none"}
    received = panel.receive(json.dumps({"type": "event", "event": "server_status_changed", "data": data}))
    assert received.told is None
    (error,) = (json.loads(reply)["data"] for reply in received.replies)
    assert error["message"].startswith("Invalid: serverId: String should match pattern")
    assert "pid" not in error["message"]
