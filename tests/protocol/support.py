"""Frames as the other side writes them, and what a session makes of them."""

import json
from typing import Any

from ctrl_alt_play.protocol.agent_session import AgentSession, Request
from ctrl_alt_play.protocol.contents import Action
from ctrl_alt_play.protocol.panel_session import PanelSession

NOW = "2026-11-20T12:00:00.000Z"


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


def ask(panel: PanelSession, id_: str = "q1", timeout_s: float = 5) -> str:
    return panel.command(id_, Action.START_SERVER, "one", None, timeout_s)


def response(id_: str = "q1", **fields: Any) -> str:
    return frame(**{"type": "response", "id": id_, "success": True} | fields)
