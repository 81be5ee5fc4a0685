"""The page, at every address that is one of its own. It may load nothing from anywhere else, and run nothing that is written into it."""

from fastapi import APIRouter, Depends, Request, Response, status
from fastapi.responses import RedirectResponse

from ctrl_alt_play.panel.errors import NotFound
from ctrl_alt_play.panel.page import files
from ctrl_alt_play.panel.page.files import File
from ctrl_alt_play.panel.security import public

ADDRESSES = (
    *("/", "/setup", "/servers/{rest:path}", "/nodes", "/nodes/{rest:path}", "/templates", "/templates/{rest:path}"),
    *("/registries", "/users", "/account", "/design"),
)
"""Where the page itself answers, whatever is shown there: as `ui/src/routes.ts` has them."""
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
GUARDED = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}
FOR_EVER = "public, max-age=31536000, immutable"
"""A built file has its content's hash in its name."""

router = APIRouter(dependencies=[Depends(public)], include_in_schema=False)


async def show(request: Request) -> Response:
    """A panel that was installed without its page has the API's own page."""
    index = files.read("index.html")
    if index is None:
        return RedirectResponse("/docs")
    return (
        _answer(request, index, "no-cache")
        if _is_stale(request, index)
        else Response(status_code=status.HTTP_304_NOT_MODIFIED)
    )


for address in ADDRESSES:
    router.add_api_route(address, show, methods=["GET"])


@router.get("/assets/{name}")
async def asset(request: Request, name: str) -> Response:
    return _known(request, f"assets/{name}", FOR_EVER)


@router.get("/icon.svg")
async def icon(request: Request) -> Response:
    return _known(request, "icon.svg", "max-age=86400")


def _known(request: Request, name: str, keeping: str) -> Response:
    found = files.read(name)
    if found is None:
        raise NotFound("There is no such file.")
    return _answer(request, found, keeping)


def _is_stale(request: Request, file: File) -> bool:
    return request.headers.get("if-none-match") != file.etag


def _answer(request: Request, file: File, keeping: str) -> Response:
    headers = {**GUARDED, "Cache-Control": keeping, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.packed, media_type=file.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(file.content, media_type=file.media_type, headers=headers)
