"""Consoles over HTTP: read in pages, searched, downloaded, and told as they are written. What is asked of a node that is away fails at once."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Header, Query, Request, status
from fastapi.responses import StreamingResponse

from ctrl_alt_play.panel.consoles import schemas
from ctrl_alt_play.panel.consoles.schemas import ConsoleView, SearchView
from ctrl_alt_play.panel.consoles.service import Consoles
from ctrl_alt_play.panel.consoles.stream import Stream
from ctrl_alt_play.panel.db import Database, database_of
from ctrl_alt_play.panel.errors import FieldProblem, Invalid, NodeRefused, PanelError
from ctrl_alt_play.panel.models import Server
from ctrl_alt_play.panel.permissions import Permission
from ctrl_alt_play.panel.security import Actor, Allowed
from ctrl_alt_play.panel.servers import service as servers
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.live import (
    HIGHEST_OFFSET,
    MOST_MATCHES,
    MOST_QUERY_CHARS,
    ConsolePage,
    HistoryPayload,
    SearchPayload,
)

CUT_OFF = "[The rest is missing: {reason}]\n"

router = APIRouter(prefix="/api/servers/{server_id}/console", tags=["consoles"])
_allowed = Allowed(Permission.SERVERS_CONSOLE)


async def _consoles(request: Request) -> Consoles:
    return cast("Consoles", request.app.state.consoles)


async def _server(
    server_id: str,
    actor: Annotated[Actor, Depends(_allowed)],
    database: Annotated[Database, Depends(database_of)],
) -> Server:
    async with database.reading() as session:
        return await servers.get_visible(session, actor, server_id)


Seen = Annotated[Server, Depends(_server)]
Known = Annotated[Consoles, Depends(_consoles)]
Place = Annotated[int | None, Query(ge=0, le=HIGHEST_OFFSET)]


@contextmanager
def _of_its_node() -> Iterator[None]:
    """What the node refuses, or does not answer, is told as its refusal."""
    try:
        yield
    except Fault as fault:
        raise NodeRefused(fault) from fault


@router.get("")
async def read_console(
    server: Seen,
    consoles: Known,
    lines: Annotated[int, Query(ge=1, le=1000)] = 200,
    after: Place = None,
    before: Place = None,
) -> ConsoleView:
    """The last lines; or, with the `cursor` of an earlier answer as `after`, those that follow it; or, with its `earlier` as `before`, those
    that came before it.
    """
    if after is not None and before is not None:
        raise Invalid.of([FieldProblem("before", "leave out either this or `after`")])
    asked = HistoryPayload(since=after, before=before, lines=lines)
    with _of_its_node():
        page = await consoles.asking.page(server.node_id, server.id, asked)
    return schemas.view(page)


@router.get("/search")
async def search_console(
    server: Seen,
    consoles: Known,
    text: Annotated[str, Query(min_length=1, max_length=MOST_QUERY_CHARS, pattern=r"^[^\r\n\x00]*$")],
    regex: Annotated[bool, Query(description="`text` is a regular expression, in RE2's syntax")] = False,  # noqa: FBT002 - a query parameter
    ignore_case: Annotated[bool, Query()] = True,  # noqa: FBT002 - as above
    after: Annotated[datetime | None, Query(description="only lines written at or after this time")] = None,
    until: Annotated[datetime | None, Query(description="only lines written before this time")] = None,
    before: Place = None,
    limit: Annotated[int, Query(ge=1, le=MOST_MATCHES)] = 100,
) -> SearchView:
    """Lines that have this text, the newest first. An answer may have fewer than there are, or none, and still a `before`: ask on with that."""
    asked = SearchPayload(
        text=text,
        is_regex=regex,
        ignore_case=ignore_case,
        after=after,
        until=until,
        before=before,
        limit=limit,
    )
    with _of_its_node():
        page = await consoles.asking.search(server.node_id, server.id, asked)
    return schemas.search_view(page)


@router.get("/download", response_class=StreamingResponse)
async def download_console(server: Seen, consoles: Known) -> StreamingResponse:
    """All that is kept, as a text file."""
    pages = consoles.asking.all_pages(server.node_id, server.id)
    with _of_its_node():
        first = await anext(pages)
    headers = {"Content-Disposition": f'attachment; filename="console-{server.id}.txt"'}
    return StreamingResponse(_text(first, pages), media_type="text/plain; charset=utf-8", headers=headers)


async def _text(first: ConsolePage, pages: AsyncIterator[ConsolePage]) -> AsyncIterator[str]:
    yield schemas.plain(first)
    try:
        async for page in pages:
            yield schemas.plain(page)
    except Fault as fault:
        yield CUT_OFF.format(reason=fault.message)


@router.get("/stream", response_class=Stream, status_code=status.HTTP_200_OK)
async def stream_console(
    request: Request,
    server: Seen,
    consoles: Known,
    after: Place = None,
    last_event_id: Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=HIGHEST_OFFSET)] = None,
) -> Stream:
    """What the server writes, as it does. Begins with its newest lines, or after an offset; goes on where it was cut by `Last-Event-ID`."""
    watched = consoles.watch(server.node_id, server.id, after if last_event_id is None else last_event_id)
    return Stream(watched, lambda: _is_allowed(request))


async def _is_allowed(request: Request) -> bool:
    try:
        await _allowed.again(request)
    except PanelError:
        return False
    return True
