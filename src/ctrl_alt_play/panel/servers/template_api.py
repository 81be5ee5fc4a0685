"""Servers of templates over HTTP: their making, their startup, and other versions of what they were made from."""

from typing import Annotated

from fastapi import APIRouter, Depends, status

from ctrl_alt_play.panel.db import Reading
from ctrl_alt_play.panel.errors import PanelError
from ctrl_alt_play.panel.operations.schemas import OperationView
from ctrl_alt_play.panel.operations.views import Showing
from ctrl_alt_play.panel.permissions import Permission
from ctrl_alt_play.panel.security import Actor, Allowed
from ctrl_alt_play.panel.servers import drafts, service, startups, versions
from ctrl_alt_play.panel.servers.api import IfMatch, Key, Ordering, revision_of
from ctrl_alt_play.panel.servers.template_schemas import (
    PreviewView,
    Problem,
    ServerDraft,
    ServerOfTemplate,
    ServerStartupView,
    StartupChange,
    StartupPreview,
    Upgradables,
    Upgraded,
    UpgradeRequest,
    UpgradesRequest,
    UpgradesView,
    UpgradeView,
    Version,
)

router = APIRouter(prefix="/api")
ACCEPTED = status.HTTP_202_ACCEPTED
MOST_LISTED = 1000
Maker = Annotated[Actor, Depends(Allowed(Permission.SERVERS_CREATE))]
Changer = Annotated[Actor, Depends(Allowed(Permission.SERVERS_UPDATE))]
Starter = Annotated[Actor, Depends(Allowed(Permission.SERVERS_STARTUP))]


@router.post("/templates/{template_id}/servers", status_code=ACCEPTED, tags=["templates"])
async def create_server_of_template(
    template_id: str, new: ServerOfTemplate, orders: Ordering, show: Showing, actor: Maker, key: Key = None
) -> OperationView:
    """Without a node it goes to the one with the most room; ports whose number is left out are free ones of the node."""
    return await show.view(await orders.create_of(actor, template_id, new, key=key))


@router.post("/templates/{template_id}/servers/preview", tags=["templates"])
async def preview_server_of_template(template_id: str, asked: ServerDraft, session: Reading, _: Maker) -> PreviewView:
    """What would be made of what is decided so far, and all that is wrong with it. Nothing is done, and no port is held."""
    return drafts.view(await drafts.draw(session, template_id, asked))


@router.get("/templates/{template_id}/upgrades", tags=["templates"])
async def list_upgradable_servers(
    template_id: str, session: Reading, _: Changer, version: Version | None = None
) -> Upgradables:
    """The template's servers of other versions, and what has to be decided before each can go to that one."""
    return await versions.upgradable(session, template_id, UpgradeRequest(version=version), MOST_LISTED)


@router.post("/templates/{template_id}/upgrades", tags=["templates"])
async def upgrade_servers(
    template_id: str, asked: UpgradesRequest, orders: Ordering, show: Showing, actor: Changer
) -> UpgradesView:
    """Each by itself, with an operation of its own. Where something has to be decided first nothing is done with that one; sent again,
    what is of that version already stays as it is.
    """
    remade = versions.upgrading(template_id, UpgradeRequest(version=asked.version))
    items = []
    for server_id in dict.fromkeys(asked.servers):
        try:
            operation = await show.view(await orders.remake(actor, server_id, remade))
            items.append(Upgraded(server_id=server_id, operation=operation, problem=None, fields=[]))
        except PanelError as error:
            fields = [Problem.model_validate(each, from_attributes=True) for each in error.fields]
            items.append(Upgraded(server_id=server_id, operation=None, problem=error.detail, fields=fields))
    return UpgradesView(items=items)


@router.get("/servers/{server_id}/startup", tags=["servers"])
async def get_startup(server_id: str, session: Reading, actor: Starter) -> ServerStartupView:
    return await startups.view(session, actor, await service.get_visible(session, actor, server_id))


@router.post("/servers/{server_id}/startup/preview", tags=["servers"])
async def preview_startup(server_id: str, change: StartupChange, session: Reading, actor: Starter) -> StartupPreview:
    """What a change would make of it. Nothing is done."""
    return await startups.preview(session, actor, await service.get_visible(session, actor, server_id), change)


@router.patch("/servers/{server_id}/startup", status_code=ACCEPTED, tags=["servers"])
async def change_startup(
    server_id: str,
    change: StartupChange,
    orders: Ordering,
    show: Showing,
    actor: Starter,
    key: Key = None,
    if_match: IfMatch = None,
) -> OperationView:
    """As its template's rules allow; owners what is theirs to change. Takes effect at the next start."""
    remade, revision = startups.changing(actor, change), revision_of(if_match)
    return await show.view(await orders.remake(actor, server_id, remade, revision=revision, key=key))


@router.post("/servers/{server_id}/upgrade/preview", tags=["servers"])
async def preview_upgrade(server_id: str, asked: UpgradeRequest, session: Reading, actor: Changer) -> UpgradeView:
    """What another version of its template would make of the server. Nothing is done."""
    server = await service.get_visible(session, actor, server_id)
    return versions.view(server, await versions.prepare(session, server, asked))


@router.post("/servers/{server_id}/upgrade", status_code=ACCEPTED, tags=["servers"])
async def upgrade_server(
    server_id: str,
    asked: UpgradeRequest,
    orders: Ordering,
    show: Showing,
    actor: Changer,
    key: Key = None,
    if_match: IfMatch = None,
) -> OperationView:
    """What people chose stays, what nobody touched follows the template. Takes effect at the next start."""
    remade, revision = versions.upgrading(None, asked), revision_of(if_match)
    return await show.view(await orders.remake(actor, server_id, remade, revision=revision, key=key))


@router.post("/servers/{server_id}/rollback", status_code=ACCEPTED, tags=["servers"])
async def roll_back_server(
    server_id: str, orders: Ordering, show: Showing, actor: Changer, key: Key = None, if_match: IfMatch = None
) -> OperationView:
    """To what it was before its last upgrade, but for limits, ports and what else its template has no say in."""
    revision = revision_of(if_match)
    return await show.view(await orders.remake(actor, server_id, versions.rolled_back, revision=revision, key=key))
