"""Docker's errors as ours, in one place."""

from ctrl_alt_play.protocol.errors import ErrorCode, Fault

UNREACHABLE = 900
"""The status that aiodocker gives an engine that does not answer."""

_BY_TEXT = (
    ("port is already allocated", ErrorCode.PORT_CONFLICT),
    ("address already in use", ErrorCode.PORT_CONFLICT),
    ("no space left on device", ErrorCode.INSUFFICIENT_RESOURCES),
    ("no such image", ErrorCode.IMAGE_NOT_FOUND),
    ("manifest unknown", ErrorCode.IMAGE_NOT_FOUND),
    ("pull access denied", ErrorCode.IMAGE_NOT_FOUND),
    ("repository does not exist", ErrorCode.IMAGE_NOT_FOUND),
    ("invalid reference format", ErrorCode.IMAGE_NOT_FOUND),
    ("is being used by", ErrorCode.INVALID_STATE),
    ("is using its referenced image", ErrorCode.INVALID_STATE),
    ("dependent child images", ErrorCode.INVALID_STATE),
    ("no such container", ErrorCode.CONTAINER_NOT_FOUND),
    ("is already in use by container", ErrorCode.SERVER_EXISTS),
    ("no command specified", ErrorCode.CONFIG_INVALID),
    ("executable file not found", ErrorCode.CONFIG_INVALID),
    ("no such file or directory", ErrorCode.CONFIG_INVALID),
)


_ADVICE = {"no command specified": "The image has no command of its own: give the server a startup."}


def unavailable(reason: object) -> Fault:
    return Fault(
        ErrorCode.DOCKER_UNAVAILABLE, "Docker does not answer on this node. Is the Docker Engine running?", str(reason)
    )


def is_beyond_start(fault: Fault) -> bool:
    """Whether Docker will never start this container again: its engine was killed while it started, and left half of it behind."""
    has_task = "task" in fault.message and "already exists" in fault.message
    return fault.code is ErrorCode.DOCKER_ERROR and (has_task or "id already in use" in fault.message)


def fault_of(status: int, message: str) -> Fault:
    """The fault that a Docker error is; the engine's own words stay in the message, for they are what people search for."""
    if status == UNREACHABLE:
        return unavailable(message)
    lowered = message.lower()
    code = next((code for text, code in _BY_TEXT if text in lowered), ErrorCode.DOCKER_ERROR)
    advice = "".join(f". {advice}" for text, advice in _ADVICE.items() if text in lowered)
    return Fault(code, f"Docker: {message.strip()}{advice}")
