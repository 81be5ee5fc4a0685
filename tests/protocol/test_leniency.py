"""What is not as it should be, and what of it is still true."""

import json
from typing import Any

import pytest

from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.protocol.agent_session import AgentSession, Answers
from ctrl_alt_play.protocol.contents import Action
from ctrl_alt_play.protocol.messages import Response
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
