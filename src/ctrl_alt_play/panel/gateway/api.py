"""The WebSocket route that agents dial, on whichever port they come."""

from contextlib import suppress
from typing import cast

import structlog
from fastapi import APIRouter, Depends, Request, WebSocket
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.websockets import WebSocketDisconnect

from ctrl_alt_play.panel.errors import (
    PROBLEM_TYPE,
    Forbidden,
    PanelError,
    TooManyAttempts,
    Unauthenticated,
    Unavailable,
)
from ctrl_alt_play.panel.gateway.door import Door
from ctrl_alt_play.panel.gateway.local import LocalGateway
from ctrl_alt_play.panel.gateway.rivals import Caller
from ctrl_alt_play.panel.gateway.sockets import Gone
from ctrl_alt_play.panel.security import public

RETRY_AFTER_S = 5
LONGEST_INSTANCE = 256

router = APIRouter()
log: structlog.stdlib.BoundLogger = structlog.get_logger()


class _Socket:
    """Starlette's WebSocket as the gateway's connection wants it."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def receive(self) -> str | bytes | None:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        frame: str | bytes | None = message.get("text")
        return frame if frame is not None else message.get("bytes", b"")

    async def send(self, frame: str) -> None:
        try:
            await self._websocket.send_text(frame)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise Gone from error

    async def close(self, code: int, reason: str) -> None:
        try:
            await self._websocket.close(code, reason)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise Gone from error


@router.websocket("/")
async def agents(websocket: WebSocket) -> None:
    gateway = cast("LocalGateway", websocket.app.state.gateway)
    door = cast("Door", websocket.app.state.door)
    address = websocket.client.host if websocket.client else ""
    node_id = websocket.headers.get("x-node-id") or websocket.query_params.get("nodeId")
    try:
        if gateway.is_closing:
            raise Unavailable("The panel is shutting down.", RETRY_AFTER_S)
        admission = await door.admit(address, websocket.headers.get("authorization"), node_id)
    except PanelError as error:
        tell = log.debug if isinstance(error, TooManyAttempts) else log.warning  # who knocks on does not fill the log
        tell("agent_refused", address=address, node_id=(node_id or "")[:64], status=error.status_code)
        await _refuse(websocket, error)
        return
    with suppress(WebSocketDisconnect):
        await websocket.accept()
        caller = Caller(address, websocket.headers.get("x-agent-instance", "")[:LONGEST_INSTANCE])
        await gateway.serve(admission, _Socket(websocket), caller)


class Admittance(BaseModel):
    is_admitted: bool
    reason: str | None = Field(default=None, description="why not, as a sentence")


@router.get("/api/agents/admittance", tags=["nodes"], dependencies=[Depends(public)])
async def judge_agent(request: Request) -> Admittance:
    """For agents: whether one that came with these headers, `Authorization` and `X-Node-Id`, would be let in."""
    door = cast("Door", request.app.state.door)
    address = request.client.host if request.client else ""
    try:
        await door.admit(address, request.headers.get("authorization"), request.headers.get("x-node-id"))
    except (Unauthenticated, Forbidden) as error:
        return Admittance(is_admitted=False, reason=error.detail)
    return Admittance(is_admitted=True)


async def _refuse(websocket: WebSocket, error: PanelError) -> None:
    """Says no before the upgrade, with a status that any HTTP client understands."""
    request_id = websocket.state.request_id
    headers = {**error.headers, "X-Request-Id": request_id}
    with suppress(WebSocketDisconnect):
        await websocket.send_denial_response(
            JSONResponse(error.document(request_id), error.status_code, headers, PROBLEM_TYPE)
        )
