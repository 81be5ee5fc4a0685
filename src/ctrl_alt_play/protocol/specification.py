"""What a server is made of: the payload of `create_server`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator
from pydantic.alias_generators import to_camel

MIB = 1024 * 1024
MOST_BYTES = 2**60

ServerId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""Names a container and a folder, so it holds nothing that either would trip over."""

_SIGNALS = {
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    "CLD", "IOT", "POLL", "RTMIN", "RTMAX", *(f"RTMIN+{n}" for n in range(1, 16)), *(f"RTMAX-{n}" for n in range(1, 15)),
}  # fmt: skip


def _signal(name: str) -> str:
    """Takes `SIGINT`, `INT` and `sigint`; gives `SIGINT`. Numbers are refused: they differ between machines."""
    bare = name.strip().upper().removeprefix("SIG")
    if bare not in _SIGNALS:
        raise ValueError(f"unknown signal {name!r}: give a name that Docker knows, such as SIGTERM or SIGINT")
    return f"SIG{bare}"


Signal = Annotated[str, Field(max_length=16), AfterValidator(_signal)]


def _text(value: object) -> object:
    """An environment holds text; panels also send numbers, true and null."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            return value


EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[^=\x00]+$", max_length=256)]
EnvironmentValue = Annotated[str, BeforeValidator(_text), StringConstraints(pattern=r"^[^\x00]*$", max_length=65536)]


class Model(BaseModel):
    """Fields in camelCase on the wire; what we do not know is ignored; what is not JSON's number stays out."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
    )


class Limits(Model):
    """What a server may use. 0 means no limit, except for `swap`, where 0 means none at all."""

    memory: int = Field(default=0, ge=0, le=MOST_BYTES, description="bytes")
    swap: int = Field(default=0, ge=-1, le=MOST_BYTES, description="bytes on top of memory; -1: unlimited")
    disk: int = Field(default=0, ge=0, le=MOST_BYTES, description="bytes; told beside what is used, not enforced yet")
    io: int | None = Field(default=None, ge=10, le=1000, description="relative weight of block I/O")
    cpu: float = Field(default=0, ge=0, le=102400, description="percent of one core: 150 is one and a half")

    @field_validator("io", mode="before")
    @classmethod
    def _nothing_is_unset(cls, value: object) -> object:
        return None if value == 0 else value

    @field_validator("memory")
    @classmethod
    def _enough_to_start(cls, value: int) -> int:
        if 0 < value < 6 * MIB:
            raise ValueError("Docker gives a container at least 6 MiB (6291456 bytes); 0 means no limit")
        return value

    @field_validator("memory", "swap", "disk", "cpu", mode="before")
    @classmethod
    def _null_is_the_default(cls, value: object) -> object:
        return 0 if value is None else value


class Port(Model):
    """A port of the game, and where the node's visitors find it."""

    internal: int = Field(ge=1, le=65535)
    external: int = Field(ge=1, le=65535)
    protocol: Literal["tcp", "udp"] = "tcp"
    address: str = Field(default="0.0.0.0", pattern=r"^[0-9A-Fa-f.:]+$", max_length=45)  # noqa: S104 - games are meant to be reached


class StopRule(Model):
    """How this game likes to be stopped: a line on its console, or a signal. Past the time limit it is killed."""

    command: str | None = Field(default=None, min_length=1, max_length=1024, pattern=r"^[^\r\n\x00]+$")
    signal: Signal = "SIGTERM"
    timeout: float = Field(default=30, ge=0, le=3600, description="seconds")


class Specification(Model):
    """All that the agent needs to make and run a server, also with the panel away."""

    image: str = Field(min_length=1, max_length=512)
    startup: str = Field(default="", max_length=8192, description="the command; empty: what the image itself runs")
    environment: dict[EnvironmentName, EnvironmentValue] = Field(default_factory=dict, max_length=512)
    limits: Limits = Limits()
    ports: tuple[Port, ...] = Field(default=(), max_length=64)
    stop: StopRule = StopRule()

    @field_validator("image")
    @classmethod
    def _no_blank_image(cls, value: str) -> str:
        image = value.strip()
        if not image or any(c.isspace() or not c.isprintable() for c in image):
            raise ValueError("name an image, such as example.org/games/quake:1")
        return image

    @field_validator("environment", "limits", "ports", "startup", "stop", mode="before")
    @classmethod
    def _null_is_nothing(cls, value: object, info: object) -> object:
        if value is not None:
            return value
        return {"environment": {}, "limits": {}, "ports": (), "startup": "", "stop": {}}[info.field_name]  # type: ignore[attr-defined]  # Pydantic's ValidationInfo
