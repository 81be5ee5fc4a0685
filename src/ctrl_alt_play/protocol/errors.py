"""What can go wrong between panel and agent, as codes that both know."""

from enum import StrEnum


class ErrorCode(StrEnum):
    """The protocol's error codes. `AGENT_OFFLINE`, `AUTH_FAILED` and `TIMEOUT` are made by the panel. Part 2 adds the last three."""

    UNKNOWN_ACTION = "UNKNOWN_ACTION"
    INVALID_MESSAGE = "INVALID_MESSAGE"
    INVALID_PAYLOAD = "INVALID_PAYLOAD"
    INVALID_STATE = "INVALID_STATE"
    SERVER_NOT_FOUND = "SERVER_NOT_FOUND"
    CONTAINER_NOT_FOUND = "CONTAINER_NOT_FOUND"
    SERVER_EXISTS = "SERVER_EXISTS"
    IMAGE_NOT_FOUND = "IMAGE_NOT_FOUND"
    PORT_CONFLICT = "PORT_CONFLICT"
    INSUFFICIENT_RESOURCES = "INSUFFICIENT_RESOURCES"
    CONFIG_INVALID = "CONFIG_INVALID"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    DOCKER_ERROR = "DOCKER_ERROR"
    DOCKER_UNAVAILABLE = "DOCKER_UNAVAILABLE"
    TIMEOUT = "TIMEOUT"
    AGENT_OFFLINE = "AGENT_OFFLINE"
    AUTH_FAILED = "AUTH_FAILED"
    INTERNAL = "INTERNAL"
    CANCELLED = "CANCELLED"
    INTERRUPTED = "INTERRUPTED"
    INSTALL_FAILED = "INSTALL_FAILED"

    @classmethod
    def _missing_(cls, _value: object) -> "ErrorCode":
        """A code that we do not know, from whatever speaks to us, is treated as `INTERNAL`."""
        return cls.INTERNAL


class Fault(Exception):
    """A failure that the other side, or a person, is told about: a code, a sentence, and what it concerns.

    The message says what to do where something can be done. `details` is for people too; it never holds a secret.
    """

    def __init__(self, code: ErrorCode, message: str, details: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
