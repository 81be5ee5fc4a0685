"""Administrators' care of the ports of nodes."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request, status

from ctrl_alt_play.panel.db import Reading
from ctrl_alt_play.panel.paging import Limit, Page, cut
from ctrl_alt_play.panel.permissions import Permission
from ctrl_alt_play.panel.placement import ranges
from ctrl_alt_play.panel.placement.ranges import Ranges
from ctrl_alt_play.panel.placement.schemas import AllocationView, NewPortRange, PortRangeChange, PortRangeView
from ctrl_alt_play.panel.security import Allowed

router = APIRouter(
    prefix="/api/nodes/{node_id}", tags=["nodes"], dependencies=[Depends(Allowed(Permission.NODES_MANAGE))]
)


async def _ranges(request: Request) -> Ranges:
    return cast("Ranges", request.app.state.ranges)


Service = Annotated[Ranges, Depends(_ranges)]


@router.get("/ports")
async def list_port_ranges(node_id: str, session: Reading) -> Page[PortRangeView]:
    """Those that servers are given by themselves; there are 64 at most, on one page. Without any, any port may be given."""
    return Page(items=await ranges.ranges_of(session, node_id), next_cursor=None)


@router.post("/ports", status_code=status.HTTP_201_CREATED)
async def add_port_range(node_id: str, new: NewPortRange, service: Service) -> PortRangeView:
    return await service.add(node_id, new)


@router.patch("/ports/{range_id}")
async def change_port_range(node_id: str, range_id: str, change: PortRangeChange, service: Service) -> PortRangeView:
    """Not so that ports which servers hold would be outside of it."""
    return await service.change(node_id, range_id, change)


@router.delete("/ports/{range_id}", status_code=status.HTTP_204_NO_CONTENT)
async def remove_port_range(node_id: str, range_id: str, service: Service) -> None:
    """Not while servers hold ports of it."""
    await service.remove(node_id, range_id)


@router.get("/allocations")
async def list_allocations(
    node_id: str, session: Reading, limit: Limit = 50, cursor: str | None = None, range_id: str | None = None
) -> Page[AllocationView]:
    """Ports that servers hold, and whose; with `range_id` those in the way of that range."""
    found = await ranges.held(session, node_id, range_id, limit, cursor)
    rows, next_cursor = cut(found, limit, lambda row: (str(row[0].port), str(row[0].id)))
    return Page(items=[ranges.held_view(*row) for row in rows], next_cursor=next_cursor)
