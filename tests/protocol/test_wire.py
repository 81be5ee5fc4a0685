"""What is sent: the exact shape."""

import json
from datetime import UTC, datetime

import pytest
from tests.fakes.clock import NOON
from tests.protocol.support import NOW, ask, command, refused, taken

from ctrl_alt_play.protocol.agent_session import AgentSession
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
from ctrl_alt_play.protocol.messages import Legacy, encode, stamp
from ctrl_alt_play.protocol.panel_session import PanelSession


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
