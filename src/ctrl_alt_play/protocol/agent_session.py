"""The agent's half of a connection: requests come in, exactly one response goes out for each."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.protocol.contents import (
    ACCEPTED_STATUS,
    OF_NODE,
    PAYLOADS,
    QUESTIONS,
    TO_AGENT,
    Action,
    DeletePayload,
    FileRead,
    Heartbeat,
    LegacyRequest,
    LinePayload,
    Nothing,
    ServerCommand,
    ServerCreate,
    ServerReference,
    StopPayload,
    wire,
)
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import (
    HEARTBEAT_INTERVAL_S,
    OLDEST_VERSION,
    VERSION,
    Command,
    ErrorBody,
    Event,
    Legacy,
    Response,
    command_id,
    read,
)
from ctrl_alt_play.protocol.part2 import Ack, Welcome
from ctrl_alt_play.protocol.session import Session, incompatible
from ctrl_alt_play.protocol.specification import PART2_FIELDS, Model, ServerId, Specification, is_readable

ANSWERS_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Request:
    """One thing the panel wants, in whichever shape it came: a command has an `id`, a legacy message perhaps a `message_id`."""

    verb: Action | LegacyRequest
    server_id: str
    content: Model
    id: str | None = None
    message_id: str | None = None

    @property
    def is_legacy(self) -> bool:
        return self.id is None


@dataclass(frozen=True, slots=True)
class Received:
    """What a frame meant: a request to act on, or frames to send back at once, or a word on the connection itself, or nothing."""

    request: Request | None = None
    replies: tuple[str, ...] = ()
    told: Welcome | Ack | None = None


class Answers:
    """The responses given, by command id, over all connections of an agent; the oldest go first past `ANSWERS_KEPT`."""

    def __init__(self) -> None:
        self._frames: OrderedDict[str, str | None] = OrderedDict()

    def __contains__(self, command_id: str) -> bool:
        return command_id in self._frames

    def __getitem__(self, command_id: str) -> str | None:
        return self._frames[command_id]

    def expect(self, command_id: str) -> None:
        self._frames[command_id] = None
        if len(self._frames) > ANSWERS_KEPT:
            self._frames.popitem(last=False)

    def give(self, command_id: str, frame: str) -> None:
        """Nothing is remembered of what was not expected: questions, whose answers are large, and another one each time."""
        if command_id in self._frames:
            self._frames[command_id] = frame

    def forget_open(self) -> None:
        """The connection has ended, and with it what it was still to answer: repeated, that is a new command."""
        self._frames = OrderedDict((id_, frame) for id_, frame in self._frames.items() if frame is not None)


class _Named(Model):
    server_id: ServerId


class AgentSession(Session):
    """The agent's half. What it gives back from `receive` is well-formed; all else it has answered, or counted, itself."""

    def __init__(self, node_id: str, clock: Clock, answers: Answers) -> None:
        super().__init__(clock)
        self._node_id = node_id
        self._answers = answers
        answers.forget_open()
        self._beat_every_s = HEARTBEAT_INTERVAL_S
        self._beat_at = clock.monotonic() + HEARTBEAT_INTERVAL_S
        self.refusal: Fault | None = None
        """Why nothing more can be said on this connection."""

    def receive(self, frame: str | bytes) -> Received:
        """Reads a frame; never raises for what it holds."""
        try:
            message = self._open(frame)
        except Fault as fault:
            return self._receive_unreadable(frame, fault)
        match message:
            case Command():
                return self._receive_command(message)
            case Legacy():
                return self._receive_legacy(message)
            case Response() | Event():
                self.counts["unknown"] += 1
                return Received()
            case _:
                assert_never(message)

    def _receive_unreadable(self, frame: str | bytes, fault: Fault) -> Received:
        """Whoever sent a command waits for a response, and gets one wherever its id can be made out."""
        id_ = command_id(frame)
        if id_ is None:
            return Received(replies=(self.error(fault),))
        return self._repeated(id_) or Received(replies=(self.refuse(id_, fault),))

    def _repeated(self, id_: str) -> Received | None:
        """The answer that a command was given before, if it came before; from now on it has come."""
        if id_ not in self._answers:
            self._answers.expect(id_)
            return None
        self.counts["duplicate"] += 1
        answer = self._answers[id_]
        return Received(replies=() if answer is None else (answer,))

    def _receive_command(self, command: Command) -> Received:
        action = self._action(command.action)
        if action not in QUESTIONS and (repeated := self._repeated(command.id)):
            return repeated
        if action is None:
            self.counts["unknown"] += 1
            fault = Fault(ErrorCode.UNKNOWN_ACTION, f"Unknown action: {command.action}")
            return Received(replies=(self.refuse(command.id, fault),))
        try:
            server_id = "" if action in OF_NODE else read(_Named, {"serverId": command.server_id}).server_id
            content = read(PAYLOADS[action], self._understood(command.payload))
        except Fault as fault:
            return Received(replies=(self.refuse(command.id, fault),))
        return Received(Request(action, server_id, content, id=command.id))

    def _understood(self, payload: object) -> object:
        """In part 1 the fields of part 2 are unknown ones: what cannot be read of them, or is ours alone, counts as not sent."""
        if not isinstance(payload, dict) or self.version > OLDEST_VERSION:
            return payload
        return {name: value for name, value in payload.items() if name not in PART2_FIELDS or is_readable(name, value)}

    def _action(self, name: str) -> Action | None:
        try:
            return Action(name) if self._knows(name) else None
        except ValueError:
            return None

    def _receive_legacy(self, message: Legacy) -> Received:
        shape = TO_AGENT.get(message.type) if self._knows(message.type) else None
        if shape is None or (shape is Welcome and not _is_welcome(message.data)):
            self.counts["unknown"] += 1
            return Received()
        try:
            data = self._understood(message.data) if shape is ServerCreate else message.data
            match read(shape, data):
                case Welcome() as welcome:
                    return self._receive_welcome(welcome)
                case Ack() as ack:
                    return Received(told=ack)
                case content:
                    return Received(_request_of(message, content))
        except Fault as fault:
            return Received(replies=(self.error(fault, message.message_id),))

    def _receive_welcome(self, welcome: Welcome) -> Received:
        """Part 2 from here on, in the highest version that both speak."""
        if welcome.protocol.minimum > VERSION or welcome.protocol.version < OLDEST_VERSION:
            self.refusal = incompatible("panel", welcome.protocol)
            return Received(replies=(self.error(self.refusal),))
        self.version = min(VERSION, welcome.protocol.version)
        self._beat_every_s = welcome.heartbeat_interval
        self._beat_at = min(self._beat_at, self._clock.monotonic() + self._beat_every_s)
        return Received(told=welcome)

    def accept(self, request: Request, at: datetime | None = None) -> str:
        """The response that says the work will be done; `at` is when that was said first."""
        action = Action(request.verb)
        data = {"serverId": request.server_id, "status": ACCEPTED_STATUS[action]}
        return self.respond(request, f"{action} command received", data, at)

    def respond(self, request: Request, message: str, data: dict[str, Any], at: datetime | None = None) -> str:
        return self._answer(Response(id=_id_of(request), success=True, message=message, data=data, timestamp=at))

    def refuse(self, request: Request | str, fault: Fault) -> str:
        """The response that says why nothing was done."""
        command_id = request if isinstance(request, str) else _id_of(request)
        body = ErrorBody(code=fault.code, message=fault.message)
        return self._answer(Response(id=command_id, success=False, message=fault.message, error=body))

    def event(self, name: str, content: Model) -> str:
        return self.encode(Event(event=name, data=wire(content)))

    def heartbeat_in_s(self) -> float:
        """Seconds until the next heartbeat is due; 0 when it is."""
        return max(0.0, self._beat_at - self._clock.monotonic())

    def heartbeat(self) -> str:
        self._beat_at = self._clock.monotonic() + self._beat_every_s
        return self.legacy("heartbeat", Heartbeat(node_id=self._node_id, timestamp=self._clock.utc()))

    def _answer(self, response: Response) -> str:
        frame = self.encode(response)
        self._answers.give(response.id, frame)
        return frame


def _is_welcome(data: object) -> bool:
    """Whether it is part 2's word, and not another panel's greeting, which means nothing to us."""
    try:
        read(Welcome, data)
    except Fault:
        return False
    return True


def _id_of(request: Request) -> str:
    if request.id is None:
        raise ValueError("a legacy message is answered by legacy messages, not by a response")
    return request.id


def _request_of(message: Legacy, content: Model) -> Request:
    """A legacy message as the request that the command of the same meaning makes."""
    reply = message.message_id
    match message.type, content:
        case "server_create", ServerCreate():
            specification = Specification.model_validate(content.model_dump(exclude={"server_id"}))
            return Request(Action.CREATE_SERVER, content.server_id, specification, message_id=reply)
        case "server_command", ServerCommand():
            return Request(Action.SEND_COMMAND, content.server_id, LinePayload(line=content.command), message_id=reply)
        case "server_start", ServerReference():
            return Request(Action.START_SERVER, content.server_id, Nothing(), message_id=reply)
        case "server_stop", ServerReference():
            return Request(Action.STOP_SERVER, content.server_id, StopPayload(), message_id=reply)
        case "server_restart", ServerReference():
            return Request(Action.RESTART_SERVER, content.server_id, StopPayload(), message_id=reply)
        case "server_delete", ServerReference():
            return Request(Action.DELETE_SERVER, content.server_id, DeletePayload(), message_id=reply)
        case _, FileRead():
            return Request(LegacyRequest(message.type), content.server_id, content, message_id=reply)
        case _:
            return Request(LegacyRequest(message.type), "", content, message_id=reply)
