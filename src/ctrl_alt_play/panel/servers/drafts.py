"""Servers that are to be made of templates: node, ports and recipe, as they would be, and all that is wrong with that."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.errors import Conflict, FieldProblem, Invalid, NotFound
from ctrl_alt_play.panel.models import Node, Server, Template, User
from ctrl_alt_play.panel.placement import nodes
from ctrl_alt_play.panel.placement import ports as placement
from ctrl_alt_play.panel.security import Actor
from ctrl_alt_play.panel.servers import service, startups
from ctrl_alt_play.panel.servers.recipe import AskedPort
from ctrl_alt_play.panel.servers.recipe import Recipe as RecipeView
from ctrl_alt_play.panel.servers.rendering import Choices, examine, wanted_ports
from ctrl_alt_play.panel.servers.schemas import NewServer
from ctrl_alt_play.panel.servers.template_schemas import (
    PortChoice,
    PreviewView,
    Problem,
    ServerDraft,
    ServerOfTemplate,
    TemplateOfServer,
)
from ctrl_alt_play.panel.templates import service as templates
from ctrl_alt_play.protocol.specification import Port, Recipe
from ctrl_alt_play.templates import model


@dataclass(frozen=True, slots=True)
class Draft:
    template: Template
    version: int
    content: model.Template
    node_id: str | None
    ports: Sequence[Port]
    recipe: Recipe | None
    problems: list[FieldProblem]


async def draw(session: AsyncSession, template_id: str, asked: ServerDraft) -> Draft:
    """Raises: NotFound, there is no such template; Invalid, there is no such version of it."""
    template = await templates.get(session, template_id)
    version = asked.version or template.version
    content = await versioned(session, template_id, version)
    problems: list[FieldProblem] = []
    if asked.name is None:
        problems.append(FieldProblem("name", "it must not be empty"))
    if asked.owner_id is not None and await session.get(User, asked.owner_id) is None:
        problems.append(FieldProblem("owner_id", "there is no such user"))
    node = await _node(session, asked, problems)
    ports = [] if node is None else await _ports(session, node, content, asked.ports, problems)
    choices = Choices(asked.image, asked.startup, asked.variables, asked.limits, tuple(ports))
    recipe, found = examine(content, choices)
    already = any(problem.field.partition(".")[0] in ("node_id", "ports") for problem in problems)
    problems += [problem for problem in found if not (already and problem.field.startswith("ports."))]
    return Draft(template, version, content, None if node is None else node.id, ports, recipe, problems)


async def versioned(session: AsyncSession, template_id: str, version: int) -> model.Template:
    """Raises: Invalid, there is no such version."""
    try:
        return await templates.content(session, template_id, version)
    except NotFound as error:
        raise Invalid(error.detail, fields=(FieldProblem("version", "there is no such version"),)) from error


async def make(session: AsyncSession, actor: Actor, template_id: str, asked: ServerOfTemplate, now: datetime) -> Server:
    """Raises: as `draw`, and `service.add`; Invalid, with all that is wrong."""
    draft = await draw(session, template_id, await _locked(session, asked))
    if draft.recipe is None or draft.node_id is None or draft.problems:
        raise Invalid.of(draft.problems)
    own: dict[str, Any] = {
        "name": asked.name,
        "tags": asked.tags,
        "node_id": draft.node_id,
        "owner_id": asked.owner_id,
        "force": asked.force,
    }
    new = NewServer.model_validate({**draft.recipe.model_dump(), **own})
    server = await service.add(session, actor, new, now)
    server.template_id, server.template_version = draft.template.id, draft.version
    return server


async def _locked(session: AsyncSession, asked: ServerOfTemplate) -> ServerOfTemplate:
    """With its node, on which nobody else is given a port meanwhile; where there is none, `draw` says so."""
    node_id = asked.node_id
    with suppress(Conflict):
        node_id = node_id or (await nodes.choose(session, asked.limits, asked.node_tags)).id
        await session.get(Node, node_id, with_for_update=True)
    return asked.model_copy(update={"node_id": node_id})


async def _node(session: AsyncSession, asked: ServerDraft, problems: list[FieldProblem]) -> Node | None:
    try:
        if asked.node_id is None:
            return await nodes.choose(session, asked.limits, asked.node_tags)
        node = await session.get(Node, asked.node_id)
        if node is None:
            problems.append(FieldProblem("node_id", "there is no such node"))
            return None
        nodes.ensure_open(node)
        if not asked.force:
            await nodes.ensure_room(session, node, asked.limits)
    except Conflict as conflict:
        problems.append(FieldProblem("node_id", conflict.detail))
        return None
    return node


async def _ports(
    session: AsyncSession,
    node: Node,
    content: model.Template,
    chosen: Sequence[PortChoice],
    problems: list[FieldProblem],
) -> list[Port]:
    by_name = {choice.name: choice for choice in chosen}
    if len(by_name) < len(chosen):
        problems.append(FieldProblem("ports", "each port can be there only once"))
    own = {port.name: port for port in wanted_ports(content)}
    wanted = [_as_chosen(own.get(name) or model.Port(name=name), by_name.get(name)) for name in {**own, **by_name}]
    fixed: list[Port] = []
    for want in wanted:
        choice = by_name.get(want.name)
        if choice is not None and choice.external is not None:
            fixed += placement.ports_of(want, choice.external, _address(choice, problems))
    names = {port.name for port in fixed}
    try:
        free = await placement.propose(session, node.id, [want for want in wanted if want.name not in names], fixed)
    except Conflict as conflict:
        problems.append(FieldProblem("ports", conflict.detail))
        free = []
    await _check(session, node, fixed, problems)
    order = [want.name for want in wanted]
    return sorted([*fixed, *free], key=lambda port: order.index(port.name or ""))


def _as_chosen(port: model.Port, choice: PortChoice | None) -> model.Port:
    if choice is None:
        return port
    given = choice.model_dump(include={"protocol", "internal"}, exclude_none=True)
    return port.model_copy(update=given)


def _address(choice: PortChoice, problems: list[FieldProblem]) -> str:
    try:
        return str(ip_address(choice.address or placement.EVERYWHERE))
    except ValueError:
        problems.append(FieldProblem(f"ports.{choice.name}", f"{choice.address!r} is no IP address"))
        return placement.EVERYWHERE


async def _check(session: AsyncSession, node: Node, ports: Sequence[Port], problems: list[FieldProblem]) -> None:
    """What was chosen, by the names that it was chosen by."""
    seen: set[tuple[str, int, str]] = set()
    for port in ports:
        place = (port.address, port.external, port.protocol)
        if place in seen:
            problems.append(FieldProblem(f"ports.{port.name}", "another of its ports has that number"))
        seen.add(place)
    try:
        await service.ensure_free(session, node.id, ports)
    except Conflict as conflict:
        at = {int(problem.field.split(".")[1]): problem.message for problem in conflict.fields}
        named = {ports[index].name: message for index, message in at.items()}
        problems += [FieldProblem(f"ports.{name}", message) for name, message in named.items()]


def view(draft: Draft) -> PreviewView:
    told = TemplateOfServer(
        id=draft.template.id, name=draft.content.name, version=draft.version, newest=draft.template.version
    )
    made = draft.recipe
    return PreviewView(
        node_id=draft.node_id,
        ports=[AskedPort.model_validate(port.model_dump()) for port in draft.ports],
        recipe=made and RecipeView.model_validate(made.model_dump()),
        startup=made and startups.of_template(told, draft.content, made, is_admin=True),
        problems=[Problem.model_validate(each, from_attributes=True) for each in draft.problems],
    )
