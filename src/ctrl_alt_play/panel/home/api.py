"""Whether the panel is well, and the pages that explain its API. The pages' scripts come from the panel itself: no third party learns of a visit."""

from importlib.resources import files
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Depends, FastAPI, Request, Response, status
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

from ctrl_alt_play import __version__
from ctrl_alt_play.panel.db import Database, database_of
from ctrl_alt_play.panel.gateway.base import Gateway
from ctrl_alt_play.panel.security import public

ASSETS = "/docs/assets"

router = APIRouter(dependencies=[Depends(public)])


class Health(BaseModel):
    status: Literal["ok", "degraded"]
    version: str
    database: Literal["ok", "unreachable"]
    connected_agents: int


async def _gateway(request: Request) -> Gateway:
    return cast("Gateway", request.app.state.gateway)


@router.get("/api/health", tags=["panel"])
async def health(
    response: Response,
    database: Annotated[Database, Depends(database_of)],
    gateway: Annotated[Gateway, Depends(_gateway)],
) -> Health:
    """503 while the database cannot be reached."""
    is_well = await database.is_reachable()
    if not is_well:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return Health(
        status="ok" if is_well else "degraded",
        version=__version__,
        database="ok" if is_well else "unreachable",
        connected_agents=gateway.connected_nodes,
    )


@router.get("/docs", include_in_schema=False)
async def documentation(request: Request) -> HTMLResponse:
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=f"{request.app.title} API",
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon.png",
    )


def mount_assets(app: FastAPI) -> None:
    """The package is there for its files; its own application is not used."""
    folder = files("fastapi_offline") / "static"
    app.mount(ASSETS, StaticFiles(directory=str(folder)), name="documentation")
