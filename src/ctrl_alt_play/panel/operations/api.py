"""One operation, for whoever waits for its end or wants it to end sooner."""

from typing import Annotated

from fastapi import APIRouter, Depends

from ctrl_alt_play.panel.db import Reading
from ctrl_alt_play.panel.operations import service
from ctrl_alt_play.panel.operations.schemas import OperationView
from ctrl_alt_play.panel.operations.views import Showing
from ctrl_alt_play.panel.permissions import Permission
from ctrl_alt_play.panel.security import Actor, Allowed

router = APIRouter(prefix="/api/operations", tags=["operations"])


@router.get("/{operation_id}")
async def get_operation(
    operation_id: str,
    session: Reading,
    show: Showing,
    actor: Annotated[Actor, Depends(Allowed(Permission.OPERATIONS_SEE))],
) -> OperationView:
    operation = await service.get_visible(session, actor, operation_id)
    return (await show.views(session, [operation]))[0]
