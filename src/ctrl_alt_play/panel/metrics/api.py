"""Where Prometheus reads. A token opens it, or else it is for programs on this machine alone."""

import asyncio
from ipaddress import ip_address
from typing import cast

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.db import Reading
from ctrl_alt_play.panel.errors import Forbidden, Unauthenticated
from ctrl_alt_play.panel.metrics import service
from ctrl_alt_play.panel.metrics.counted import Counted
from ctrl_alt_play.panel.metrics.known import Known
from ctrl_alt_play.panel.security import is_same, public

router = APIRouter(tags=["panel"])

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


async def allowed(request: Request) -> None:
    """Raises: Unauthenticated, without the right token; Forbidden, where there is no token and the client is elsewhere."""
    token: str | None = request.app.state.config.metrics_bearer
    if token is not None:
        if not is_same(request.headers.get("authorization", ""), f"Bearer {token}"):
            raise Unauthenticated("Send the panel's METRICS_TOKEN as `Authorization: Bearer …`.")
    elif not _is_here(request):
        raise Forbidden(
            "Metrics are for programs on the panel's own machine alone. To read them from elsewhere give the panel a METRICS_TOKEN, and send it "
            "as `Authorization: Bearer …`."
        )


def _is_here(request: Request) -> bool:
    """Whoever comes through a proxy does not, wherever the proxy is."""
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        address = ip_address(request.client.host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


@router.get("/metrics", dependencies=[Depends(public), Depends(allowed)], response_class=Response)
async def metrics(request: Request, session: Reading) -> Response:
    """What the panel counts, in Prometheus' text format. With a setting METRICS_TOKEN for whoever sends that, else for this machine alone."""
    state = request.app.state
    known, clock = cast("Known", state.known), cast("Clock", state.clock)
    known.look(await service.statuses(session))
    await cast("service.Endings", state.endings).look(session, clock.utc())
    text = await asyncio.to_thread(generate_latest, cast("Counted", state.counted).registry)
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)
