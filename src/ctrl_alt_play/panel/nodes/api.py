"""Administrators' care of nodes."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request, status

from ctrl_alt_play.panel.db import Reading
from ctrl_alt_play.panel.nodes.schemas import EnrolledNode, NewNode, NodeChange, NodeSecret, NodeView
from ctrl_alt_play.panel.nodes.service import Nodes
from ctrl_alt_play.panel.paging import Limit, Page, cut
from ctrl_alt_play.panel.permissions import Permission
from ctrl_alt_play.panel.security import Allowed

router = APIRouter(prefix="/api/nodes", tags=["nodes"], dependencies=[Depends(Allowed(Permission.NODES_MANAGE))])


async def _nodes(request: Request) -> Nodes:
    return cast("Nodes", request.app.state.nodes)


Service = Annotated[Nodes, Depends(_nodes)]


@router.get("")
async def list_nodes(session: Reading, nodes: Service, limit: Limit = 50, cursor: str | None = None) -> Page[NodeView]:
    views, next_cursor = cut(await nodes.views(session, limit, cursor), limit, lambda node: (node.id,))
    return Page(items=views, next_cursor=next_cursor)


@router.post("", status_code=status.HTTP_201_CREATED)
async def enrol_node(new: NewNode, nodes: Service) -> EnrolledNode:
    view, secret = await nodes.enrol(new)
    return EnrolledNode(**view.model_dump(), secret=secret)


@router.get("/{node_id}")
async def get_node(node_id: str, session: Reading, nodes: Service) -> NodeView:
    return await nodes.view(session, node_id)


@router.patch("/{node_id}")
async def change_node(node_id: str, change: NodeChange, nodes: Service) -> NodeView:
    return await nodes.change(node_id, change)


@router.post("/{node_id}/secret")
async def renew_secret(node_id: str, nodes: Service) -> NodeSecret:
    return NodeSecret(secret=await nodes.renew_secret(node_id))


@router.delete("/{node_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_node(node_id: str, nodes: Service) -> None:
    await nodes.delete(node_id)
