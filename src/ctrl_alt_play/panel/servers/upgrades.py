"""Another version of its template for a server: what people chose stays, what nobody touched follows the template."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from ctrl_alt_play.panel.errors import FieldProblem
from ctrl_alt_play.panel.servers import rendering
from ctrl_alt_play.panel.servers.rendering import RULED, Choices
from ctrl_alt_play.protocol.specification import ConfigurationFile, Port, Recipe, Specification
from ctrl_alt_play.templates import model


@dataclass(frozen=True, slots=True)
class Change:
    part: str
    name: str | None
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    specification: Specification
    """As far as there can be one where something is wrong."""
    changes: list[Change]
    kept: list[Change]
    """What is none of the template's, and stays: what it is, and what the template would have."""
    problems: list[FieldProblem]


def plan(
    old: model.Template,
    new: model.Template,
    present: Specification,
    chosen: Choices,
    ports: tuple[Port, ...],
) -> Plan:
    """`ports` are those that it has, and those that the new version wants beside."""
    image = _follow("image", old.images, new.images, present.image, chosen.image)
    startup = _follow("startup", old.startup_commands, new.startup_commands, present.startup, chosen.startup)
    values = _values(old, new, present.environment) | dict(chosen.variables)
    choices = Choices(None, None, values, present.limits, ports)
    rendered, problems = rendering.examine(new, choices)
    problems = [*image.problems, *startup.problems, *problems]
    base, kept = rendering.defaults(old, present.ports), [*image.kept, *startup.kept]
    after: dict[str, Any] = {"image": image.value, "startup": startup.value, "ports": ports}
    after["environment"] = _others(old, new, present.environment) | rendering.environment(new, values, ports)
    for part in RULED if rendered is not None and base is not None else ():
        was, wanted, is_ = (getattr(each, part) for each in (base, rendered, present))
        after[part] = wanted if is_ == was else is_
        kept += [Change(part, None, _text(is_), _text(wanted))] if is_ not in (was, wanted) else []
    specification = present.model_copy(update=after)
    return Plan(specification, list(differences(present, specification)), kept, problems)


@dataclass(frozen=True, slots=True)
class _Followed:
    value: str
    kept: tuple[Change, ...] = ()
    problems: tuple[FieldProblem, ...] = ()


def _follow(part: str, old: Mapping[str, str], new: Mapping[str, str], present: str, chosen: str | None) -> _Followed:
    """By its name, for what it stands for may be another now."""
    if chosen is not None:
        return _Followed(rendering.picked(new, chosen), (), tuple(rendering.unknown(new, chosen, part)))
    name = next((name for name, value in old.items() if value == present), None)
    if name is None and present not in new.values():
        return _Followed(present, (Change(part, None, present, rendering.picked(new, None)),))
    if name is not None and name in new:
        return _Followed(new[name])
    if present in new.values():
        return _Followed(present)
    if name == next(iter(old)):
        return _Followed(rendering.picked(new, None))
    sentence = f"{name} is not offered any more: choose one of {', '.join(new)}"[:500]
    return _Followed(present, (), (FieldProblem(part, sentence),))


def _values(old: model.Template, new: model.Template, present: Mapping[str, str]) -> dict[str, str]:
    """Those that people chose; what is still the old default is left to the new one."""
    untouched = {each.environment_name: each.default for each in old.variables}
    names = {each.environment_name for each in rendering.variables(new)}
    return {name: value for name, value in present.items() if name in names and untouched.get(name) != value}


def _others(old: model.Template, new: model.Template, present: Mapping[str, str]) -> dict[str, str]:
    """What is of neither."""
    known = rendering.names(old) | rendering.names(new)
    return {name: value for name, value in present.items() if name not in known}


def rolled_back(before: Specification, present: Specification) -> Specification:
    """What the template has a say in as it was; limits, ports and what else is the server's own stays."""
    parts = ("image", "startup", "environment", *RULED)
    return present.model_copy(update={part: getattr(before, part) for part in parts})


def differences(before: Recipe, after: Recipe) -> Iterator[Change]:
    for part in ("image", "startup"):
        if getattr(before, part) != getattr(after, part):
            yield Change(part, None, getattr(before, part), getattr(after, part))
    yield from _each("variables", before.environment, after.environment)
    yield from _each("ports", _ports(before.ports), _ports(after.ports))
    yield from _each("configuration", _files(before.configuration), _files(after.configuration))
    for part in RULED:
        was, is_ = getattr(before, part), getattr(after, part)
        if was != is_ and part != "configuration":
            yield Change(part, None, _text(was), _text(is_))


def _each(part: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for name in {**before, **after}:
        if before.get(name) != after.get(name):
            yield Change(part, name, before.get(name), after.get(name))


def _ports(ports: Iterable[Port]) -> dict[str, str]:
    return {
        f"{port.name or port.internal}/{port.protocol}": f"{port.address}:{port.external} → {port.internal}"
        for port in ports
    }


def _files(files: Iterable[ConfigurationFile]) -> dict[str, str]:
    return {
        file.path: "\n".join(
            [
                file.parser,
                *(f"{each.match} = {json.dumps(each.value)}" + _where(each.if_value) for each in file.replacements),
            ]
        )
        for file in files
    }


def _where(if_value: str | None) -> str:
    return "" if if_value is None else f" where it is {if_value}"


def _text(value: object) -> str | None:
    """For people, who compare it with another."""
    if isinstance(value, tuple):
        return "\n".join(f"{path}: {text}" for path, text in _files(value).items())
    if isinstance(value, BaseModel):
        fields = value.model_dump(mode="json", exclude_none=True)
        return "\n".join(
            f"{name}: {each if isinstance(each, str) else json.dumps(each)}" for name, each in fields.items()
        )
    return None if value is None else str(value)
