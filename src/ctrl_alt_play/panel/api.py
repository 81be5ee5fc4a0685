"""What all of the panel's HTTP has in common: problems as RFC 9457 documents, an id for each request, and a limit to what is taken in."""

from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any, cast
from uuid import uuid4

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ctrl_alt_play import logs
from ctrl_alt_play.characters import shown
from ctrl_alt_play.panel.errors import PROBLEM_TYPE, FieldProblem, Invalid, PanelError

LARGEST_BODY_BYTES = 1024 * 1024

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Envelope:
    """Gives each request, and each connection, an id that all that is logged on its behalf carries; counts a body; answers what nobody else did."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        if scope["type"] == "http":
            with logs.carrying(request_id=request_id):
                await self._answer(request_id, scope, receive, send)
        else:
            with logs.carrying(connection_id=request_id):
                await self._app(scope, receive, send)

    async def _answer(self, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        def send_named(message: Message) -> Awaitable[None]:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
                log.debug("request_answered", method=scope["method"], path=scope["path"], status=message["status"])
            return send(message)

        try:
            _refuse_announced(scope)
            await self._app(scope, _counted(receive), send_named)
        except Exception as error:
            problem = _last_resort(error, scope)
            if started:
                raise
            await respond(problem, request_id)(scope, receive, send_named)


def install(app: FastAPI) -> None:
    app.add_middleware(Envelope)
    app.add_exception_handler(PanelError, _on_panel_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)


def respond(error: PanelError, request_id: str) -> JSONResponse:
    return JSONResponse(error.document(request_id), error.status_code, error.headers, PROBLEM_TYPE)


def _last_resort(error: Exception, scope: Scope) -> PanelError:
    if isinstance(error, HTTPException):
        return _of_http_error(error)
    log.error("request_failed", method=scope["method"], path=scope["path"], exc_info=error)
    return PanelError("The panel failed at this; its log has the details, under this request's id.")


def _refuse_announced(scope: Scope) -> None:
    if (
        "\x00" in scope["path"] or b"%00" in scope["query_string"]
    ):  # PostgreSQL keeps no NUL, so nothing can be called so
        raise HTTPException(HTTPStatus.NOT_FOUND)
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > LARGEST_BODY_BYTES:
            raise _too_large()


def _counted(receive: Receive) -> Receive:
    taken = 0

    async def receive_counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > LARGEST_BODY_BYTES:
            raise _too_large()
        return message

    return receive_counted


def _too_large() -> HTTPException:
    """Starlette's own kind, which FastAPI lets pass while it reads a body; all others it takes for a body that cannot be read."""
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


async def _on_panel_error(request: Request, error: Exception) -> JSONResponse:
    return respond(cast("PanelError", error), request.state.request_id)  # Starlette gives it what it is registered for


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    problems = cast("RequestValidationError", error).errors()
    found = Invalid.of(FieldProblem(shown(_place(problem)), shown(_reason(problem))) for problem in problems)
    return respond(found, request.state.request_id)


def _place(problem: dict[str, Any]) -> str:
    """Where in what was sent: `ports.0.external`. The first part says only whether it was the body, the path or the query."""
    location = problem["loc"]
    if problem["type"] == "json_invalid":
        return "body"
    return ".".join(map(str, location[1:])) or str(location[0])


def _reason(problem: dict[str, Any]) -> str:
    if problem["type"] == "json_invalid":
        return f"it is no JSON: {problem['ctx']['error']}, at character {problem['loc'][-1]}"
    if problem["type"] == "string_too_short" and problem["ctx"]["min_length"] == 1:
        return "it must not be empty"
    return str(problem["msg"]).removeprefix("Value error, ")


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    return respond(_of_http_error(cast("HTTPException", error)), request.state.request_id)


def _of_http_error(error: HTTPException) -> PanelError:
    """Starlette's and FastAPI's own: no such path, no such method, a body that is too large."""
    status = HTTPStatus(error.status_code)
    code, sentence = _KNOWN.get(status, (status.name, str(error.detail)))
    problem = PanelError(sentence, code)
    problem.status_code = error.status_code
    problem.headers = dict(error.headers or {})
    return problem


_KNOWN = {
    HTTPStatus.NOT_FOUND: ("NOT_FOUND", "There is nothing at this address."),
    HTTPStatus.METHOD_NOT_ALLOWED: ("METHOD_NOT_ALLOWED", "This address does not take that method."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("BODY_TOO_LARGE", f"Send at most {LARGEST_BODY_BYTES} bytes."),
}
