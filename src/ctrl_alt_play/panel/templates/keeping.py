"""The rules of templates: what comes again is the next version of what there is, nothing is overwritten, and what servers were made from stays."""

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.characters import shown
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.errors import Conflict, FieldProblem, Invalid, Stale
from ctrl_alt_play.panel.models import Template, TemplateVersion
from ctrl_alt_play.panel.security import Actor
from ctrl_alt_play.panel.templates import service
from ctrl_alt_play.panel.templates.examining import Found, found_in
from ctrl_alt_play.panel.templates.fetching import Fetcher
from ctrl_alt_play.panel.templates.schemas import (
    ChangeView,
    Draft,
    Examined,
    FlawView,
    Imported,
    KeptTemplate,
    LikeView,
    Outcome,
    Preview,
    TemplateView,
)
from ctrl_alt_play.templates import model
from ctrl_alt_play.templates.differences import Change, changes, is_same

ICON = re.compile(r"data:(image/(?:png|jpeg|gif|webp|avif|svg\+xml));base64,([A-Za-z0-9+/=\s]+)")
MOST_NAMED = 5
LONGEST_SAID = 300


@dataclass(frozen=True, slots=True)
class Like:
    """What there is already of what is given."""

    template: Template
    by: Literal["choice", "uuid", "name"]


class Templates:
    """What people do with templates. None of it touches a server."""

    def __init__(self, database: Database, fetcher: Fetcher, clock: Clock) -> None:
        self._database = database
        self._fetcher = fetcher
        self._clock = clock

    async def preview(self, draft: Examined) -> Preview:
        """What would come of it. Raises: NotFound; Invalid, for an address where nothing can be had."""
        found = await found_in(draft, self._fetcher)
        async with self._database.reading() as session:
            like = await _like(session, found.template, draft.template_id, is_new=draft.is_new)
            version = draft.version or (like.template.version if like else 0)
            before = await service.content(session, like.template.id, version) if like else None
        return await _preview(found, like, before)

    async def look_for_newer(self, template_id: str) -> Preview:
        """What is now where it came from. Raises: NotFound; Conflict, nobody said where that is; Invalid, nothing can be had there."""
        async with self._database.reading() as session:
            template = await service.get(session, template_id)
            content = await service.content(session, template_id, template.version)
        address = template.source or content.update_url
        if not address:
            raise Conflict("Nothing is known of where this template came from: import a newer one by its address.")
        return await self.preview(Examined(url=address[:2048], template_id=template_id))

    async def keep(self, actor: Actor, draft: Imported) -> KeptTemplate:
        """As a new template, or as the next version of the one that it is like.

        Raises:
            Invalid: it has flaws; all of them are told.
            Stale: it was compared with another version than the newest.
        """
        found = await found_in(draft, self._fetcher)
        content = _sound(found)
        async with self._database.writing() as session:
            like = await _like(session, content, is_new=draft.is_new)
            _ensure_version(like.template.version if like else 0, draft.compared_with)
            template, outcome = await self._take(session, actor, like.template if like else None, content)
            template.source = found.source or template.source
            template.category = template.category if draft.category is None else draft.category
            return await _kept(session, template, outcome)

    async def change(self, actor: Actor, template_id: str, draft: Draft, version: int | None) -> KeptTemplate:
        """What is given is its next version. Raises: as `keep`; NotFound."""
        found = await found_in(draft, self._fetcher)
        content = _sound(found)
        async with self._database.writing() as session:
            template = await service.get(session, template_id)
            _ensure_version(template.version, version)
            return await _kept(session, *await self._take(session, actor, template, content))

    async def roll_back(self, actor: Actor, template_id: str, to: int, version: int | None) -> KeptTemplate:
        """Raises: NotFound; Stale."""
        async with self._database.writing() as session:
            template = await service.get(session, template_id)
            _ensure_version(template.version, version)
            content = await service.content(session, template_id, to)
            return await _kept(session, *await self._take(session, actor, template, content))

    async def categorize(self, template_id: str, category: str) -> TemplateView:
        """It makes no version: servers know nothing of it. Raises: NotFound."""
        async with self._database.writing() as session:
            template = await service.get(session, template_id)
            template.category = category
            return await service.view(session, template)

    async def delete(self, template_id: str) -> None:
        """Raises: NotFound; Conflict, servers were made from it."""
        async with self._database.writing() as session:
            template = await service.get(session, template_id)
            if made := (await service.view(session, template)).servers:
                names = [server.name for server in (await service.made_from(session, template_id))[:MOST_NAMED]]
                more = f" and {made - len(names)} more" if made > len(names) else ""
                sentence = f"Servers were made from it: {', '.join(names)}{more}. Delete them first."
                raise Conflict(sentence, "TEMPLATE_IN_USE")
            await session.delete(template)

    async def _take(
        self, session: AsyncSession, actor: Actor, template: Template | None, content: model.Template
    ) -> tuple[Template, Outcome]:
        """The same again is no version."""
        now = self._clock.utc()
        if template is None:
            template = _new(content, now)
            session.add(template)
            await session.flush()
            outcome: Outcome = "new"
        else:
            content = _named_as(content, template)
            if is_same(await service.content(session, template.id, template.version), content):
                return template, "same"
            template.version += 1
            outcome = "next"
        _describe(template, content, now)
        session.add(
            TemplateVersion(
                template_id=template.id,
                version=template.version,
                content=content.model_dump(mode="json"),
                created_at=now,
                created_by_name=actor.username,
            )
        )
        return template, outcome


def _sound(found: Found) -> model.Template:
    if found.template is None or found.flaws:
        raise Invalid.of(FieldProblem(_cut(flaw.place), _cut(flaw.message)) for flaw in found.flaws)
    return found.template


def _cut(text: str) -> str:
    """What was given may be in it, and be of any length."""
    return shown(text if len(text) <= LONGEST_SAID else f"{text[:LONGEST_SAID]}…")


def _ensure_version(newest: int, version: int | None) -> None:
    if version is not None and version != newest:
        raise Stale(f"The template was changed meanwhile: it is of version {newest}, not {version}. Look at it anew.")


async def _like(
    session: AsyncSession, given: model.Template | None, template_id: str | None = None, *, is_new: bool
) -> Like | None:
    """By uuid, or else by name and author, where no uuid says that they are two. Some in the field share a uuid: of these the name decides."""
    if template_id is not None:
        return Like(await service.get(session, template_id), "choice")
    if given is None or is_new:
        return None
    wanted = and_(Template.name == given.name, Template.author == given.author)
    if given.uuid is not None:
        wanted = or_(Template.uuid == given.uuid, and_(wanted, Template.uuid.is_(None)))
    alike = (await session.scalars(select(Template).where(wanted).order_by(Template.id))).all()
    if not alike:
        return None
    best = max(alike, key=lambda each: (each.uuid == given.uuid, each.name == given.name, each.author == given.author))
    return Like(best, "uuid" if given.uuid is not None and best.uuid == given.uuid else "name")


async def _preview(found: Found, like: Like | None, before: model.Template | None) -> Preview:
    content = _named_as(found.template, like.template if like else None) if found.template else None
    different = await asyncio.to_thread(changes, before, content) if before and content else []
    outcome: Outcome = "new" if like is None else "next" if different else "same"
    return Preview(
        outcome="flawed" if found.flaws or content is None else outcome,
        like=like and _like_view(like),
        content=content,
        flaws=[FlawView(place=_cut(flaw.place), message=_cut(flaw.message)) for flaw in found.flaws],
        changes=change_views(different),
        source=found.source,
        document=found.document,
    )


def change_views(found: list[Change]) -> list[ChangeView]:
    return [
        ChangeView(
            path=list(each.path),
            kind=each.kind,
            before=each.before,
            after=each.after,
            lines=None if each.lines is None else list(each.lines),
        )
        for each in found
    ]


def _like_view(like: Like) -> LikeView:
    template = like.template
    return LikeView(id=template.id, name=template.name, author=template.author, version=template.version, by=like.by)


def _named_as(content: model.Template, template: Template | None) -> model.Template:
    """Older formats have no uuid; what has one once keeps it."""
    if template is None or content.uuid is not None:
        return content
    return content.model_copy(update={"uuid": template.uuid})


def _new(content: model.Template, now: datetime) -> Template:
    return Template(id=str(uuid4()), category="", version=1, source=None, created_at=now, **_described(content, now))


def _describe(template: Template, content: model.Template, now: datetime) -> None:
    for name, value in _described(content, now).items():
        setattr(template, name, value)


def _described(content: model.Template, now: datetime) -> dict[str, Any]:
    """What is looked for and listed, of what it is made of."""
    said = content.model_dump(include={"uuid", "name", "author", "description"})
    return {**said, "has_icon": bool(content.icon and ICON.fullmatch(content.icon)), "changed_at": now}


async def _kept(session: AsyncSession, template: Template, outcome: Outcome) -> KeptTemplate:
    return KeptTemplate(**(await service.view(session, template)).model_dump(), outcome=outcome)
