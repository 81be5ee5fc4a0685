"""Whatever arrives, in whatever order: no session raises, and what it sends the other side can read."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.clock import HeldClock

from ctrl_alt_play.protocol.agent_session import AgentSession, Answers
from ctrl_alt_play.protocol.contents import TO_AGENT, TO_PANEL, Action
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import parse
from ctrl_alt_play.protocol.panel_session import PanelSession

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
kinds = st.sampled_from(["command", "response", "event", *TO_AGENT, *TO_PANEL]) | anything
fields = st.fixed_dictionaries(
    {"type": kinds},
    optional={
        "id": st.sampled_from(["a", "b", ""]) | anything,
        "action": st.sampled_from(list(Action)) | anything,
        "event": st.sampled_from(["server_status", "server_status_changed"]) | anything,
        "serverId": st.sampled_from(["one", "two"]) | anything,
        "messageId": st.sampled_from(["m1", "a"]) | anything,
        "timestamp": anything,
        "success": st.booleans() | anything,
        "error": anything,
        "payload": st.fixed_dictionaries(
            {},
            optional=dict.fromkeys(
                ("image", "signal", "timeout", "ports", "limits", "environment", "line", "stop"), anything
            ),
        )
        | anything,
        "data": st.fixed_dictionaries(
            {},
            optional={"serverId": st.just("one") | anything}
            | dict.fromkeys(("status", "path", "content", "stats", "image"), anything),
        )
        | anything,
    },
)
frames = st.one_of(
    st.text(),
    st.binary(),
    anything.map(json.dumps),
    fields.map(json.dumps),
    fields.map(json.dumps),
    fields.map(lambda f: json.dumps(f).encode()),
)


def read_by(other: AgentSession | PanelSession, frame: str) -> None:
    """The other side reads it without finding fault."""
    json.loads(frame, parse_constant=_never)
    parse(frame)
    before = other.counts["invalid"]
    other.receive(frame)
    assert other.counts["invalid"] == before


def _never(constant: str) -> Any:
    raise AssertionError(f"{constant} is not JSON")


@settings(max_examples=400, deadline=None)
@given(frame=frames)
def test_no_frame_is_too_much_for_an_agent(frame: str | bytes) -> None:
    agent, panel = AgentSession("node-1", HeldClock(), Answers()), PanelSession("node-1", HeldClock())
    received = agent.receive(frame)
    assert len(received.replies) + (received.request is not None) <= 1
    for reply in received.replies:
        read_by(panel, reply)
    if received.request is None:
        return
    fault = Fault(ErrorCode.INVALID_STATE, "No.")
    if received.request.is_legacy:
        read_by(panel, agent.error(fault, received.request.message_id))
    else:
        read_by(panel, agent.refuse(received.request, fault))


@settings(max_examples=400, deadline=None)
@given(frame=frames)
def test_no_frame_is_too_much_for_a_panel(frame: str | bytes) -> None:
    agent, panel = AgentSession("node-1", HeldClock(), Answers()), PanelSession("node-1", HeldClock())
    for reply in panel.receive(frame).replies:
        read_by(agent, reply)


@settings(max_examples=200, deadline=None)
@given(st.lists(frames, max_size=12), st.lists(st.booleans(), min_size=12, max_size=12))
def test_every_id_has_one_answer_and_the_same_when_repeated(sent: list[str | bytes], accepts: list[bool]) -> None:
    agent = AgentSession("node-1", HeldClock(), Answers())
    answers: dict[str, str] = {}
    done: list[str] = []
    for frame, accepting in zip(sent, accepts, strict=False):
        received = agent.receive(frame)
        frames_ = list(received.replies)
        if received.request is not None and received.request.id is not None:
            assert received.request.id not in done
            done.append(received.request.id)
            fault = Fault(ErrorCode.INVALID_STATE, "No.")
            can_accept = accepting and received.request.verb is not Action.GET_STATUS
            frames_.append(agent.accept(received.request) if can_accept else agent.refuse(received.request, fault))
        for text in frames_:
            reply = json.loads(text)
            if reply["type"] == "response":
                assert answers.setdefault(reply["id"], text) == text


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["ask", "answer", "wait", "forget"]), st.sampled_from("abcd")), max_size=40))
def test_every_question_ends_exactly_once(steps: list[tuple[str, str]]) -> None:
    clock = HeldClock()
    panel = PanelSession("node-1", clock)
    asked: list[str] = []
    ended: list[str] = []
    for number, (step, name) in enumerate(steps):
        open_ = [id_ for id_ in asked if id_ not in ended]
        match step:
            case "ask":
                asked.append(f"{name}{number}")
                panel.command(asked[-1], Action.START_SERVER, "one", None, timeout_s=ord(name) - 96)
            case "answer":
                id_ = open_[0] if open_ else "nobody"
                answered = panel.receive(json.dumps({"type": "response", "id": id_, "success": True})).answered
                assert (answered is None) == (not open_)
                ended += [answered.id] if answered else []
            case "forget" if open_:
                panel.forget(open_[-1])
                ended.append(open_[-1])
            case _:
                clock.advance(1)
                ended += panel.overdue()
    ended += panel.abandon()
    assert sorted(ended) == sorted(asked)
