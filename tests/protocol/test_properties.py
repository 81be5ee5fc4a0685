"""Whatever arrives, in whatever order: no session raises, and what it sends the other side can read."""

import json
from contextlib import suppress
from datetime import datetime
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.fakes.clock import HeldClock

from ctrl_alt_play.protocol.agent_session import AgentSession, Answers
from ctrl_alt_play.protocol.contents import EVENTS, TO_AGENT, TO_PANEL, Action, ServerState, StopPayload
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import parse
from ctrl_alt_play.protocol.panel_session import PanelSession
from ctrl_alt_play.protocol.part2 import CrashCause, ProtocolRange, Welcome

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ranges = st.fixed_dictionaries({}, optional=dict.fromkeys(("version", "minimum"), st.integers(-1, 9) | anything))
times = st.datetimes().map(datetime.isoformat) | anything
snapshots = st.fixed_dictionaries(
    {"serverId": st.just("one") | anything, "observed": st.sampled_from(list(ServerState)) | anything},
    optional=dict.fromkeys(("revision", "desired", "ready", "hold", "pid", "crashes", "operation"), anything)
    | {"since": times, "restartAt": times},
)
part_2 = {
    "protocol": ranges | anything,
    "clock": times,
    "ackedSeq": st.integers(-1, 9) | anything,
    "heartbeatInterval": st.floats() | anything,
    "servers": st.lists(snapshots | anything, max_size=3) | anything,
    "orphans": st.lists(anything, max_size=2) | anything,
    "seq": st.integers(-1, 9) | anything,
    "commandId": st.sampled_from(["a", "b"]) | anything,
    "action": st.sampled_from(list(Action)) | anything,
    "currentStatus": st.sampled_from(list(ServerState)) | anything,
    "cause": st.sampled_from(list(CrashCause)) | anything,
    "crashedAt": times,
} | dict.fromkeys(
    (
        "success",
        "error",
        "result",
        "lastLines",
        "changes",
        "uptime",
        "phase",
        "percent",
        "part",
        "more",
        "spoolId",
        "code",
    ),
    anything,
)
specifications = st.fixed_dictionaries(
    {"image": st.just("game") | anything},
    optional={
        "serverId": st.just("one") | anything,
        "startup": st.text(max_size=20) | anything,
        "environment": st.dictionaries(st.text(max_size=4), scalars, max_size=3) | anything,
        "limits": st.fixed_dictionaries({}, optional=dict.fromkeys(("memory", "swap", "io", "cpu"), scalars))
        | anything,
        "ports": st.lists(st.fixed_dictionaries({"internal": st.integers(-1, 70000), "external": scalars}), max_size=2)
        | anything,
        "stop": st.fixed_dictionaries({}, optional=dict.fromkeys(("signal", "timeout", "command"), scalars)) | anything,
        "readiness": st.fixed_dictionaries(
            {},
            optional={
                "text": st.lists(st.text(max_size=4) | st.just("regex:("), max_size=2) | anything,
                "probe": anything,
            },
        )
        | anything,
        "crash": st.fixed_dictionaries({}, optional={"backoff": st.lists(st.floats(), max_size=3), "limit": scalars})
        | anything,
        "revision": scalars,
        "hold": st.sampled_from(["none", "suspended"]) | anything,
    },
)
kinds = st.sampled_from(["command", "response", "event", *TO_AGENT, *TO_PANEL]) | anything
fields = st.fixed_dictionaries(
    {"type": kinds},
    optional={
        "id": st.sampled_from(["a", "b", ""]) | anything,
        "action": st.sampled_from(list(Action)) | anything,
        "event": st.sampled_from(list(EVENTS)) | anything,
        "seq": st.integers(min_value=-1, max_value=9) | anything,
        "missing": st.integers(min_value=-1, max_value=9) | anything,
        "serverId": st.sampled_from(["one", "two"]) | anything,
        "messageId": st.sampled_from(["m1", "a"]) | anything,
        "timestamp": anything,
        "success": st.booleans() | anything,
        "error": anything,
        "payload": st.fixed_dictionaries(
            {},
            optional=dict.fromkeys(
                (
                    *("image", "signal", "timeout", "ports", "limits", "environment", "line", "stop", "commandId"),
                    *("readiness", "crash", "hold", "revision", "specification"),
                ),
                anything,
            ),
        )
        | anything,
        "data": st.fixed_dictionaries(
            {},
            optional={"serverId": st.just("one") | anything}
            | dict.fromkeys(("status", "path", "content", "stats", "image"), anything)
            | part_2,
        )
        | anything,
    },
)
creations = st.one_of(
    specifications.map(lambda data: {"type": "server_create", "data": data}),
    st.builds(
        lambda id_, action, payload: {
            "type": "command",
            "id": id_,
            "action": action,
            "serverId": "one",
            "payload": payload,
        },
        st.sampled_from("abc"),
        st.sampled_from([Action.CREATE_SERVER, Action.UPDATE_SERVER]),
        specifications,
    ),
    specifications.map(
        lambda it: {
            "type": "command",
            "id": "d",
            "action": "adopt_server",
            "serverId": "one",
            "payload": {"specification": it},
        }
    ),
)
frames = st.one_of(
    st.text(),
    st.binary(),
    anything.map(json.dumps),
    creations.map(json.dumps),
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


def speaking(version: int) -> tuple[AgentSession, PanelSession]:
    """The two ends of a connection that have agreed on a version, and have said nothing else."""
    agent, panel = AgentSession("node-1", HeldClock(), Answers()), PanelSession("node-1", HeldClock())
    if version > 1:
        agreed = ProtocolRange(version=panel.agree(ProtocolRange(version=version)))
        agent.receive(panel.legacy("welcome", Welcome(protocol=agreed)))
    assert (agent.version, panel.version) == (version, version)
    return agent, panel


@settings(max_examples=400, deadline=None)
@given(frame=frames, version=st.sampled_from([1, 2]))
def test_no_frame_is_too_much_for_an_agent(frame: str | bytes, version: int) -> None:
    agent, panel = speaking(version)
    received = agent.receive(frame)
    assert len(received.replies) + (received.request is not None) + (received.told is not None) <= 1
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
@given(frame=frames, version=st.sampled_from([1, 2]))
def test_no_frame_is_too_much_for_a_panel(frame: str | bytes, version: int) -> None:
    agent, panel = speaking(version)
    for reply in panel.receive(frame).replies:
        read_by(agent, reply)


@settings(max_examples=400, deadline=None)
@given(
    name=st.sampled_from(list(EVENTS)) | st.text(max_size=20),
    data=st.fixed_dictionaries({}, optional=part_2),
    seq=st.integers(1, 9),
)
def test_a_durable_event_always_reaches_whoever_acknowledges_it(name: str, data: dict[str, Any], seq: int) -> None:
    """Were it refused, the agent would send it for ever, and nothing after it."""
    _, panel = speaking(2)
    frame = json.dumps({"type": "event", "event": name, "data": data, "seq": seq})
    assume("NaN" not in frame and "Infinity" not in frame)
    received = panel.receive(frame)
    assert received.told is not None
    assert received.told.seq == seq
    assert received.replies == ()


@settings(max_examples=200, deadline=None)
@given(offered=ranges)
def test_whatever_range_is_offered_both_ends_come_to_the_same(offered: dict[str, Any]) -> None:
    agent, panel = AgentSession("node-1", HeldClock(), Answers()), PanelSession("node-1", HeldClock())
    range_ = ProtocolRange.model_validate(offered)
    received = agent.receive(panel.legacy("welcome", Welcome(protocol=range_)))
    try:
        version = panel.agree(range_)
    except Fault:
        assert received.told is None
        assert agent.refusal is not None
    else:
        assert agent.version == version
        assert isinstance(received.told, Welcome)


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


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.just("frame"), frames)
        | st.tuples(st.sampled_from(["ask", "forget", "answer"]), st.sampled_from("abcd"))
        | st.tuples(st.sampled_from(["wait", "excuse"]), st.integers(0, 100))
        | st.tuples(st.just("agree"), st.integers(0, 9)),
        max_size=20,
    )
)
def test_whatever_happens_in_whatever_order_is_no_more_than_a_fault_to_a_panel(steps: list[tuple[str, Any]]) -> None:
    clock = HeldClock()
    panel, agent = PanelSession("node-1", clock), AgentSession("node-1", clock, Answers())
    asked: set[str] = set()
    for step, what in steps:
        match step:
            case "frame" | "answer":
                text = json.dumps({"type": "response", "id": what, "success": True}) if step == "answer" else what
                received = panel.receive(text)
                assert received.answered is None or received.told is None
                assert panel.version > 1 or received.answered is None or received.answered.id in asked
                assert panel.silent_s == 0
                for reply in received.replies:
                    read_by(agent, reply)
            case "ask":
                asked.add(what)
                read_by(agent, panel.command(what, Action.STOP_SERVER, "one", StopPayload(), timeout_s=10))
            case "forget":
                panel.forget(what)
            case "wait":
                clock.advance(what)
                assert set(panel.overdue()) <= asked
            case "excuse":
                panel.excuse(what)
            case _:
                with suppress(Fault):
                    panel.agree(ProtocolRange(version=what, minimum=what))
        assert panel.is_silent in (True, False)
        assert (panel.next_deadline_s() or 0) <= 10
    assert set(panel.abandon()) <= asked
    assert panel.next_deadline_s() is None


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(frames, st.sampled_from(["accept", "refuse", "respond", "leave"])), max_size=20))
def test_whatever_happens_in_whatever_order_an_agent_keeps_on(steps: list[tuple[str | bytes, str]]) -> None:
    """Over several connections, each of which leaves something open."""
    clock, answers = HeldClock(), Answers()
    panel = PanelSession("node-1", clock)
    agent = AgentSession("node-1", clock, answers)
    for frame, how in steps:
        received = agent.receive(frame)
        request = received.request
        said = list(received.replies)
        if how == "leave":
            agent = AgentSession("node-1", clock, answers)
        elif request is None or request.is_legacy:
            said.append(agent.heartbeat())
        elif how == "accept" and request.verb is not Action.GET_STATUS:
            said.append(agent.accept(request))
        elif how == "respond":
            said.append(agent.respond(request, "done", {}))
        else:
            said.append(agent.refuse(request, Fault(ErrorCode.INTERNAL, "No.")))
        for text in said:
            read_by(panel, text)
        assert agent.version in (1, 2)
        clock.advance(1)
