"""Every example of part 2: read by the side that it is for, and written again by the other, byte for byte."""

import json
from typing import Any

import pytest
from tests.fakes.clock import NOON, HeldClock
from tests.fakes.transcript import DATA, text_of

from ctrl_alt_play.protocol.agent_session import AgentSession, Answers
from ctrl_alt_play.protocol.contents import EVENTS, PAYLOADS, QUESTIONS, TO_AGENT, TO_PANEL, Action, wire
from ctrl_alt_play.protocol.doctor import Examination
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.images import ImagePull, ImageRemoval, ImagesPruned, NodeImages
from ctrl_alt_play.protocol.live import ConsolePage, SearchPage
from ctrl_alt_play.protocol.messages import INCOMPATIBLE, Event, encode, parse, read
from ctrl_alt_play.protocol.panel_session import PanelSession
from ctrl_alt_play.protocol.part2 import Ack, ProtocolRange, ServerSnapshot, Welcome

Example = dict[str, Any]

EXAMPLES: list[Example] = [json.loads(line) for line in (DATA / "part2_messages.jsonl").read_text().splitlines()]
TO_AGENTS = [example for example in EXAMPLES if example["direction"] == "panel->agent"]
TO_PANELS = [example for example in EXAMPLES if example["direction"] == "agent->panel"]
COMMANDS = [example for example in TO_AGENTS if example["message"]["type"] == "command"]
WORDS = [example for example in TO_AGENTS if example not in COMMANDS]


def name_of(example: Example) -> str:
    return str(example["name"]).replace(" ", "-")


@pytest.fixture
def newcomer() -> AgentSession:
    """An agent that nobody has welcomed yet."""
    return AgentSession("node-1", HeldClock(), Answers())


@pytest.fixture
def agent(newcomer: AgentSession) -> AgentSession:
    newcomer.receive(text_of(WORDS[0]["message"]))
    return newcomer


@pytest.fixture
def panel() -> PanelSession:
    session = PanelSession("node-1", HeldClock())
    session.agree(ProtocolRange(version=2, minimum=1))
    return session


@pytest.mark.parametrize("example", COMMANDS, ids=name_of)
def test_a_command_goes_both_ways(agent: AgentSession, panel: PanelSession, example: Example) -> None:
    text = text_of(example["message"])
    request = agent.receive(text).request
    assert request is not None
    assert request.id is not None
    action = Action(request.verb)
    assert type(request.content) is PAYLOADS[action]
    assert panel.command(request.id, action, request.server_id, request.content, 10) == text
    expected = {**example["expect"][0], "timestamp": "2026-11-20T12:00:00.000Z"}
    asked = action in QUESTIONS
    response = agent.respond(request, expected["message"], expected["data"]) if asked else agent.accept(request)
    assert json.loads(response) == expected
    answered = panel.receive(response).answered
    assert answered is not None
    assert answered.id == request.id


@pytest.mark.parametrize("example", WORDS, ids=name_of)
def test_a_word_on_the_connection_goes_both_ways(agent: AgentSession, panel: PanelSession, example: Example) -> None:
    text = text_of(example["message"])
    received = agent.receive(text)
    assert received.request is None
    assert received.replies == ()
    assert isinstance(received.told, Welcome | Ack)
    assert panel.legacy(example["message"]["type"], received.told) == text


@pytest.mark.parametrize("example", TO_PANELS, ids=name_of)
def test_what_an_agent_tells_goes_both_ways(agent: AgentSession, panel: PanelSession, example: Example) -> None:
    text = text_of(example["message"])
    received = panel.receive(text)
    assert received.replies == ()
    told = received.told
    assert told is not None
    kind, seq = example["message"].get("event") or example["message"]["type"], example["message"].get("seq")
    assert (told.kind, told.seq, told.missing) == (kind, seq, example["message"].get("missing", 0))
    assert type(told.content) is {**TO_PANEL, **EVENTS}[kind]
    if seq is not None:
        assert told.raw == example["message"]["data"]
        missing = told.missing or None
        event = Event(event=kind, timestamp=told.at, data=wire(told.content), seq=seq, missing=missing)
        assert encode(event, NOON) == text
    elif example["message"]["type"] == "event":
        assert agent.event(kind, told.content) == text
    else:
        assert agent.legacy(kind, told.content) == text
    assert not panel.counts["invalid"] + panel.counts["unknown"]


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_an_envelope_loses_nothing(example: Example) -> None:
    assert json.loads(encode(parse(text_of(example["message"])), NOON)) == example["message"]


ANSWERS = {
    Action.CONSOLE_HISTORY: ConsolePage,
    Action.CONSOLE_ATTACH: ConsolePage,
    Action.CONSOLE_SEARCH: SearchPage,
    Action.EXAMINE_NODE: Examination,
    Action.LIST_IMAGES: NodeImages,
    Action.PULL_IMAGE: ImagePull,
    Action.REMOVE_IMAGE: ImageRemoval,
    Action.PRUNE_IMAGES: ImagesPruned,
}


@pytest.mark.parametrize("example", [each for each in COMMANDS if each["message"]["action"] in ANSWERS], ids=name_of)
def test_what_answers_a_question_can_be_read_and_written_again(example: Example) -> None:
    data = example["expect"][0]["data"]
    answer = read(ANSWERS[example["message"]["action"]], data)
    assert json.loads(answer.model_dump_json(by_alias=True, exclude_none=True, exclude_unset=True)) == data


def test_each_message_of_part_2_has_an_example() -> None:
    told = {example["message"].get("event") or example["message"]["type"] for example in TO_PANELS}
    assert told >= {"system_info", "state_snapshot", *EVENTS}
    assert {example["message"]["type"] for example in WORDS} == {"welcome", "ack"} <= set(TO_AGENT)
    asked = {example["message"]["action"] for example in COMMANDS}
    assert asked == {Action.CREATE_SERVER, Action.UPDATE_SERVER, Action.ADOPT_SERVER, Action.CANCEL, *QUESTIONS}


def test_the_first_snapshot_has_a_server_with_all_that_can_be_told() -> None:
    (snapshot,) = [each["message"]["data"] for each in TO_PANELS if each["name"] == "snapshot, the first part"]
    names = {name for server in snapshot["servers"] for name in server}
    assert names == {field.alias for field in ServerSnapshot.model_fields.values()}


def test_a_welcome_is_the_beginning_of_part_2(newcomer: AgentSession) -> None:
    ack, cancel = text_of(WORDS[-1]["message"]), text_of(COMMANDS[-1]["message"])
    assert newcomer.version == 1
    assert newcomer.receive(ack).told is None
    newcomer.receive(text_of(WORDS[0]["message"]))
    assert newcomer.version == 2
    assert newcomer.receive(ack).told is not None
    assert newcomer.receive(cancel).request is not None


def test_without_a_welcome_an_action_of_part_2_is_unknown(newcomer: AgentSession) -> None:
    (reply,) = newcomer.receive(text_of(COMMANDS[-1]["message"])).replies
    assert json.loads(reply)["error"] == {"code": "UNKNOWN_ACTION", "message": "Unknown action: cancel"}


@pytest.mark.parametrize("example", TO_PANELS, ids=name_of)
def test_without_an_agreement_nothing_is_durable(example: Example) -> None:
    panel = PanelSession("node-1", HeldClock())
    received = panel.receive(text_of(example["message"]))
    assert received.replies == ()
    known = {"system_info", "server_status", "server_status_changed"}
    kind = example["message"].get("event") or example["message"]["type"]
    assert (received.told is not None) == (kind in known)
    assert received.told is None or received.told.seq is None


@pytest.mark.parametrize(("version", "minimum", "spoken"), [(1, 1, 1), (2, 1, 2), (2, 2, 2), (9, 1, 2), (9, 2, 2)])
def test_the_highest_version_in_common_is_spoken(
    newcomer: AgentSession, panel: PanelSession, version: int, minimum: int, spoken: int
) -> None:
    offered = ProtocolRange(version=version, minimum=minimum)
    assert panel.agree(offered) == spoken
    newcomer.receive(panel.legacy("welcome", Welcome(protocol=offered)))
    assert newcomer.version == spoken


@pytest.mark.parametrize(("version", "minimum", "behind"), [(9, 3, "this"), (0, 0, "the other")])
def test_without_a_version_in_common_both_say_which_side_to_upgrade(
    newcomer: AgentSession, panel: PanelSession, version: int, minimum: int, behind: str
) -> None:
    offered = ProtocolRange(version=version, minimum=minimum)
    with pytest.raises(Fault, match=f"upgrade the {'panel' if behind == 'this' else 'agent'}") as refused:
        panel.agree(offered)
    assert "speaks 1 to 2" in refused.value.message
    received = newcomer.receive(panel.legacy("welcome", Welcome(protocol=offered)))
    assert received.told is None
    (reply,) = received.replies
    assert f"upgrade the {'agent' if behind == 'this' else 'panel'}" in json.loads(reply)["data"]["message"]
    assert newcomer.version == 1
    assert INCOMPATIBLE == 4406


@pytest.mark.parametrize("field", ["protocol", "ackedSeq", "heartbeatInterval"])
def test_a_welcome_that_cannot_be_read_is_another_panels_greeting(newcomer: AgentSession, field: str) -> None:
    """What has a default is not told; without a range nothing is agreed, and nothing is said about it."""
    message = json.loads(text_of(WORDS[0]["message"]))
    message["data"][field] = "x"
    received = newcomer.receive(text_of(message))
    assert received.replies == ()
    assert (received.told is None) == (field == "protocol")
    assert newcomer.version == (1 if field == "protocol" else 2)


@pytest.mark.parametrize("data", [{"commandId": 7}, {}, None, {"serverId": "../x", "currentStatus": "running"}])
def test_a_durable_event_that_cannot_be_read_has_its_number_still(panel: PanelSession, data: object) -> None:
    message = {"type": "event", "event": "command_completed", "data": data or {}, "seq": 7, "missing": 2}
    received = panel.receive(json.dumps(message))
    assert received.replies == ()
    assert received.told is not None
    assert (received.told.seq, received.told.missing) == (7, 2)
    assert panel.counts["invalid"] == 1


def test_a_durable_event_that_nobody_knows_has_its_number_still(panel: PanelSession) -> None:
    received = panel.receive(json.dumps({"type": "event", "event": "backup_completed", "data": {"a": 1}, "seq": 7}))
    assert received.told is not None
    assert (received.told.seq, received.told.raw) == (7, {"a": 1})
    assert panel.counts["unknown"] == 1


def test_a_late_response_counts_in_part_2_alone(panel: PanelSession) -> None:
    late = json.dumps({"type": "response", "id": "cmd_0", "success": True})
    assert panel.receive(late).answered is not None
    assert PanelSession("node-1", HeldClock()).receive(late).answered is None


def test_part_1_is_never_sent_what_only_part_2_knows() -> None:
    example = next(each for each in COMMANDS if each["message"]["action"] == "create_server")
    content = read(PAYLOADS[Action.CREATE_SERVER], example["message"]["payload"])
    text = PanelSession("node-1", HeldClock()).command("cmd_1", Action.CREATE_SERVER, "one", content, 10)
    assert json.loads(text)["payload"].keys() == {"image", "startup", "environment", "limits", "ports", "stop"}
