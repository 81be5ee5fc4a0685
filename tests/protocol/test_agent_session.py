"""The agent's half: which requests it takes, that each has exactly one response, and when a heartbeat is due."""

from typing import Any

import pytest
from tests.fakes.clock import HeldClock
from tests.protocol.support import command, frame, refused, taken

from ctrl_alt_play.protocol.agent_session import ANSWERS_KEPT, AgentSession, Answers, Request
from ctrl_alt_play.protocol.contents import Action, StopPayload
from ctrl_alt_play.protocol.errors import ErrorCode, Fault


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


@pytest.mark.parametrize("id_", [None, "", "x" * 257, [], {}])
def test_a_command_without_a_usable_id_gets_an_error(agent: AgentSession, id_: object) -> None:
    assert refused(agent, command(id=id_))["type"] == "error"


@pytest.mark.parametrize("kind", ["response", "event", "from_the_future", "something_new"])
def test_what_an_agent_does_not_know_is_counted_and_ignored(agent: AgentSession, kind: str) -> None:
    received = agent.receive(frame(type=kind, id="x", success=True, event="e", data={}))
    assert (received.request, received.replies) == (None, ())
    assert agent.counts["unknown"] == 1


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


def test_questions_are_asked_again_and_their_answers_not_remembered(clock: HeldClock) -> None:
    answers = Answers()
    agent = AgentSession("node-1", clock, answers)
    agent.receive(frame(type="welcome", data={"protocol": {"version": 2, "minimum": 1}, "ackedSeq": 0}))
    question = command(action="console_history", payload={"since": 0})
    for _ in range(2):
        agent.respond(taken(agent, question), "console_history command received", {"parts": ["x" * 65536]})
    assert "c1" not in answers
    assert agent.counts["duplicate"] == 0


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


def test_a_heartbeat_is_due_every_thirty_seconds(agent: AgentSession, clock: HeldClock) -> None:
    assert agent.heartbeat_in_s() == 30
    clock.advance(29)
    assert agent.heartbeat_in_s() == 1
    clock.advance(10)
    assert agent.heartbeat_in_s() == 0
    agent.heartbeat()
    assert agent.heartbeat_in_s() == 30
