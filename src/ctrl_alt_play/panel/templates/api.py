"""Templates over HTTP."""

import asyncio
import base64
import re
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Header, Query, Request, Response, status

from ctrl_alt_play.panel.db import Reading
from ctrl_alt_play.panel.errors import NotFound
from ctrl_alt_play.panel.names import Category
from ctrl_alt_play.panel.paging import Limit, Page, cut
from ctrl_alt_play.panel.permissions import Permission
from ctrl_alt_play.panel.security import Actor, Allowed
from ctrl_alt_play.panel.templates import service
from ctrl_alt_play.panel.templates.keeping import ICON, Templates, change_views
from ctrl_alt_play.panel.templates.schemas import (
    CategoryChange,
    CategoryList,
    Difference,
    Draft,
    Examined,
    ExportView,
    Imported,
    KeptTemplate,
    Preview,
    Rollback,
    Syntax,
    TemplateDetail,
    TemplateView,
    VersionView,
)
from ctrl_alt_play.templates.differences import changes
from ctrl_alt_play.templates.writing import Format, lost, write

router = APIRouter(prefix="/api/templates", tags=["templates"])
SEE = Depends(Allowed(Permission.TEMPLATES_SEE))
MANAGE = Depends(Allowed(Permission.TEMPLATES_MANAGE))
ICON_POLICY = {"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff"}
"""An icon is a stranger's: as a page of its own it does nothing."""


async def _templates(request: Request) -> Templates:
    return cast("Templates", request.app.state.templates)


Service = Annotated[Templates, Depends(_templates)]
Manager = Annotated[Actor, MANAGE]
Version = Annotated[int, Query(ge=1, le=10**9)]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^"[0-9]{1,9}"$',
        description='The version that the change was made from, in quotes: `"7"`. If it is another by now, nothing is changed (412).',
    ),
]


@router.get("", dependencies=[SEE])
async def list_templates(
    session: Reading,
    limit: Limit = 50,
    cursor: str | None = None,
    text: Annotated[
        str | None, Query(max_length=128, description="words of name, author, description, category")
    ] = None,
    category: Category | None = None,
) -> Page[TemplateView]:
    found = await service.list_page(session, limit, cursor, text=text, category=category)
    rows, next_cursor = cut(found, limit, lambda template: (template.name, template.id))
    return Page(items=await service.views(session, rows), next_cursor=next_cursor)


@router.post("", status_code=status.HTTP_201_CREATED)
async def import_template(draft: Imported, templates: Service, actor: Manager, response: Response) -> KeptTemplate:
    """As a new template, or as the next version of the one that it is like, by uuid, else by name and author. The same again makes none (200)."""
    kept = await templates.keep(actor, draft)
    if kept.outcome == "same":
        response.status_code = status.HTTP_200_OK
    return kept


@router.post("/preview", dependencies=[MANAGE])
async def preview_template(draft: Examined, templates: Service) -> Preview:
    """What an import or a change would do, all that is wrong with it, and what would be different. Nothing is kept."""
    return await templates.preview(draft)


@router.get("/categories", dependencies=[SEE])
async def list_categories(session: Reading) -> CategoryList:
    return CategoryList(items=await service.categories(session))


@router.get("/{template_id}", dependencies=[SEE])
async def get_template(template_id: str, session: Reading, version: Version | None = None) -> TemplateDetail:
    return await service.detail(session, template_id, version)


@router.put("/{template_id}")
async def change_template(
    template_id: str, draft: Draft, templates: Service, actor: Manager, if_match: IfMatch = None
) -> KeptTemplate:
    """The whole of it, as its next version. Servers that were made from it stay as they are."""
    return await templates.change(actor, template_id, draft, _version_of(if_match))


@router.patch("/{template_id}", dependencies=[MANAGE])
async def categorize_template(template_id: str, change: CategoryChange, templates: Service) -> TemplateView:
    return await templates.categorize(template_id, change.category)


@router.delete("/{template_id}", status_code=status.HTTP_204_NO_CONTENT, dependencies=[MANAGE])
async def delete_template(template_id: str, templates: Service) -> None:
    """With all its versions; not while there are servers that were made from it."""
    await templates.delete(template_id)


@router.post("/{template_id}/rollback")
async def roll_template_back(
    template_id: str, rollback: Rollback, templates: Service, actor: Manager, if_match: IfMatch = None
) -> KeptTemplate:
    return await templates.roll_back(actor, template_id, rollback.version, _version_of(if_match))


@router.post("/{template_id}/newer", dependencies=[MANAGE])
async def look_for_newer_template(template_id: str, templates: Service) -> Preview:
    """What is by now at the address that it was had from, or else at its `update_url`. Nothing is kept."""
    return await templates.look_for_newer(template_id)


@router.get("/{template_id}/versions", dependencies=[SEE])
async def list_versions(
    template_id: str, session: Reading, limit: Limit = 50, cursor: str | None = None
) -> Page[VersionView]:
    found = await service.versions(session, template_id, limit, cursor)
    rows, next_cursor = cut(found, limit, lambda row: (str(row.version),))
    return Page(items=[VersionView.model_validate(row) for row in rows], next_cursor=next_cursor)


@router.get("/{template_id}/changes", dependencies=[SEE])
async def list_changes(template_id: str, session: Reading, before: Version, after: Version) -> Difference:
    """What became different between two versions."""
    one = await service.content(session, template_id, before)
    other = await service.content(session, template_id, after)
    return Difference(changes=change_views(await asyncio.to_thread(changes, one, other)))


@router.get("/{template_id}/document", dependencies=[SEE])
async def export_template(
    template_id: str,
    session: Reading,
    version: Version | None = None,
    format: Format = "PLCN_v3",  # noqa: A002 - it is what the field calls it
    syntax: Syntax = "json",
) -> ExportView:
    """As a file that other panels read."""
    template = await service.get(session, template_id)
    content = await service.content(session, template_id, version or template.version)
    at = template.changed_at.isoformat(timespec="seconds")
    document = write(content, format, as_yaml=syntax == "yaml", at=at)
    name = re.sub(r"[^a-z0-9]+", "-", content.name.lower()).strip("-") or "template"
    return ExportView(file_name=f"egg-{name}.{syntax}", document=document, format=format, lost=lost(content, format))


@router.get("/{template_id}/icon", dependencies=[SEE], response_class=Response)
async def get_icon(template_id: str, session: Reading, version: Version | None = None) -> Response:
    template = await service.get(session, template_id)
    icon = (await service.content(session, template_id, version or template.version)).icon
    found = ICON.fullmatch(icon or "")
    if found is None:
        raise NotFound("This template has no icon.")
    headers = {**ICON_POLICY, "Cache-Control": "private, max-age=3600"}
    return Response(base64.b64decode(found[2]), media_type=found[1], headers=headers)


def _version_of(if_match: str | None) -> int | None:
    return None if if_match is None else int(if_match.strip('"'))
