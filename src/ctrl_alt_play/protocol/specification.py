"""What a server is made of: the payload of `create_server`."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import SchemaError, SchemaValidator
from pydantic_core.core_schema import str_schema

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
    name: str | None = Field(default=None, min_length=1, max_length=32, description="what it is for: game, query, …")


class StopRule(Model):
    """How this game likes to be stopped: by what is typed on its console, line by line, or by a signal. Past the time limit it is killed."""

    command: str | None = Field(default=None, min_length=1, max_length=1024, pattern=r"^[^\r\n\x00]+(\n[^\r\n\x00]+)*$")
    signal: Signal = "SIGTERM"
    timeout: float = Field(default=30, ge=0, le=3600, description="seconds")


class Probe(Model):
    """A question to the game itself: whether a TCP port takes connections, or whether a game query is answered. Ports are the game's own."""

    kind: Literal["tcp", "query"] = "tcp"
    port: int | None = Field(default=None, ge=1, le=65535, description="left out: the first of the server's ports")
    protocol: str | None = Field(default=None, max_length=32, description="of the query: minecraft, quake3, source, …")

    @model_validator(mode="after")
    def _query_has_a_protocol(self) -> "Probe":
        if self.kind == "query" and self.protocol is None:
            raise ValueError("a query needs its protocol, such as minecraft, quake3 or source")
        return self


def _texts(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _pattern(text: str) -> str:
    """Expressions without look-around and back-references, for those can be searched for in a time that grows with the text alone."""
    if text.startswith(REGEX):
        try:
            SchemaValidator(str_schema(pattern=text.removeprefix(REGEX), regex_engine="rust-regex"))
        except SchemaError as error:
            reason = str(error).strip().rpartition("rror: ")[2]
            raise ValueError(f"{text!r} is no regular expression that can be used here: {reason}") from error
    return text


REGEX = "regex:"
ReadyText = Annotated[str, StringConstraints(min_length=1, max_length=1024), AfterValidator(_pattern)]


class Readiness(Model):
    """How a server tells that players may come: any of the texts on its console, or a probe that is answered; without both, that it runs.

    Past `timeout` it counts as running all the same, with readiness not seen. `lost` is how long a probe that once was answered may fail
    before the game counts as crashed; 0: for ever.
    """

    text: Annotated[tuple[ReadyText, ...], BeforeValidator(_texts)] = Field(
        default=(),
        max_length=32,
        description="contained in a line, or `regex:` and a regular expression in RE2's syntax",
    )
    strip_ansi: bool = Field(default=False, description="colours and cursor movements are taken out before looking")
    probe: Probe | None = None
    timeout: float = Field(default=300, gt=0, le=86400, description="seconds")
    lost: float = Field(default=0, ge=0, le=86400, description="seconds")


class CrashPolicy(Model):
    """What the node does by itself when a game ends unasked. A crash is an exit that nobody asked for, with a code other than 0."""

    restart: bool = True
    backoff: tuple[Annotated[float, Field(ge=0, le=86400)], ...] = Field(
        default=(2, 10, 30, 60),
        min_length=1,
        max_length=16,
        description="seconds before each start in a row; the last repeats",
    )
    limit: int = Field(default=5, ge=1, le=1000, description="so many crashes within `window` are taken")
    window: float = Field(default=600, gt=0, le=604800, description="seconds")
    clean: Literal["stop", "restart"] = Field(default="stop", description="when it ends unasked with code 0")
    then: Literal["stop", "retry"] = Field(
        default="stop", description="past the limit: stays down, or at the longest interval for ever"
    )


class Query(Model):
    """How the game tells who plays, in its family's own protocol. The port is the game's own."""

    protocol: str = Field(min_length=1, max_length=32, description="minecraft, quake3, source, …")
    port: int | None = Field(default=None, ge=1, le=65535, description="left out: the first of the server's ports")


class ConsoleRule(Model):
    """How the game's console is, and how much of what it writes the node keeps; what goes first is the oldest."""

    tty: bool = Field(default=False, description="the game gets a terminal; both of its streams are one then")
    keep_bytes: int = Field(default=20 * MIB, ge=MIB, le=2**40)
    keep_days: float = Field(default=30, gt=0, le=3650)


class Replacement(Model):
    """What is set in a configuration file, and where; with `if_value` only where that stands there, or (`regex:…`) matches."""

    model_config = ConfigDict(coerce_numbers_to_str=False)

    match: str = Field(max_length=1024, description="what a line of a plain text begins with, or the path of a setting")
    value: str | int | float | bool | None = Field(description="with placeholders such as {{server.environment.NAME}}")
    if_value: Annotated[str, StringConstraints(max_length=1024), AfterValidator(_pattern)] | None = None


class ConfigurationFile(Model):
    """A file of the game that is changed before each start."""

    path: str = Field(min_length=1, max_length=1024, pattern=r"^[^\x00]+$")
    parser: Literal["file", "properties", "ini", "json", "yaml", "toml", "xml"]
    replacements: tuple[Replacement, ...] = Field(default=(), max_length=512)


class Installer(Model):
    """A script that fills the server's folder before its first start, and the image in which it runs. The folder is `/mnt/server` there."""

    image: str = Field(min_length=1, max_length=512)
    entrypoint: str = Field(default="sh", min_length=1, max_length=256, description="the program that runs the script")
    script: str = Field(min_length=1, max_length=256 * 1024)
    timeout: float = Field(default=3600, ge=10, le=86400, description="seconds; past them it is ended, and has failed")


class Launch(StrEnum):
    """Who makes a process of the startup command: the node, or the image, which finds it in `STARTUP` (as images of the field do).

    The node does so, too, for an image that has no program of its own.
    """

    COMMAND = "command"
    IMAGE = "image"


class Desired(StrEnum):
    """What is wanted of a server, for as long as nothing holds it."""

    ON = "on"
    OFF = "off"


class Hold(StrEnum):
    """Why a server may not run, whatever is wanted of it. What is wanted stays, and holds again when the hold ends."""

    NONE = "none"
    SUSPENDED = "suspended"
    MAINTENANCE = "maintenance"


class Recipe(Model):
    """What a person decides of a server."""

    image: str = Field(min_length=1, max_length=512)
    startup: str = Field(default="", max_length=8192, description="the command; empty: what the image itself runs")
    environment: dict[EnvironmentName, EnvironmentValue] = Field(default_factory=dict, max_length=512)
    limits: Limits = Limits()
    ports: tuple[Port, ...] = Field(default=(), max_length=64)
    stop: StopRule = StopRule()
    readiness: Readiness = Readiness()
    crash: CrashPolicy = CrashPolicy()
    query: Query | None = None
    console: ConsoleRule = ConsoleRule()
    configuration: tuple[ConfigurationFile, ...] = Field(default=(), max_length=64)
    launch: Launch = Launch.COMMAND
    installer: Installer | None = None

    @field_validator("image")
    @classmethod
    def _no_blank_image(cls, value: str) -> str:
        image = value.strip()
        if not image or any(c.isspace() or not c.isprintable() for c in image):
            raise ValueError("name an image, such as example.org/games/quake:1")
        return image

    @field_validator(
        "environment",
        "limits",
        "ports",
        "startup",
        "stop",
        "readiness",
        "crash",
        "console",
        "configuration",
        "launch",
        mode="before",
    )
    @classmethod
    def _null_is_nothing(cls, value: object, info: ValidationInfo) -> object:
        if value is not None:
            return value
        return {"ports": (), "startup": "", "configuration": (), "launch": "command"}.get(info.field_name or "", {})


PART2_FIELDS = {
    *("readiness", "crash", "query", "console", "configuration", "launch", "installer", "hold", "revision"),
}
_SHARED: dict[str, type[Model]] = {"readiness": Readiness, "crash": CrashPolicy}


def is_readable(name: str, value: object) -> bool:
    """Whether a field of part 2 may count where only part 1 is spoken: it means what we mean by it, and is no matter between our own two ends."""
    try:
        return name in _SHARED and bool(_SHARED[name].model_validate(value))
    except ValidationError:
        return False


class Specification(Recipe):
    """All that the agent needs to make and run a server, also with the panel away. A change of it has a higher `revision`."""

    hold: Hold = Hold.NONE
    revision: int = Field(default=1, ge=1)
