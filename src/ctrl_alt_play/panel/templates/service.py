"""Templates as they are kept."""

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from ctrl_alt_play.panel.errors import NotFound
from ctrl_alt_play.panel.models import Server, Template, TemplateVersion
from ctrl_alt_play.panel.paging import read_cursor, read_number_cursor
from ctrl_alt_play.panel.templates.schemas import CategoryView, MadeServer, TemplateDetail, TemplateView
from ctrl_alt_play.templates import model

MOST_MADE = 100
MOST_VERSIONS = 10**9


async def get(session: AsyncSession, template_id: str) -> Template:
    """Raises: NotFound."""
    template = await session.get(Template, template_id)
    if template is None:
        raise NotFound("There is no such template.")
    return template


async def content(session: AsyncSession, template_id: str, version: int) -> model.Template:
    """What it is made of, in that version. Raises: NotFound."""
    found = await session.get(TemplateVersion, (template_id, version))
    if found is None:
        raise NotFound("There is no such version of that template.")
    return model.Template.model_validate(found.content)


async def detail(session: AsyncSession, template_id: str, version: int | None) -> TemplateDetail:
    """Raises: NotFound."""
    template = await get(session, template_id)
    shown = template.version if version is None else version
    return TemplateDetail(
        **(await views(session, [template]))[0].model_dump(),
        shown_version=shown,
        content=await content(session, template_id, shown),
        made=await made_from(session, template_id),
    )


async def made_from(session: AsyncSession, template_id: str) -> list[MadeServer]:
    """By name; only the first."""
    made = select(Server.id, Server.name, Server.template_version).where(Server.template_id == template_id)
    found = await session.execute(made.order_by(Server.name, Server.id).limit(MOST_MADE))
    return [MadeServer(id=id_, name=name, version=version) for id_, name, version in found]


async def list_page(
    session: AsyncSession, limit: int, cursor: str | None, *, text: str | None, category: str | None
) -> Sequence[Template]:
    """One more than `limit`, by name; `text` is any part of what is said of it, `category` is whole."""
    query = select(Template).order_by(Template.name, Template.id).limit(limit + 1)
    for word in (text or "").split():
        query = query.where(_speaks_of(word))
    if category is not None:
        query = query.where(Template.category == category)
    if after := read_cursor(cursor, 2):
        name, id_ = after
        query = query.where((Template.name > name) | ((Template.name == name) & (Template.id > id_)))
    return (await session.scalars(query)).all()


def _speaks_of(word: str) -> ColumnElement[bool]:
    columns = (Template.name, Template.author, Template.description, Template.category)
    return or_(*(column.icontains(word, autoescape=True) for column in columns))


async def views(session: AsyncSession, templates: Sequence[Template]) -> list[TemplateView]:
    counts = await _counts(session, [template.id for template in templates])
    return [_view(template, counts.get(template.id, 0)) for template in templates]


async def view(session: AsyncSession, template: Template) -> TemplateView:
    return (await views(session, [template]))[0]


async def _counts(session: AsyncSession, ids: Iterable[str]) -> dict[str, int]:
    counted = select(Server.template_id, func.count()).where(Server.template_id.in_(ids)).group_by(Server.template_id)
    return {str(template_id): count for template_id, count in await session.execute(counted)}


def _view(template: Template, servers: int) -> TemplateView:
    return TemplateView(
        id=template.id,
        uuid=template.uuid,
        name=template.name,
        author=template.author,
        description=template.description,
        category=template.category,
        version=template.version,
        source=template.source,
        has_icon=template.has_icon,
        servers=servers,
        created_at=template.created_at,
        changed_at=template.changed_at,
    )


async def categories(session: AsyncSession) -> list[CategoryView]:
    """Those that there are, by name."""
    counted = select(Template.category, func.count()).where(Template.category != "").group_by(Template.category)
    return [
        CategoryView(name=name, templates=count) for name, count in await session.execute(counted.order_by("category"))
    ]


async def versions(
    session: AsyncSession, template_id: str, limit: int, cursor: str | None
) -> Sequence[TemplateVersion]:
    """One more than `limit`, the newest first, without what they are made of. Raises: NotFound."""
    await get(session, template_id)
    query = select(TemplateVersion).where(TemplateVersion.template_id == template_id)
    if (before := read_number_cursor(cursor)) is not None:
        query = query.where(TemplateVersion.version < min(before, MOST_VERSIONS))
    query = query.order_by(TemplateVersion.version.desc()).limit(limit + 1)
    return (await session.scalars(query.options(defer(TemplateVersion.content)))).all()
