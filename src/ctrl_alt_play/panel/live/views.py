"""What viewers see, read from the database and written as JSON."""

from collections.abc import Collection, Sequence
from functools import partial

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.panel.live.states import Listing, Page, Row
from ctrl_alt_play.panel.live.topics import Kind
from ctrl_alt_play.panel.models import OPEN_STATES, Node, Operation, Server
from ctrl_alt_play.panel.nodes.service import Nodes
from ctrl_alt_play.panel.operations import service as operations
from ctrl_alt_play.panel.operations import views as operation_views
from ctrl_alt_play.panel.servers import service as servers
from ctrl_alt_play.panel.servers import views as server_views
from ctrl_alt_play.panel.servers.schemas import ServerView

PAGE = 200
MOST_OPERATIONS = 200
"""Open ones of a server that its viewer begins with, the latest."""


class Views:
    def __init__(self, nodes: Nodes, of_operations: operation_views.Views, present: server_views.Present) -> None:
        self._nodes = nodes
        self._of_operations = of_operations
        self._present = present

    async def servers(self, session: AsyncSession, rows: Sequence[Server]) -> list[Row]:
        found = await server_views.views(session, rows, self._present)
        return [Row(view.id, view.model_dump_json(), partial(_guarded, view)) for view in found]

    async def operations(self, session: AsyncSession, rows: Sequence[Operation]) -> list[Row]:
        return [Row(view.id, view.model_dump_json()) for view in await self._of_operations.views(session, rows)]

    async def nodes(self, session: AsyncSession, node_ids: Collection[str]) -> list[Row]:
        return [Row(view.id, view.model_dump_json()) for view in await self._nodes.views_of(session, node_ids)]

    async def open_operations(self, session: AsyncSession, server_id: str) -> list[Row]:
        query = select(Operation).where(Operation.server_id == server_id, Operation.state.in_(OPEN_STATES))
        found = await session.scalars(query.order_by(Operation.id.desc()).limit(MOST_OPERATIONS))
        return await self.operations(session, found.all()[::-1])

    async def page(self, session: AsyncSession, listing: Listing) -> Page:
        """What follows what the listing has."""
        actor, last_id = listing.channel.actor, listing.last_id
        match listing.topic.kind:
            case Kind.SERVERS:
                of_servers = servers.visible_to(actor).where(Server.id > last_id).order_by(Server.id)
                found = (await session.scalars(of_servers.limit(PAGE + 1))).all()
                return Page(await self.servers(session, found[:PAGE]), len(found) > PAGE)
            case Kind.OPERATIONS:
                still_open = operations.visible_to(actor).where(Operation.state.in_(OPEN_STATES))
                still_open = still_open.where(Operation.id > last_id).order_by(Operation.id)
                told = (await session.scalars(still_open.limit(PAGE + 1))).all()
                return Page(await self.operations(session, told[:PAGE]), len(told) > PAGE)
            case _:
                of_nodes = select(Node.id).where(Node.id > last_id).order_by(Node.id)
                ids = (await session.scalars(of_nodes.limit(PAGE + 1))).all()
                return Page(await self.nodes(session, ids[:PAGE]), len(ids) > PAGE)


def _guarded(view: ServerView) -> str:
    return server_views.guarded(view).model_dump_json()
