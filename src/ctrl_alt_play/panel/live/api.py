"""The live channel over a WebSocket, and as server-sent events for scripts."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import ExitStack, suppress
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Header, Query, Request, WebSocket
from fastapi.requests import HTTPConnection
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.websockets import WebSocketDisconnect, WebSocketState

from ctrl_alt_play.panel.browsers import ensure_same_origin, secret_of
from ctrl_alt_play.panel.errors import PROBLEM_TYPE, FieldProblem, Invalid, PanelError, Unauthenticated
from ctrl_alt_play.panel.live import messages, rights, topics
from ctrl_alt_play.panel.live.channel import Channel, Ending
from ctrl_alt_play.panel.live.frames import frame, problem
from ctrl_alt_play.panel.live.hub import GOING_AWAY, Hub
from ctrl_alt_play.panel.permissions import Permission
from ctrl_alt_play.panel.security import Allowed, Claims, Tokens, identify

TOKEN_DEADLINE_S = 5.0
SEND_DEADLINE_S = 60.0
"""So long a viewer may leave its socket full, and not twice as long; it resumes when it comes again."""
MOST_TOPICS_A_STREAM = 50
PLACES = r"^[^=;\r\n]{1,128}=[0-9]{1,15}(;[^=;\r\n]{1,128}=[0-9]{1,15}){0,49}$"

router = APIRouter(prefix="/api/live", tags=["live"])


def _hub(connection: HTTPConnection) -> Hub:
    return cast("Hub", connection.app.state.live)


@router.websocket("")
async def live(websocket: WebSocket) -> None:
    """Subscribe with `{"subscribe": "servers"}`; the reference tells the rest."""
    with ExitStack() as ends, suppress(WebSocketDisconnect):
        try:
            if "authorization" in websocket.headers:
                channel = ends.enter_context(await _open(websocket, (await identify(websocket)).claims))
                await websocket.accept()
            else:
                channel = ends.enter_context(await _meet(websocket))
        except PanelError as error:
            await _refuse(websocket, error)
        else:
            await _serve(websocket, channel)


async def _meet(websocket: WebSocket) -> Channel:
    """Someone who says who they are when they are in, or whose browser has said so: a page sees nothing of a refusal before."""
    has_session = secret_of(websocket) is not None
    if has_session:
        await ensure_same_origin(websocket)
    with _hub(websocket).stranger():
        await websocket.accept()
        if has_session:
            return await _open(websocket, (await identify(websocket)).claims)
        try:
            async with asyncio.timeout(TOKEN_DEADLINE_S):
                token = messages.read_token(await _receive(websocket))
        except TimeoutError:
            raise Unauthenticated(f"Nobody said who they are within {TOKEN_DEADLINE_S:g} s.") from None
        return await _open(websocket, cast("Tokens", websocket.app.state.tokens).read(token))


async def _open(websocket: WebSocket, claims: Claims) -> Channel:
    return await _hub(websocket).open(claims, is_kept_alive=True)


async def _serve(websocket: WebSocket, channel: Channel) -> None:
    channel.answer(frame("hello", **rights.about(channel.actor)))
    async with asyncio.TaskGroup() as group:
        both = (
            group.create_task(_hear(websocket, channel), name="hear viewer"),
            group.create_task(_tell(websocket, channel), name="tell viewer"),
        )
        while not (await asyncio.wait(both, timeout=SEND_DEADLINE_S, return_when=asyncio.FIRST_COMPLETED))[0]:
            if channel.is_stuck():
                break
        for task in both:
            task.cancel()


async def _tell(websocket: WebSocket, channel: Channel) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        while (told := await channel.next()) is not None:
            await websocket.send_text(told.text)
        await _end(websocket, channel.ending or GOING_AWAY)


async def _end(websocket: WebSocket, ending: Ending) -> None:
    with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(SEND_DEADLINE_S):
            await websocket.send_text(problem(ending.code, ending.message).text)
            await websocket.close(ending.close_code, ending.code)


async def _hear(websocket: WebSocket, channel: Channel) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            await channel.room()
            try:
                await _heed(websocket, channel, await _receive(websocket))
            except PanelError as error:
                channel.answer(problem(error.code, error.detail))


async def _receive(websocket: WebSocket) -> str:
    """Raises: WebSocketDisconnect; Invalid."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code") or 1005)
    text = message.get("text")
    if not isinstance(text, str):
        raise Invalid("Send JSON as text.")
    if len(text.encode()) > messages.LARGEST_BYTES:
        raise Invalid(f"A message has at most {messages.LARGEST_BYTES} bytes.", "MESSAGE_TOO_LARGE")
    return text


async def _heed(websocket: WebSocket, channel: Channel, text: str) -> None:
    wish = messages.read_wish(text)
    if wish.ping is not None:
        channel.answer(frame("pong", pong=wish.ping))
    elif wish.unsubscribe is not None:
        topic = topics.read(wish.unsubscribe)
        if channel.drop(topic):
            channel.answer(frame("unsubscribed", str(topic)))
    elif wish.subscribe is not None:
        topic = topics.read(wish.subscribe)
        try:
            await _hub(websocket).subscribe(channel, topic, wish.after)
        except PanelError as error:
            channel.answer(problem(error.code, error.detail, str(topic)))


async def _refuse(websocket: WebSocket, error: PanelError) -> None:
    """Before the upgrade with a status that any HTTP client understands."""
    if websocket.application_state is WebSocketState.CONNECTED:
        await _end(websocket, Ending(rights.POLICY, error.code, error.detail))
        return
    request_id = websocket.state.request_id
    headers = {**error.headers, "X-Request-Id": request_id}
    await websocket.send_denial_response(
        JSONResponse(error.document(request_id), error.status_code, headers, PROBLEM_TYPE)
    )


Name = Annotated[str, Query(max_length=topics.LONGEST_NAME)]
Places = Annotated[str | None, Query(pattern=PLACES, description="`topic=id;topic=id`: where to go on")]


async def _stream(
    request: Request,
    topic: Annotated[list[Name], Query(min_length=1, max_length=MOST_TOPICS_A_STREAM)],
    after: Places = None,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", pattern=PLACES)] = None,
) -> AsyncIterator[Channel]:
    """All topics are subscribed to before anything is answered, so a refusal has a status."""
    wanted = [topics.read(name) for name in dict.fromkeys(topic)]
    places = _places(last_event_id or after)
    if strange := places.keys() - {str(each) for each in wanted}:
        raise Invalid.of([FieldProblem("after", f"{min(strange)} is no topic of this stream")])
    hub = _hub(request)
    with await hub.open((await identify(request)).claims) as channel:
        for each in wanted:
            await hub.subscribe(channel, each, places.get(str(each)))
        yield channel


@router.get(
    "/events",
    response_class=EventSourceResponse,
    dependencies=[Depends(Allowed(Permission.SERVERS_SEE))],
)
async def stream_events(channel: Annotated[Channel, Depends(_stream)]) -> AsyncIterable[ServerSentEvent]:
    """The same topics and frames as the WebSocket has. An event's id holds the places of all topics that can be resumed: it is taken back as
    `Last-Event-ID`.
    """
    places: dict[str, int] = {}
    while (told := await channel.next()) is not None:
        if told.topic is not None and told.place is not None:
            places[told.topic] = told.place
        yield ServerSentEvent(raw_data=told.text, id=_written(places))
    ending = channel.ending or GOING_AWAY
    yield ServerSentEvent(raw_data=problem(ending.code, ending.message).text, id=_written(places))


def _places(text: str | None) -> dict[str, int]:
    pairs = (pair.rpartition("=") for pair in text.split(";")) if text else ()
    return {name: int(place) for name, _, place in pairs}


def _written(places: dict[str, int]) -> str | None:
    return ";".join(f"{name}={place}" for name, place in places.items()) or None
