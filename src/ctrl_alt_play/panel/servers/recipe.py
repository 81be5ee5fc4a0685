"""A server's recipe over HTTP: the protocol's own rules, with fields called as they are in all of this API, and nothing unknown let by."""

from pydantic import ConfigDict, Field, field_validator

from ctrl_alt_play.protocol import specification as wire
from ctrl_alt_play.protocol.specification import Specification

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


class Recipe(wire.Recipe):
    model_config = STRICT

    limits: Limits = Limits()
    ports: tuple[Port, ...] = Field(default=(), max_length=64)
    stop: StopRule = StopRule()
    readiness: Readiness = Readiness()
    crash: CrashPolicy = CrashPolicy()

    @field_validator("ports")
    @classmethod
    def _each_once(cls, ports: tuple[Port, ...]) -> tuple[Port, ...]:
        taken = [(port.address, port.external, port.protocol) for port in ports]
        if len(set(taken)) < len(taken):
            raise ValueError("each port of the node can be given only once")
        return ports

    def specification(self) -> Specification:
        return Specification.model_validate(self.model_dump(include=set(wire.Recipe.model_fields)))


def changed(specification: Specification, change: Recipe) -> Specification:
    """With what `change` was given: a rule's fields one by one, all else as a whole."""
    fields = specification.model_dump()
    given = change.model_dump(include=set(wire.Recipe.model_fields), exclude_unset=True)
    for name, value in given.items():
        fields[name] = {**fields[name], **value} if name in _RULES else value
    return Specification.model_validate(fields)


_RULES = ("limits", "stop", "readiness", "crash")
