"""A server's recipe over HTTP: the protocol's own rules, with fields called as they are in all of this API, and nothing unknown let by.

What is asked for is looked at closer than what a node may tell: a mistake is to be found here, not when the game is started.
"""

from pydantic import ConfigDict, Field, field_validator

from ctrl_alt_play.panel.errors import FieldProblem, Invalid
from ctrl_alt_play.panel.names import IpAddress
from ctrl_alt_play.panel.servers.images import is_reference
from ctrl_alt_play.protocol import specification as wire
from ctrl_alt_play.protocol.specification import Specification
from ctrl_alt_play.templates.startup import arguments

STRICT = ConfigDict(alias_generator=str, extra="forbid")
"""`str` calls a field what it is called: without a generator of its own a model keeps its parent's camelCase."""


class Limits(wire.Limits):
    model_config = STRICT


class Port(wire.Port):
    model_config = STRICT


class StopRule(wire.StopRule):
    model_config = STRICT


class Probe(wire.Probe):
    model_config = STRICT


class Readiness(wire.Readiness):
    model_config = STRICT

    probe: Probe | None = None


class CrashPolicy(wire.CrashPolicy):
    model_config = STRICT


class Query(wire.Query):
    model_config = STRICT


class ConsoleRule(wire.ConsoleRule):
    model_config = STRICT


class Replacement(wire.Replacement):
    model_config = STRICT


class ConfigurationFile(wire.ConfigurationFile):
    model_config = STRICT

    replacements: tuple[Replacement, ...] = Field(default=(), max_length=512)


class Installer(wire.Installer):
    model_config = STRICT

    @field_validator("image")
    @classmethod
    def _can_be_pulled(cls, image: str) -> str:
        return _reference(image)


def _reference(image: str) -> str:
    if not is_reference(image):
        raise ValueError(
            f"{image!r} is no name of an image: give one in small letters, such as example.org/games/quake:1"
        )
    return image


class AskedPort(Port):
    address: IpAddress = Field(default="0.0.0.0", max_length=45)  # noqa: S104 - games are meant to be reached


class Recipe(wire.Recipe):
    model_config = STRICT

    limits: Limits = Limits()
    ports: tuple[AskedPort, ...] = Field(default=(), max_length=64)
    stop: StopRule = StopRule()
    readiness: Readiness = Readiness()
    crash: CrashPolicy = CrashPolicy()
    query: Query | None = None
    console: ConsoleRule = ConsoleRule()
    configuration: tuple[ConfigurationFile, ...] = Field(default=(), max_length=64)
    installer: Installer | None = None

    @field_validator("image")
    @classmethod
    def _can_be_pulled(cls, image: str) -> str:
        return _reference(image)

    @field_validator("startup")
    @classmethod
    def _can_be_read(cls, startup: str) -> str:
        try:
            arguments(startup, {})
        except ValueError as error:
            raise ValueError(f"the command cannot be read: {error}; check its quotes and placeholders") from error
        return startup

    @field_validator("ports")
    @classmethod
    def _each_once(cls, ports: tuple[AskedPort, ...]) -> tuple[AskedPort, ...]:
        taken = [(port.address, port.external, port.protocol) for port in ports]
        if len(set(taken)) < len(taken):
            raise ValueError("each port of the node can be given only once")
        return ports

    def specification(self) -> Specification:
        """Raises: Invalid, its parts do not go together."""
        fields = self.model_dump(include=set(wire.Recipe.model_fields))
        return _whole(Specification.model_validate(fields))


def changed(specification: Specification, change: Recipe) -> Specification:
    """With what `change` was given: a rule's fields one by one, all else as a whole.

    Raises:
        Invalid: what was changed does not go together with the rest.
    """
    fields = specification.model_dump()
    given = change.model_dump(include=set(wire.Recipe.model_fields), exclude_unset=True)
    for name, value in given.items():
        fields[name] = {**fields[name], **value} if name in _RULES else value
    after = Specification.model_validate(fields)
    return _whole(after) if {"ports", "readiness", "query"} & given.keys() else after


_RULES = ("limits", "stop", "readiness", "crash", "console")


def _questions(specification: Specification) -> dict[str, wire.Probe | wire.Query]:
    """What the game is asked, by the fields that say so."""
    asked = {"readiness.probe": specification.readiness.probe, "query": specification.query}
    return {field: question for field, question in asked.items() if question is not None}


def _whole(specification: Specification) -> Specification:
    for field, question in _questions(specification).items():
        if question.port is None and not specification.ports:
            sentence = f"The server has no ports, so there is none to ask at: give {field}.port, or ports."
            raise Invalid(sentence, fields=(FieldProblem(f"{field}.port", "give it, or give the server ports"),))
    return specification


def ensure_known(queries: list[str] | None, specification: Specification) -> None:
    """`queries` are those that the server's node told of; None: it did not tell, and will say itself what it cannot do.

    Raises:
        Invalid: it is asked for another.
    """
    if queries is None:
        return
    for field, question in _questions(specification).items():
        name = question.protocol
        if (
            name is not None
            and name not in queries
            and not (isinstance(question, wire.Probe) and question.kind == "tcp")
        ):
            sentence = f"The server's node knows no game query {name!r}: give one of {', '.join(queries)}."
            raise Invalid(sentence, fields=(FieldProblem(f"{field}.protocol", "its node does not know it"),))
