"""A server's version of its template: what another would make of it, the step there, and the step back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.errors import Conflict, FieldProblem, Invalid
from ctrl_alt_play.panel.models import Server, Template
from ctrl_alt_play.panel.placement import ports as placement
from ctrl_alt_play.panel.servers import drafts, rendering, service, startups, upgrades
from ctrl_alt_play.panel.servers.changes import Remade, Remaking
from ctrl_alt_play.panel.servers.rendering import Choices
from ctrl_alt_play.panel.servers.template_schemas import (
    Problem,
    TemplateOfServer,
    Upgradable,
    Upgradables,
    UpgradeChange,
    UpgradeRequest,
    UpgradeView,
)
from ctrl_alt_play.panel.templates import service as templates
from ctrl_alt_play.protocol.specification import Port, Specification
from ctrl_alt_play.templates import model


@dataclass(frozen=True, slots=True)
class Step:
    template: Template
    to: int
    content: model.Template
    plan: upgrades.Plan


async def prepare(session: AsyncSession, server: Server, asked: UpgradeRequest) -> Step:
    """Raises: Conflict, it has no template, or is of that version already; Invalid, there is no such version."""
    found = await startups.template_of(session, server)
    if found is None:
        raise Conflict("The server has no template, so there is no version to go to.", "NO_TEMPLATE")
    template, old = found
    to = asked.version or template.version
    if to == server.template_version:
        raise Conflict(f"The server is of version {to} already.", "SAME_VERSION")
    new = await drafts.versioned(session, template.id, to)
    present = service.specification_of(server)
    problems: list[FieldProblem] = []
    ports = await _ports(session, server, present.ports, new, problems)
    plan = upgrades.plan(old, new, present, Choices(asked.image, asked.startup, asked.variables), ports)
    plan.problems.extend(problems)
    return Step(template, to, new, plan)


async def _ports(
    session: AsyncSession,
    server: Server,
    present: tuple[Port, ...],
    new: model.Template,
    problems: list[FieldProblem],
) -> tuple[Port, ...]:
    """Those that it has, and free ones for what the new version wants beside."""
    names = rendering.numbers_of(present)
    wanted = [want for want in new.ports if want.name not in names]
    try:
        return (*present, *await placement.propose(session, server.node_id, wanted, present))
    except Conflict as conflict:
        problems.append(FieldProblem("ports", conflict.detail))
        return present


def upgrading(template_id: str | None, asked: UpgradeRequest) -> Remaking:
    """Raises, when it is done: as `prepare`; Invalid, with all that has to be decided first; Conflict, it is of another template."""

    async def remade(session: AsyncSession, server: Server) -> Remade:
        if template_id not in (None, server.template_id):
            raise Conflict("The server is of another template.", "OTHER_TEMPLATE")
        step = await prepare(session, server, asked)
        if step.plan.problems:
            raise Invalid.of(step.plan.problems)
        told = _told(server.template_version, step.to, step.plan.changes)
        server.before_upgrade = {"version": server.template_version, "specification": server.specification}
        server.template_version = step.to
        return step.plan.specification, told

    return remade


async def rolled_back(session: AsyncSession, server: Server) -> Remade:
    """Raises: Conflict, there is no step back."""
    if server.before_upgrade is None:
        raise Conflict("The server was not upgraded, or went back already.", "NOT_UPGRADED")
    version = server.before_upgrade["version"]
    before = Specification.model_validate(server.before_upgrade["specification"])
    present = service.specification_of(server)
    specification = upgrades.rolled_back(before, present)
    told = _told(server.template_version, version, list(upgrades.differences(present, specification)))
    server.template_version, server.before_upgrade = version, None
    return await startups.told_again(session, server, specification), told


def _told(version: int | None, to: int, changes: Sequence[upgrades.Change]) -> dict[str, Any]:
    """By names alone, as of any change."""
    named = {"variables": "environment"}
    parts = sorted({named.get(change.part, change.part) for change in changes})
    return {"changed": parts, "template_version": {"before": version, "after": to}}


async def upgradable(session: AsyncSession, template_id: str, asked: UpgradeRequest, limit: int) -> Upgradables:
    """The template's servers of other versions. Raises: NotFound, there is no such template; Invalid, there is no such version."""
    template = await templates.get(session, template_id)
    to = asked.version or template.version
    await drafts.versioned(session, template_id, to)
    query = select(Server).where(Server.template_id == template_id, Server.template_version != to)
    servers = (await session.scalars(query.order_by(Server.name, Server.id).limit(limit))).all()
    return Upgradables(version=to, items=[await _upgradable(session, server, asked) for server in servers])


async def _upgradable(session: AsyncSession, server: Server, asked: UpgradeRequest) -> Upgradable:
    plan = (await prepare(session, server, asked)).plan
    return Upgradable(
        server_id=server.id,
        name=server.name,
        version=server.template_version or 0,
        changes=len(plan.changes),
        problems=[Problem.model_validate(each, from_attributes=True) for each in plan.problems],
    )


def view(server: Server, step: Step) -> UpgradeView:
    plan = step.plan
    told = TemplateOfServer(id=step.template.id, name=step.content.name, version=step.to, newest=step.template.version)
    return UpgradeView(
        server_id=server.id,
        version=server.template_version or 0,
        to=step.to,
        changes=[UpgradeChange.model_validate(each, from_attributes=True) for each in plan.changes],
        kept=[UpgradeChange.model_validate(each, from_attributes=True) for each in plan.kept],
        problems=[Problem.model_validate(each, from_attributes=True) for each in plan.problems],
        startup=startups.of_template(told, step.content, plan.specification, is_admin=True),
    )
