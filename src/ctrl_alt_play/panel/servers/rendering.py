"""What a server is made of, from a template and what people chose: the same for a preview and for the server itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from ctrl_alt_play.panel.errors import FieldProblem, Invalid
from ctrl_alt_play.panel.servers import recipe
from ctrl_alt_play.protocol.specification import Launch, Limits, Port, Query, Recipe
from ctrl_alt_play.templates import model, rules, stopping

BUILT_IN = frozenset(
    {
        *("SERVER_MEMORY", "SERVER_IP", "SERVER_PORT", "P_SERVER_UUID", "P_SERVER_LOCATION"),
        *("P_SERVER_ALLOCATION_LIMIT", "TZ", "STARTUP", "HOME"),
    }
)
"""What the node itself tells each game. A variable of that name would shadow it, so it is none."""
GAME = model.Port(name="game")
"""What a template that names no ports needs."""
RULED = ("stop", "readiness", "query", "configuration", "installer", "launch")
"""What a template alone decides of a server, as long as no administrator changed it."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What people decide. What is left out is as the template has it."""

    image: str | None = None
    """By the name that the template gives it, as is `startup`."""
    startup: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    ports: tuple[Port, ...] = ()


def render(template: model.Template, choices: Choices) -> Recipe:
    """Raises: Invalid, with all that is wrong."""
    rendered, problems = examine(template, choices)
    if rendered is None or problems:
        raise Invalid.of(problems)
    return rendered


def examine(template: model.Template, choices: Choices) -> tuple[Recipe | None, list[FieldProblem]]:
    """The recipe as far as there can be one, and all that is wrong with it."""
    problems = [
        *unknown(template.images, choices.image, "image"),
        *unknown(template.startup_commands, choices.startup, "startup"),
        *misfits(template, choices.variables),
        *failures(template, choices.variables),
        *_missing(template, choices.ports),
    ]
    fields = {
        "image": picked(template.images, choices.image),
        "startup": picked(template.startup_commands, choices.startup),
        "environment": environment(template, choices.variables, choices.ports),
        "limits": choices.limits.model_dump(),
        "ports": [port.model_dump() for port in choices.ports],
        **ruled(template, choices.ports),
    }
    try:
        made = Recipe.model_validate(fields)
        recipe.Recipe.model_validate(made.model_dump())
    except ValidationError as error:
        return None, [*problems, *map(_problem, error.errors())]
    return made, problems


def defaults(template: model.Template, ports: tuple[Port, ...]) -> Recipe | None:
    """As the template has it where nobody chose anything; None where nothing can be made of it."""
    return examine(template, Choices(ports=ports))[0]


def variables(template: model.Template) -> list[model.Variable]:
    """Those that people decide: not what the node tells, nor what a port tells."""
    told = {port.variable for port in template.ports}
    return [each for each in template.variables if each.environment_name not in BUILT_IN | told]


def names(template: model.Template) -> set[str]:
    """Of all that it puts into a game's environment."""
    decided = {each.environment_name for each in variables(template)}
    return decided | {port.variable for port in template.ports if port.variable is not None}


def environment(template: model.Template, values: Mapping[str, str], ports: Iterable[Port]) -> dict[str, str]:
    decided = {each.environment_name: values.get(each.environment_name, each.default) for each in variables(template)}
    return decided | told(template, ports)


def told(template: model.Template, ports: Iterable[Port]) -> dict[str, str]:
    """Variables by which the game learns at which port it is to listen."""
    numbers = numbers_of(ports)
    return {
        port.variable: str(numbers[port.name])
        for port in template.ports
        if port.variable is not None and port.name in numbers
    }


def numbers_of(ports: Iterable[Port]) -> dict[str, int]:
    """At which port the game listens for what, by what it is for."""
    return {port.name: port.internal for port in ports if port.name is not None}


def ruled(template: model.Template, ports: Iterable[Port]) -> dict[str, Any]:
    """By the names in a recipe."""
    stop = stopping.parsed(template.stop)
    timeout = {} if template.stop_timeout is None else {"timeout": template.stop_timeout}
    return {
        "stop": {"command": "\n".join(stop.lines) or None, "signal": stop.signal, **timeout},
        "readiness": {"text": template.readiness.done, "strip_ansi": template.readiness.strip_ansi},
        "query": query(template, ports),
        "configuration": [file.model_dump() for file in template.configuration],
        "installer": template.installer and template.installer.model_dump(),
        "launch": Launch.IMAGE,
    }


def query(template: model.Template, ports: Iterable[Port]) -> Query | None:
    asked = template.query
    return None if asked is None else Query(protocol=asked.protocol, port=numbers_of(ports).get(asked.port or ""))


def wanted_ports(template: model.Template) -> tuple[model.Port, ...]:
    return template.ports or (GAME,)


def picked(options: Mapping[str, str], name: str | None) -> str:
    """The usual one where none, or none of them, was named."""
    return options.get(name or "", next(iter(options.values()), ""))


def misfits(template: model.Template, values: Mapping[str, str]) -> list[FieldProblem]:
    """Names that nobody decides about."""
    known = {each.environment_name for each in variables(template)}
    return [misfit(template, name) for name in values if name not in known]


def misfit(template: model.Template, name: str) -> FieldProblem:
    by = next((port.name for port in template.ports if port.variable == name), None)
    reason = "the template has no such variable" if by is None else f"is told by the port {by}: choose that"
    return FieldProblem(f"variables.{name}", reason)


def failures(template: model.Template, values: Mapping[str, str]) -> list[FieldProblem]:
    """By the template's rules; what was not chosen has its default."""
    found = rules.failures(variables(template), values)
    return [FieldProblem(f"variables.{name}", "; ".join(said)) for name, said in found.items()]


def unknown(options: Mapping[str, str], name: str | None, place: str) -> list[FieldProblem]:
    if name is None or name in options:
        return []
    return [FieldProblem(place, f"the template has none of that name; there are: {', '.join(options)}"[:500])]


def _missing(template: model.Template, ports: Iterable[Port]) -> list[FieldProblem]:
    names = numbers_of(ports)
    return [
        FieldProblem(f"ports.{each.name}", "the template needs this port")
        for each in wanted_ports(template)
        if each.name not in names
    ]


def _problem(error: Any) -> FieldProblem:
    place = ".".join(map(str, error["loc"]))
    if place.startswith("environment."):
        place = place.replace("environment.", "variables.", 1)
    return FieldProblem(place, str(error["msg"]).removeprefix("Value error, "))
