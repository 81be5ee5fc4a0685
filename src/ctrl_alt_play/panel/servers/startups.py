"""What of a server's start its people see and may change: by its template's variables, and by whose it is."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.errors import Conflict, FieldProblem, Invalid, NotFound
from ctrl_alt_play.panel.models import Server, Template
from ctrl_alt_play.panel.security import Actor
from ctrl_alt_play.panel.servers import commands, rendering, service
from ctrl_alt_play.panel.servers.changes import Remade, Remaking
from ctrl_alt_play.panel.servers.template_schemas import (
    Choice,
    InputView,
    InstallerView,
    Option,
    Problem,
    ServerStartupView,
    StartupChange,
    StartupPreview,
    StartupView,
    TemplateOfServer,
    VariableView,
)
from ctrl_alt_play.panel.templates import service as templates
from ctrl_alt_play.protocol.specification import Recipe, Specification
from ctrl_alt_play.templates import model, rules
from ctrl_alt_play.templates.inputs import input_of


async def template_of(session: AsyncSession, server: Server) -> tuple[Template, model.Template] | None:
    """None where it has none, or that is not there any more."""
    if server.template_id is None or server.template_version is None:
        return None
    try:
        kept = await templates.get(session, server.template_id)
        return kept, await templates.content(session, server.template_id, server.template_version)
    except NotFound:
        return None


async def view(session: AsyncSession, actor: Actor, server: Server) -> ServerStartupView:
    return _shown(actor, server, await template_of(session, server), service.specification_of(server))


def _shown(
    actor: Actor, server: Server, found: tuple[Template, model.Template] | None, recipe: Recipe
) -> ServerStartupView:
    before = server.before_upgrade if actor.is_admin else None
    if found is None:
        shown = of_recipe(recipe, is_admin=actor.is_admin)
    else:
        kept, content = found
        version = server.template_version or 0
        told = TemplateOfServer(id=kept.id, name=content.name, version=version, newest=kept.version)
        shown = of_template(told, content, recipe, is_admin=actor.is_admin)
    return ServerStartupView(**shown.model_dump(), revision=server.revision, rollback=before and before["version"])


def of_recipe(recipe: Recipe, *, is_admin: bool) -> StartupView:
    """Of a server without a template."""
    return StartupView(
        template=None,
        image=_choice({}, recipe.image),
        startup=_choice({}, recipe.startup),
        command=commands.shown(recipe, recipe.environment if is_admin else {}),
        variables=[],
        installer=_installer(recipe, is_admin=is_admin),
    )


def of_template(told: TemplateOfServer, content: model.Template, recipe: Recipe, *, is_admin: bool) -> StartupView:
    seen = {each.environment_name for each in content.variables if each.is_viewable}
    values = {name: value for name, value in recipe.environment.items() if is_admin or name in seen}
    return StartupView(
        template=told,
        image=_choice(content.images, recipe.image),
        startup=_choice(content.startup_commands, recipe.startup),
        command=commands.shown(recipe, values),
        variables=[_variable(each, recipe.environment) for each in _visible(content, is_admin=is_admin)],
        installer=_installer(recipe, is_admin=is_admin),
    )


def _choice(options: Mapping[str, str], value: str) -> Choice:
    name = next((name for name, each in options.items() if each == value), None)
    return Choice(name=name, value=value, options=[Option(name=each, value=options[each]) for each in options])


def _variable(variable: model.Variable, environment: Mapping[str, str]) -> VariableView:
    return VariableView(
        name=variable.name,
        description=variable.description,
        environment_name=variable.environment_name,
        value=environment.get(variable.environment_name, variable.default),
        default=variable.default,
        rules=list(variable.rules),
        is_viewable=variable.is_viewable,
        is_editable=variable.is_editable,
        input=InputView.model_validate(input_of(variable), from_attributes=True),
    )


def _installer(recipe: Recipe, *, is_admin: bool) -> InstallerView | None:
    if recipe.installer is None or not is_admin:
        return None
    return InstallerView.model_validate(recipe.installer, from_attributes=True)


def changing(actor: Actor, change: StartupChange) -> Remaking:
    """A change by a server's people.

    Raises, when it is done:
        Invalid: with all that its template's rules, or who they are, do not allow.
        Conflict: it has no template to hold it to.
    """

    async def remade(session: AsyncSession, server: Server) -> Remade:
        _, content = await _template_for(session, server)
        return _changed(service.specification_of(server), content, actor, change)

    return remade


def _changed(before: Specification, content: model.Template, actor: Actor, change: StartupChange) -> Remade:
    problems = _problems(content, actor, change)
    if problems:
        raise Invalid.of(problems)
    after = _parts(before, content, change)
    return before.model_copy(update=after), {"changed": sorted(after)}


def _problems(content: model.Template, actor: Actor, change: StartupChange) -> list[FieldProblem]:
    return [
        *rendering.unknown(content.images, change.image, "image"),
        *rendering.unknown(content.startup_commands, change.startup, "startup"),
        *_refused(content, actor, change.variables),
    ]


def _parts(before: Specification, content: model.Template, change: StartupChange) -> dict[str, Any]:
    after: dict[str, Any] = {}
    if change.variables:
        after["environment"] = before.environment | change.variables
    if change.image is not None:
        after["image"] = rendering.picked(content.images, change.image)
    if change.startup is not None:
        after["startup"] = rendering.picked(content.startup_commands, change.startup)
    return after


async def preview(session: AsyncSession, actor: Actor, server: Server, change: StartupChange) -> StartupPreview:
    """Raises: Conflict, it has no template to hold it to."""
    found = await _template_for(session, server)
    problems = _problems(found[1], actor, change)
    seen = {each.environment_name for each in _visible(found[1], is_admin=actor.is_admin)}
    theirs = change.model_copy(update={"variables": {n: v for n, v in change.variables.items() if n in seen}})
    before = service.specification_of(server)
    after = before.model_copy(update=_parts(before, found[1], theirs))
    shown = _shown(actor, server, found, after)
    return StartupPreview(**shown.model_dump(), problems=[Problem(field=p.field, message=p.message) for p in problems])


async def _template_for(session: AsyncSession, server: Server) -> tuple[Template, model.Template]:
    found = await template_of(session, server)
    if found is None:
        sentence = "The server has no template: change its image, its command and its variables themselves."
        raise Conflict(sentence, "NO_TEMPLATE")
    return found


def _refused(content: model.Template, actor: Actor, values: Mapping[str, str]) -> Iterator[FieldProblem]:
    """What someone does not see is not there for them."""
    seen = {each.environment_name: each for each in _visible(content, is_admin=actor.is_admin)}
    for name, value in values.items():
        variable = seen.get(name)
        if variable is None:
            yield rendering.misfit(content, name)
        elif not (actor.is_admin or variable.is_editable):
            yield FieldProblem(f"variables.{name}", "only administrators may change it")
        elif said := rules.problems(variable, value):
            yield FieldProblem(f"variables.{name}", "; ".join(said))


async def following(session: AsyncSession, server: Server, specification: Specification) -> Specification:
    """With what goes by the ports, where it has others now: variables that tell them, and where the game is asked who plays."""
    before = service.specification_of(server)
    found = await template_of(session, server) if before.ports != specification.ports else None
    if found is None:
        return specification
    _, content = found
    query, was = specification.query, rendering.query(content, before.ports)
    if query is not None and query == before.query == was:
        query = rendering.query(content, specification.ports)
    environment = specification.environment | rendering.told(content, specification.ports)
    return specification.model_copy(update={"environment": environment, "query": query})


async def told_again(session: AsyncSession, server: Server, specification: Specification) -> Specification:
    """With its ports' numbers in the variables that tell them."""
    found = await template_of(session, server)
    if found is None:
        return specification
    told = rendering.told(found[1], specification.ports)
    return specification.model_copy(update={"environment": specification.environment | told})


def _visible(content: model.Template, *, is_admin: bool) -> list[model.Variable]:
    return [each for each in rendering.variables(content) if is_admin or each.is_viewable]
