"""Sessions with a clock that is held: correlation, deadlines, heartbeats, and what each is strict or lenient about."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.fakes.clock import NOON, HeldClock

from ctrl_alt_play.protocol.agent_session import ANSWERS_KEPT, AgentSession, Answers, Request
from ctrl_alt_play.protocol.contents import (
    Action,
    Disk,
    FileContent,
    LinePayload,
    Memory,
    Outcome,
    Resources,
    ServerOutput,
    ServerState,
    StatusChanged,
    StatusReport,
    StopPayload,
    SystemInfo,
    Traffic,
)
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import Legacy, Response, encode, parse, stamp
from ctrl_alt_play.protocol.panel_session import MOST_OPEN, Answered, PanelSession
from ctrl_alt_play.protocol.specification import Specification

NOW = "2026-11-20T12:00:00.000Z"


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def agent(clock: HeldClock) -> AgentSession:
    return AgentSession("node-1", clock, Answers())


@pytest.fixture
def panel(clock: HeldClock) -> PanelSession:
    return PanelSession("node-1", clock)


def frame(**fields: Any) -> str:
    return json.dumps(fields)


def command(**fields: Any) -> str:
    return frame(**{"type": "command", "id": "c1", "action": "start_server", "serverId": "one"} | fields)


def taken(session: AgentSession, text: str) -> Request:
    request = session.receive(text).request
    assert request is not None
    return request


def refused(session: AgentSession, text: str) -> dict[str, Any]:
    received = session.receive(text)
    assert received.request is None
    (reply,) = received.replies
    found: dict[str, Any] = json.loads(reply)
    return found


# The agent's half: what it takes


def test_a_command_is_one_request(agent: AgentSession) -> None:
    request = taken(
        agent, command(action="stop_server", payload={"signal": "int", "timeout": 5}, agentId="node-1", more=1)
    )
    assert request == Request(Action.STOP_SERVER, "one", StopPayload(signal="SIGINT", timeout=5), id="c1")
    assert not request.is_legacy


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"action": "fly"}, "UNKNOWN_ACTION"),
        ({"serverId": "../etc"}, "INVALID_PAYLOAD"),
        ({"serverId": "one\n"}, "INVALID_PAYLOAD"),
        ({"serverId": None}, "INVALID_PAYLOAD"),
        ({"serverId": "x" * 65}, "INVALID_PAYLOAD"),
        ({"action": "stop_server", "payload": {"signal": "SIGNONSENSE"}}, "INVALID_PAYLOAD"),
        ({"action": "stop_server", "payload": {"signal": "9"}}, "INVALID_PAYLOAD"),
        ({"action": "stop_server", "payload": {"timeout": -1}}, "INVALID_PAYLOAD"),
        ({"action": "stop_server", "payload": {"timeout": "soon"}}, "INVALID_PAYLOAD"),
        ({"action": "create_server"}, "INVALID_PAYLOAD"),
        ({"action": "send_command", "payload": {"line": "two\nlines"}}, "INVALID_PAYLOAD"),
        ({"payload": []}, "INVALID_MESSAGE"),
        ({"payload": "text"}, "INVALID_MESSAGE"),
        ({"action": None}, "INVALID_MESSAGE"),
        ({"serverId": {}}, "INVALID_MESSAGE"),
        ({"agentId": []}, "INVALID_MESSAGE"),
    ],
)
def test_whatever_is_wrong_with_a_command_its_id_gets_a_response(
    agent: AgentSession, fields: dict[str, Any], code: str
) -> None:
    response = refused(agent, command(**fields))
    assert (response["type"], response["id"], response["success"]) == ("response", "c1", False)
    assert response["error"]["code"] == code
    assert response["error"]["message"] == response["message"]
    assert refused(agent, command(**fields)) == response


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


@pytest.mark.parametrize("id_", [None, "", "x" * 257, [], {}])
def test_a_command_without_a_usable_id_gets_an_error(agent: AgentSession, id_: object) -> None:
    assert refused(agent, command(id=id_))["type"] == "error"


def test_bytes_that_are_no_text_are_no_message(agent: AgentSession, panel: PanelSession) -> None:
    for session in (agent, panel):
        assert len(session.receive(b'{"type": "heartbeat\xff"}').replies) == 1


@pytest.mark.parametrize("kind", ["response", "event", "from_the_future", "something_new"])
def test_what_an_agent_does_not_know_is_counted_and_ignored(agent: AgentSession, kind: str) -> None:
    received = agent.receive(frame(type=kind, id="x", success=True, event="e", data={}))
    assert (received.request, received.replies) == (None, ())
    assert agent.counts["unknown"] == 1


@pytest.mark.parametrize("kind", ["command", "something_new", "system_info_request"])
def test_what_a_panel_does_not_know_is_counted_and_ignored(panel: PanelSession, kind: str) -> None:
    received = panel.receive(frame(type=kind, id="x", action="start_server"))
    assert (received.told, received.answered, received.replies) == (None, None, ())
    assert panel.counts["unknown"] == 1
    panel.receive(frame(type="event", event="something_new", data={}))
    assert panel.counts["unknown"] == 2


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


def test_a_legacy_request_keeps_the_id_its_reply_repeats(agent: AgentSession) -> None:
    request = taken(agent, frame(type="server_stop", messageId="m1", data={"serverId": "one"}))
    assert request == Request(Action.STOP_SERVER, "one", StopPayload(), message_id="m1")
    wrong = refused(agent, frame(type="server_stop", messageId="m2", data={}))
    assert (wrong["type"], wrong["messageId"], wrong["data"]["code"]) == ("error", "m2", "INVALID_PAYLOAD")


def test_a_legacy_creation_is_the_same_request_as_the_command(agent: AgentSession) -> None:
    specification = {
        "image": "game",
        "ports": [{"internal": 1, "external": 2}],
        "environment": {"A": 1, "B": None, "C": True},
    }
    legacy = taken(agent, frame(type="server_create", data={"serverId": "one", **specification}))
    command_ = taken(agent, command(action="create_server", payload=specification))
    assert legacy.content == command_.content
    assert legacy.content.model_dump()["environment"] == {"A": "1", "B": "", "C": "true"}


# Exactly one response


def test_a_command_repeated_gets_its_answer_again_and_is_not_done_again(agent: AgentSession) -> None:
    answer = agent.accept(taken(agent, command()))
    again = agent.receive(command())
    assert (again.request, again.replies) == (None, (answer,))
    assert agent.counts["duplicate"] == 1


def test_a_command_repeated_before_its_answer_is_answered_once(agent: AgentSession) -> None:
    request = taken(agent, command())
    again = agent.receive(command())
    assert (again.request, again.replies) == (None, ())
    agent.accept(request)


def test_a_command_repeated_on_another_connection_gets_the_same_answer(clock: HeldClock) -> None:
    answers = Answers()
    first = AgentSession("node-1", clock, answers)
    answer = first.accept(taken(first, command()))
    second = AgentSession("node-1", clock, answers)
    assert second.receive(command()).replies == (answer,)


def test_a_command_that_was_never_answered_is_new_on_the_next_connection(clock: HeldClock) -> None:
    answers = Answers()
    taken(AgentSession("node-1", clock, answers), command())
    assert taken(AgentSession("node-1", clock, answers), command()).id == "c1"


def test_answers_have_a_bound(agent: AgentSession) -> None:
    for number in range(ANSWERS_KEPT + 1):
        agent.refuse(taken(agent, command(id=f"c{number}")), Fault(ErrorCode.INVALID_STATE, "No."))
    assert agent.receive(command(id="c1")).replies
    assert agent.receive(command(id="c0")).request is not None


def test_a_legacy_request_cannot_be_answered_by_a_response(agent: AgentSession) -> None:
    request = taken(agent, frame(type="server_start", data={"serverId": "one"}))
    with pytest.raises(ValueError, match="legacy"):
        agent.refuse(request, Fault(ErrorCode.INTERNAL, "no"))


# Heartbeats and silence


def test_a_heartbeat_is_due_every_thirty_seconds(agent: AgentSession, clock: HeldClock) -> None:
    assert agent.heartbeat_in_s() == 30
    clock.advance(29)
    assert agent.heartbeat_in_s() == 1
    clock.advance(10)
    assert agent.heartbeat_in_s() == 0
    agent.heartbeat()
    assert agent.heartbeat_in_s() == 30


def test_a_panel_counts_a_node_as_away_after_ninety_silent_seconds(panel: PanelSession, clock: HeldClock) -> None:
    clock.advance(90)
    assert not panel.is_silent
    clock.advance(0.1)
    assert panel.is_silent
    panel.receive("any frame at all")
    assert (panel.is_silent, panel.silent_s) == (False, 0)


# The panel's half: questions


def ask(panel: PanelSession, id_: str = "q1", timeout_s: float = 5) -> str:
    return panel.command(id_, Action.START_SERVER, "one", None, timeout_s)


def response(id_: str = "q1", **fields: Any) -> str:
    return frame(**{"type": "response", "id": id_, "success": True} | fields)


def test_an_answer_finds_its_question_and_only_once(panel: PanelSession) -> None:
    ask(panel, "q1")
    ask(panel, "q2")
    answered = panel.receive(response("q2", message="done")).answered
    assert isinstance(answered, Answered)
    assert answered.id == "q2"
    assert isinstance(answered.answer, Response)
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


def test_a_legacy_reply_is_an_answer_and_news(panel: PanelSession) -> None:
    ask(panel, "m1")
    received = panel.receive(frame(type="server_status", messageId="m1", data={"serverId": "one", "status": "running"}))
    assert received.answered is not None
    assert received.told is not None
    assert received.answered.answer is received.told.content


def test_an_unknown_error_code_in_a_response_is_internal(panel: PanelSession) -> None:
    ask(panel)
    answered = panel.receive(response(success=False, error={"code": "NEW_ONE", "message": "?"})).answered
    assert answered is not None
    assert isinstance(answered.answer, Response)
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


# What is sent: the exact shape


def test_a_command_on_the_wire(panel: PanelSession) -> None:
    text = panel.command("q1", Action.STOP_SERVER, "one", StopPayload(signal="SIGINT"), 5)
    assert json.loads(text) == {
        "id": "q1", "type": "command", "timestamp": NOW, "agentId": "node-1", "action": "stop_server", "serverId": "one",
        "payload": {"signal": "SIGINT"},
    }  # fmt: skip
    assert "payload" not in json.loads(ask(panel, "q2"))


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("create_server", "creating"), ("start_server", "starting"), ("stop_server", "stopping"), ("restart_server", "restarting"),
        ("kill_server", "stopping"), ("delete_server", "deleting"),
    ],
)  # fmt: skip
def test_an_acceptance_on_the_wire(agent: AgentSession, action: str, status: str) -> None:
    text = agent.accept(taken(agent, command(action=action, payload={"image": "game"})))
    assert json.loads(text) == {
        "id": "c1", "type": "response", "timestamp": NOW, "success": True, "message": f"{action} command received",
        "data": {"serverId": "one", "status": status},
    }  # fmt: skip


def test_a_refusal_on_the_wire(agent: AgentSession) -> None:
    assert refused(agent, command(action="fly")) == {
        "id": "c1", "type": "response", "timestamp": NOW, "success": False, "message": "Unknown action: fly",
        "error": {"code": "UNKNOWN_ACTION", "message": "Unknown action: fly"},
    }  # fmt: skip


def test_a_heartbeat_on_the_wire(agent: AgentSession) -> None:
    data = {"nodeId": "node-1", "timestamp": "2026-11-20T12:00:00Z", "status": "online"}
    assert json.loads(agent.heartbeat()) == {"type": "heartbeat", "timestamp": NOW, "data": data}


def test_events_on_the_wire(agent: AgentSession) -> None:
    running = StatusChanged(
        server_id="one", previous_status=ServerState.STOPPED, current_status=ServerState.RUNNING, pid=1234
    )
    assert json.loads(agent.event("server_status_changed", running)) == {
        "type": "event", "timestamp": NOW, "event": "server_status_changed",
        "data": {"serverId": "one", "previousStatus": "stopped", "currentStatus": "running", "pid": 1234},
    }  # fmt: skip
    failed = StatusChanged(server_id="one", status=Outcome.START_FAILED, error="no such image")
    assert json.loads(agent.event("server_status_changed", failed))["data"] == {
        "serverId": "one", "status": "start_failed", "error": "no such image",
    }  # fmt: skip
    resources = Resources(
        cpu=45.2, memory=Memory(used="512m", used_bytes=1, limit_bytes=2, percentage=50.0), disk=Disk(used_bytes=3), network=Traffic(rx=4, tx=5)
    )  # fmt: skip
    status = StatusReport(server_id="one", status="running", container_id="4cd1", uptime=3600.5, resources=resources)
    assert json.loads(agent.event("server_status", status))["data"] == {
        "serverId": "one", "status": "running", "containerId": "4cd1", "uptime": 3600.5,
        "resources": {
            "cpu": 45.2, "memory": {"used": "512m", "usedBytes": 1, "limitBytes": 2, "percentage": 50.0}, "disk": {"usedBytes": 3},
            "network": {"rx": 4, "tx": 5},
        },
    }  # fmt: skip


def test_legacy_messages_on_the_wire(agent: AgentSession) -> None:
    output = ServerOutput(server_id="one", output="Done!", stream="stderr", timestamp=NOON)
    assert json.loads(agent.legacy("server_output", output)) == {
        "type": "server_output", "timestamp": NOW,
        "data": {"serverId": "one", "output": "Done!", "stream": "stderr", "timestamp": "2026-11-20T12:00:00Z"},
    }  # fmt: skip
    content = FileContent(server_id="one", path="a", content="b")
    assert json.loads(agent.legacy("file_content", content, "m1")) == {
        "type": "file_content", "timestamp": NOW, "messageId": "m1", "data": {"serverId": "one", "path": "a", "content": "b"},
    }  # fmt: skip
    info = SystemInfo(
        node_id="node-1",
        os="linux",
        arch="amd64",
        memory=1,
        cpu="2 cores",
        docker_version="",
        capabilities=[],
        networks={},
    )
    assert json.loads(agent.legacy("system_info", info))["data"] == {
        "nodeId": "node-1", "os": "linux", "arch": "amd64", "memory": 1, "cpu": "2 cores", "dockerVersion": "", "capabilities": [],
        "networks": {},
    }  # fmt: skip
    fault = Fault(ErrorCode.INVALID_STATE, "No.", "because")
    assert json.loads(agent.error(fault, "m1")) == {
        "type": "error", "timestamp": NOW, "messageId": "m1", "data": {"code": "INVALID_STATE", "message": "No.", "details": "because"},
    }  # fmt: skip


def test_a_message_with_a_time_of_its_own_keeps_it() -> None:
    assert json.loads(encode(Legacy(type="x", timestamp=NOON), datetime.now(UTC)))["timestamp"] == NOW


def test_times_are_told_in_utc_with_z() -> None:
    assert stamp(datetime.fromisoformat("2026-11-20T14:00:00.123456+02:00")) == "2026-11-20T12:00:00.123Z"


def test_a_line_travels_as_it_is(agent: AgentSession, panel: PanelSession) -> None:
    line = LinePayload(line='say "hällo" \\ 世界 \t')
    request = taken(agent, panel.command("q1", Action.SEND_COMMAND, "one", line, 5))
    assert request.content == line


def test_a_command_that_no_agent_would_take_is_never_sent(panel: PanelSession) -> None:
    """Sent, it would end the connection, and sent again the next one."""
    huge = Specification(image="game", environment={f"V{number}": "x" * 65_500 for number in range(17)})
    with pytest.raises(Fault, match="too large") as refused:
        panel.command("c", Action.UPDATE_SERVER, "one", huge, 1)
    assert refused.value.code is ErrorCode.INVALID_PAYLOAD
    assert panel.next_deadline_s() is None
