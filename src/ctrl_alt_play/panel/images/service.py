"""What is asked of a node about its images."""

from collections.abc import Iterable
from typing import TypeVar

from sqlalchemy import select

from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.errors import Conflict, NodeRefused
from ctrl_alt_play.panel.gateway.base import Gateway
from ctrl_alt_play.panel.images.schemas import ImageList, ImageView, Pruned, UserOfImage
from ctrl_alt_play.panel.models import Server
from ctrl_alt_play.panel.nodes import service as nodes
from ctrl_alt_play.panel.nodes.pulls import view_of
from ctrl_alt_play.panel.nodes.schemas import PullView
from ctrl_alt_play.protocol.contents import Action
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.images import (
    ImagePayload,
    ImagePull,
    ImageRemoval,
    ImagesPruned,
    NodeImages,
    PrunePayload,
)
from ctrl_alt_play.protocol.messages import News, read
from ctrl_alt_play.protocol.specification import Model

LOOK_TIMEOUT_S = 10.0
REMOVE_TIMEOUT_S = 30.0
PRUNE_TIMEOUT_S = 60.0
MOST_NAMED = 10

Answer = TypeVar("Answer", bound=News)


class Images:
    """Each raises `NotFound`, no such node; `NodeRefused`, it did not do it, or cannot be asked."""

    def __init__(self, database: Database, gateway: Gateway) -> None:
        self._database = database
        self._gateway = gateway

    async def list(self, node_id: str) -> ImageList:
        told = await self._ask(NodeImages, node_id, Action.LIST_IMAGES, None, LOOK_TIMEOUT_S)
        names = await self._names({server_id for image in told.images for server_id in image.servers})
        views = [
            ImageView(
                id=image.id,
                names=list(image.names),
                size_bytes=image.size,
                created_at=image.created_at,
                servers=[UserOfImage(id=server_id, name=names.get(server_id)) for server_id in image.servers],
                others=list(image.others),
                is_pulled=image.is_pulled,
            )
            for image in told.images
        ]
        return ImageList(items=views, more=told.more)

    async def pull(self, node_id: str, image: str) -> PullView:
        """Begins it; how far it is the node tells, and its view shows."""
        told = await self._ask(ImagePull, node_id, Action.PULL_IMAGE, ImagePayload(image=image), LOOK_TIMEOUT_S)
        return view_of(told)

    async def remove(self, node_id: str, image: str) -> None:
        """By an id or a name. Raises: Conflict, it is used, and by whom."""
        asked = ImagePayload(image=image)
        told = await self._ask(ImageRemoval, node_id, Action.REMOVE_IMAGE, asked, REMOVE_TIMEOUT_S)
        if told.servers or told.others:
            names = await self._names(told.servers)
            ours = [names.get(server_id, server_id) for server_id in told.servers]
            raise Conflict(_in_use(ours, told.others), "IMAGE_IN_USE")

    async def prune(self, node_id: str, *, everything: bool) -> Pruned:
        asked = PrunePayload(everything=everything)
        told = await self._ask(ImagesPruned, node_id, Action.PRUNE_IMAGES, asked, PRUNE_TIMEOUT_S)
        return Pruned(removed=told.removed, freed_bytes=told.freed, more=told.more)

    async def _ask(
        self, shape: type[Answer], node_id: str, action: Action, payload: Model | None, timeout_s: float
    ) -> Answer:
        async with self._database.reading() as session:
            await nodes.get(session, node_id)
        try:
            return read(shape, await self._gateway.ask(node_id, action, "", payload, timeout_s))
        except Fault as fault:
            raise NodeRefused(fault) from fault

    async def _names(self, server_ids: Iterable[str]) -> dict[str, str]:
        wanted = list(server_ids)[:1000]
        async with self._database.reading() as session:
            found = await session.scalars(select(Server).where(Server.id.in_(wanted)))
            return {server.id: server.name for server in found}


def _in_use(servers: list[str], others: tuple[str, ...]) -> str:
    used = []
    if servers:
        used.append(f"{'servers' if len(servers) > 1 else 'the server'} {_listed(servers)}")
    if others:
        used.append(f"containers that are not ours: {_listed(others)}")
    return f"The image is used by {' and '.join(used)}. It can be removed once nothing uses it."


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - MOST_NAMED} more" if len(every) > MOST_NAMED else ""
    return ", ".join(every[:MOST_NAMED]) + more
