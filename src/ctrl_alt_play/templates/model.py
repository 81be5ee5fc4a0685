"""A template, whatever format it came in."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Scalar = str | int | float | bool | None


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Replacement(Part):
    """What is to be set in a configuration file, and where; with `if_value` only where that stands there (`regex:…`: where it matches)."""

    match: str
    value: Scalar
    if_value: str | None = None


class ConfigurationFile(Part):
    path: str
    parser: str
    replacements: tuple[Replacement, ...]


class Readiness(Part):
    """Any of these texts in the console tells that the game is ready; `regex:…` is an expression."""

    done: tuple[str, ...] = ()
    strip_ansi: bool = False


class Installer(Part):
    """A script that fills a new server's folder, and the image in which it runs."""

    image: str
    entrypoint: str
    script: str


class Variable(Part):
    """What people choose of a server; its game finds it in its environment."""

    name: str
    description: str
    environment_name: str
    default: str
    is_viewable: bool
    is_editable: bool
    rules: tuple[str, ...]
    """Of the field, as `max:20`."""
    position: int | None = None


class Port(Part):
    """A port that the game needs beside others. The first one of a template is the usual: `SERVER_PORT`."""

    name: str = Field(min_length=1, max_length=32)
    protocol: Literal["tcp", "udp", "both"] = "both"
    internal: int | None = Field(default=None, ge=1, le=65535)
    """Where the game always listens; None: at the number that it is reached by from outside."""
    variable: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,190}$")
    """Which variable tells the game its number."""


class Query(Part):
    """How the game is asked who plays; `port` is the name of one of its ports, None: the first."""

    protocol: str = Field(min_length=1, max_length=32)
    port: str | None = None


class Template(Part):
    """`stop` is a line for the console, or `^C` and the like (see `stopping`). Placeholders are those of the newest format."""

    uuid: str | None
    name: str
    author: str
    description: str
    icon: str | None
    """A data URI."""
    update_url: str | None
    tags: tuple[str, ...]
    features: tuple[str, ...]
    images: dict[str, str]
    """By the name that people see, the first one is the usual."""
    startup_commands: dict[str, str]
    """In the same way."""
    stop: str
    readiness: Readiness
    configuration: tuple[ConfigurationFile, ...]
    logs: dict[str, Scalar]
    """Where the game writes a log of its own, as the template has it."""
    denied_files: tuple[str, ...]
    installer: Installer | None
    variables: tuple[Variable, ...]
    ports: tuple[Port, ...] = ()
    """Of our own, as is what follows: the field's formats carry it under `ctrl_alt_play`. Without any, a game has one port."""
    query: Query | None = None
    stop_timeout: float | None = None
    """Seconds."""
