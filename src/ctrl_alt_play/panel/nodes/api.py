"""Administrators' care of nodes."""

import asyncio
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request, Response, status

from ctrl_alt_play.panel.db import Reading
from ctrl_alt_play.panel.errors import NotFound
from ctrl_alt_play.panel.nodes import wheel
from ctrl_alt_play.panel.nodes.enrolment import Enrolments
from ctrl_alt_play.panel.nodes.schemas import (
    Diagnosis,
    EnrolledNode,
    Enrolment,
    Identity,
    NewNode,
    NodeChange,
    NodeSecret,
    NodeView,
    Redemption,
)
from ctrl_alt_play.panel.nodes.service import Nodes
from ctrl_alt_play.panel.paging import Limit, Page, cut
from ctrl_alt_play.panel.permissions import Permission
from ctrl_alt_play.panel.security import Allowed, public

router = APIRouter(prefix="/api/nodes", tags=["nodes"], dependencies=[Depends(Allowed(Permission.NODES_MANAGE))])
machines = APIRouter(prefix="/api/enrolment", tags=["nodes"], dependencies=[Depends(public)])


async def _nodes(request: Request) -> Nodes:
    return cast("Nodes", request.app.state.nodes)


async def _enrolments(request: Request) -> Enrolments:
    return cast("Enrolments", request.app.state.enrolments)


Service = Annotated[Nodes, Depends(_nodes)]
Enrolling = Annotated[Enrolments, Depends(_enrolments)]


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


@router.post("/{node_id}/enrolment", status_code=status.HTTP_201_CREATED)
async def begin_enrolment(node_id: str, enrolments: Enrolling) -> Enrolment:
    """A token for `ctrl-alt-play agent --enrol`: it lasts an hour, is good once, and replaces the one before."""
    return await enrolments.begin(node_id)


@machines.post("")
async def redeem_enrolment(redemption: Redemption, request: Request, enrolments: Enrolling) -> Identity:
    """For agents: exchanges a token for the node's secret, which is made here. The secret of before is worth nothing then."""
    return await enrolments.redeem(redemption.token, request.client.host if request.client else "")


@machines.get("/{file}", response_class=Response)
async def get_program(file: str) -> Response:
    """The panel's own program as a wheel, for `pip install`: it is what everybody can have, and holds nothing of this panel."""
    if file != wheel.file_name():
        raise NotFound(f"There is no such file; there is {wheel.file_name()}.")
    return Response(await asyncio.to_thread(wheel.content), media_type="application/zip")


@router.get("/{node_id}/doctor")
async def diagnose_node(node_id: str, session: Reading, nodes: Service) -> Diagnosis:
    """What is wrong with the node and what to do, by what the panel knows of it. Waits for nobody."""
    return Diagnosis(findings=await nodes.examine(session, node_id))


@router.get("/{node_id}/doctor/own")
async def examine_node(node_id: str, nodes: Service) -> Diagnosis:
    """What the node finds when it looks at itself; it has 10 s. That it cannot be asked is a finding, too."""
    return Diagnosis(findings=list(await nodes.ask_for_examination(node_id)))


@router.delete("/{node_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_node(node_id: str, nodes: Service) -> None:
    await nodes.delete(node_id)
