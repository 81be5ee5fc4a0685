"""Every message of the protocol as a type: strict in what we send, lenient in what we take.

A frame is one JSON object. `parse` gives its envelope, and `read` the content that `contents.py` has a shape for.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import from_json, to_json

from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Model

MAX_FRAME_BYTES = 1024 * 1024
HEARTBEAT_INTERVAL_S = 30.0
"""An agent's, unless a welcome tells it another."""
REPLACED = 4409
"""The close code for a connection whose node has connected again, or is kept by another agent."""
INCOMPATIBLE = 4406
"""The close code for a connection whose two ends have no version of the protocol in common; the error before it says which to upgrade."""
VERSION, OLDEST_VERSION = 2, 1
"""What we speak, and the oldest that we still speak."""


def _instant(value: object) -> object:
    """A time that cannot be read says nothing; it is no reason to refuse what came with it."""
    if isinstance(value, datetime):
        return value
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read is not None and read.tzinfo is None else read


Instant = Annotated[datetime | None, BeforeValidator(_instant)]


def stamp(instant: datetime) -> str:
    """ISO 8601 in UTC with `Z`, to the millisecond."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Envelopes


CommandId = Annotated[str, Field(min_length=1, max_length=256)]


class Command(Model):
    id: CommandId
    type: Literal["command"] = "command"
    timestamp: Instant = None
    agent_id: str | None = None
    action: str = Field(max_length=128)
    server_id: str | None = None
    payload: dict[str, Any] | None = None


class News(Model):
    """What others tell us. An optional field that is not as it should be counts as not told; what came with it is still true."""

    @model_validator(mode="wrap")
    @classmethod
    def _without_what_is_wrong(cls, told: Any, read_on: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return read_on(told)
        except ValidationError as error:
            if not isinstance(told, dict):
                raise
            wrong = {problem["loc"][0] for problem in error.errors(include_input=False) if problem["loc"]}
            for name, field in cls.model_fields.items():
                if field.is_required():
                    wrong -= {name, field.alias}
            return read_on({name: value for name, value in told.items() if name not in wrong})


class ErrorBody(News):
    code: ErrorCode = ErrorCode.INTERNAL
    message: str = ""


class _Identified(Model):
    id: CommandId


class Response(News):
    id: str
    type: Literal["response"] = "response"
    timestamp: Instant = None
    success: bool
    message: str | None = None
    data: dict[str, Any] | None = None
    error: ErrorBody | None = None


def _count(value: object) -> int | None:
    """A number that counts from 1; in part 1 a field of that name may hold anything."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 1 else None


Count = Annotated[int | None, BeforeValidator(_count)]


class Event(Model):
    """`seq` and `missing` are part 2's: a durable event has a number, and says how many just before it were given up when the spool was full."""

    type: Literal["event"] = "event"
    timestamp: Instant = None
    event: str = Field(max_length=128)
    data: dict[str, Any] = Field(default_factory=dict)
    seq: Count = None
    missing: Count = None


class Legacy(News):
    """The older shape, both ways. A reply repeats the message's id."""

    type: str = Field(min_length=1, max_length=128)
    timestamp: Instant = None
    message_id: str | None = None
    data: Any = None


Message = Command | Response | Event | Legacy


def parse(frame: str | bytes) -> Message:
    """One frame as an envelope.

    Raises:
        Fault: `INVALID_MESSAGE`, for anything that is not a JSON object of one of the four shapes.
    """
    try:
        fields = from_json(frame, allow_inf_nan=False)
    except ValueError as error:
        raise Fault(ErrorCode.INVALID_MESSAGE, "The frame is not JSON.", str(error)) from error
    if not isinstance(fields, dict):
        raise Fault(ErrorCode.INVALID_MESSAGE, "The frame is not a JSON object.")
    match fields.get("type"):
        case "command":
            return read(Command, fields, ErrorCode.INVALID_MESSAGE)
        case "response":
            return read(Response, fields, ErrorCode.INVALID_MESSAGE)
        case "event":
            return read(Event, fields, ErrorCode.INVALID_MESSAGE)
        case _:
            return read(Legacy, fields, ErrorCode.INVALID_MESSAGE)


def command_id(frame: str | bytes) -> str | None:
    """The id of what is meant as a command, however wrong the rest of it is."""
    try:
        fields = from_json(frame, allow_inf_nan=False)
        return read(_Identified, fields).id if fields.get("type") == "command" else None
    except (ValueError, AttributeError, Fault):
        return None


def encode(message: Message, now: datetime) -> str:
    """The frame of a message, stamped with `now` unless it carries a time of its own; what is unset stays out."""
    fields = message.model_dump(by_alias=True, exclude_none=True)
    fields["timestamp"] = stamp(message.timestamp or now)
    return to_json(fields).decode()


AnyModel = TypeVar("AnyModel", bound=Model)


def read(shape: type[AnyModel], fields: object, code: ErrorCode = ErrorCode.INVALID_PAYLOAD) -> AnyModel:
    """`fields` as a `shape`.

    Raises:
        Fault: `code`, naming every field that is wrong and why.
    """
    try:
        return shape.model_validate({} if fields is None else fields)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        wrong = "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'data'}: {problem['msg']}" for problem in problems)
        raise Fault(code, f"Invalid: {wrong}"[:2000]) from error
