"""What can go wrong in the panel, as errors that carry what an answer needs: a status, a code, a sentence, the fields at fault."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from itertools import islice
from typing import Any, ClassVar

from ctrl_alt_play.protocol.errors import ErrorCode, Fault

PROBLEM_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong in what was sent: where, as `ports.0.external`, and why."""

    field: str
    message: str


class PanelError(Exception):
    """The root of what is answered to people. The sentence says what to do where something can be done."""

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "INTERNAL"

    def __init__(self, detail: str, code: str | None = None, fields: tuple[FieldProblem, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.fields = fields
        self.status_code: int = self.status
        self.headers: dict[str, str] = {}
        self.extras: dict[str, Any] = {}

    def document(self, request_id: str) -> dict[str, Any]:
        """The problem as RFC 9457 has it, with what is ours beside it."""
        document: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status_code).phrase,
            "status": self.status_code,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
            **self.extras,
        }
        if self.fields:
            document["fields"] = [asdict(problem) for problem in self.fields]
        return document


class Unauthenticated(PanelError):
    status = 401
    default_code = "UNAUTHENTICATED"

    def __init__(self, detail: str, code: str | None = None) -> None:
        super().__init__(detail, code)
        self.headers = {"WWW-Authenticate": "Bearer"}


class Forbidden(PanelError):
    status = 403
    default_code = "FORBIDDEN"


class NotFound(PanelError):
    """Also what someone is told about a thing that is not theirs to see."""

    status = 404
    default_code = "NOT_FOUND"


class Conflict(PanelError):
    status = 409
    default_code = "CONFLICT"


class Stale(PanelError):
    """What it was meant for is another by now; nothing was done."""

    status = 412
    default_code = "STALE"


MOST_FIELDS = 32
"""Told of at once; whoever mends these is told of the next."""


class Invalid(PanelError):
    status = 422
    default_code = "INVALID_REQUEST"

    @classmethod
    def of(cls, problems: Iterable[FieldProblem]) -> "Invalid":
        """The fields at fault, each with its reason, also in one sentence."""
        fields = tuple(islice(problems, MOST_FIELDS))
        sentence = "; ".join(f"{problem.field}: {problem.message}" for problem in fields)
        return cls(f"Invalid: {sentence}"[:2000], fields=fields)


class TooManyAttempts(PanelError):
    status = 429
    default_code = "TOO_MANY_ATTEMPTS"

    def __init__(self, detail: str, retry_after_s: float) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(max(1, round(retry_after_s)))}


class Unavailable(PanelError):
    status = 503
    default_code = "UNAVAILABLE"

    def __init__(self, detail: str, retry_after_s: int, code: str | None = None) -> None:
        super().__init__(detail, code)
        self.headers = {"Retry-After": str(retry_after_s)}


STATUS_OF_FAULT: dict[ErrorCode, int] = {
    ErrorCode.UNKNOWN_ACTION: 501,
    ErrorCode.INVALID_PAYLOAD: 422,
    ErrorCode.INVALID_STATE: 409,
    ErrorCode.SERVER_NOT_FOUND: 409,
    ErrorCode.CONTAINER_NOT_FOUND: 409,
    ErrorCode.SERVER_EXISTS: 409,
    ErrorCode.IMAGE_NOT_FOUND: 422,
    ErrorCode.PORT_CONFLICT: 409,
    ErrorCode.INSUFFICIENT_RESOURCES: 503,
    ErrorCode.CONFIG_INVALID: 422,
    ErrorCode.DOCKER_UNAVAILABLE: 503,
    ErrorCode.TIMEOUT: 504,
    ErrorCode.AGENT_OFFLINE: 503,
}
"""A node's refusal as an HTTP status; what is not here is the node's own trouble, 502."""


class NodeRefused(PanelError):
    """A node did not do what it was asked, or could not be asked."""

    status = 502

    def __init__(self, fault: Fault, operation_id: str | None = None) -> None:
        super().__init__(fault.message, fault.code)
        self.status_code = STATUS_OF_FAULT.get(fault.code, self.status)
        if operation_id is not None:
            self.extras = {"operation_id": operation_id}
