"""Every example of part 1, through the session that it is for."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.clock import HeldClock
from tests.fakes.part1 import FILE, Example, examples, is_within

from ctrl_alt_play.protocol.agent_session import AgentSession, Answers, Received, Request
from ctrl_alt_play.protocol.contents import (
    Action,
    FileContent,
    LegacyRequest,
    ServerOutput,
    ServerStatus,
    StatusReport,
    SystemInfo,
)
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.panel_session import PanelSession
from ctrl_alt_play.protocol.specification import Model

TO_AGENT, TO_PANEL = "panel->agent", "agent->panel"


def names(found: list[Example]) -> list[str]:
    return [example["name"] for example in found]


@pytest.mark.parametrize("example", examples(TO_AGENT), ids=names(examples(TO_AGENT)))
def test_an_agent_answers_as_expected(example: Example) -> None:
    session = AgentSession("node-1", HeldClock(), Answers())
    received = session.receive(json.dumps(example["message"]))
    frames = [json.loads(frame) for frame in answers(session, received, example["message"])]
    for expected in example["expect"]:
        assert any(is_within(expected, frame) for frame in frames), (expected, frames)
    responses = [frame for frame in frames if frame["type"] == "response"]
    assert len(responses) == ("id" in example["message"])


def answers(session: AgentSession, received: Received, message: dict[str, Any]) -> list[str]:
    """What an agent would answer by the session's means."""
    request = received.request
    if request is None:
        return list(received.replies)
    if request.server_id == "nobody":
        code = ErrorCode.SERVER_NOT_FOUND if request.is_legacy else ErrorCode.CONTAINER_NOT_FOUND
        fault = Fault(code, "No such server.")
        return [session.error(fault, request.message_id) if request.is_legacy else session.refuse(request, fault)]
    if request.is_legacy:
        kind, content = legacy_answer(request, message)
        return [session.legacy(kind, content, request.message_id)]
    if request.verb is Action.GET_STATUS:
        report = StatusReport(server_id=request.server_id, status="running")
        return [session.respond(request, "here", {}), session.event("server_status", report)]
    return [session.accept(request)]


def legacy_answer(request: Request, message: dict[str, Any]) -> tuple[str, Model]:
    match request.verb:
        case LegacyRequest.SYSTEM_INFO:
            return "system_info", SystemInfo(node_id="node-1")
        case LegacyRequest.FILE_READ | LegacyRequest.FILE_WRITE:
            path = message["data"]["path"]
            return "file_content", FileContent(server_id=server_of(request), path=path, content="motd=hi\n")
        case Action.SEND_COMMAND:
            return "server_output", ServerOutput(server_id=request.server_id, output="hello")
        case _:
            words = {
                "create": "created",
                "start": "running",
                "stop": "stopped",
                "restart": "running",
                "delete": "deleted",
            }
            status = words[str(request.verb).partition("_")[0]]
            return "server_status", ServerStatus(server_id=request.server_id, status=status)


def server_of(request: Request) -> str:
    """Every request names its server."""
    assert request.server_id
    return request.server_id


@pytest.mark.parametrize("example", examples(TO_PANEL), ids=names(examples(TO_PANEL)))
def test_a_panel_understands(example: Example) -> None:
    session = PanelSession("node-1", HeldClock())
    received = session.receive(json.dumps(example["message"]))
    assert received.replies == ()
    if example["message"]["type"] == "response":
        assert received.told is None
        assert received.answered is None
        assert session.counts["unmatched"] == 1
        return
    assert received.told is not None
    assert received.told.kind == (example["message"].get("event") or example["message"]["type"])
    told = received.told.content.model_dump(by_alias=True, exclude_none=True, mode="json")
    timeless = {
        key: value for key, value in example["message"]["data"].items() if key not in {"timestamp", "code", "stats"}
    }
    assert is_within(timeless, told)


def test_an_unknown_error_code_of_an_old_agent_is_internal() -> None:
    session = PanelSession("node-1", HeldClock())
    (example,) = [each for each in examples(TO_PANEL) if each["name"] == "legacy error"]
    told = session.receive(json.dumps(example["message"])).told
    assert told is not None
    assert told.content.model_dump()["code"] is ErrorCode.INTERNAL


def test_the_examples_are_part_of_the_project() -> None:
    assert FILE.is_relative_to(Path(__file__).parents[1])
    assert len(examples(TO_AGENT)) + len(examples(TO_PANEL)) == len(FILE.read_text().splitlines())
