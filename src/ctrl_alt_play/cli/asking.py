"""What commands on servers have in common: naming one, asking for an operation, and following it."""

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from ctrl_alt_play.cli.output import say, show_json
from ctrl_alt_play.client import Api, ApiError, Login, as_id

ServerArgument = Annotated[
    str, typer.Argument(metavar="SERVER", help="A server's id, or its name where only one has it.")
]
NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="A node's id.")]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done.")]


def find(api: Api, server: str) -> dict[str, Any]:
    """The server that was named by its id or its name."""
    try:
        found: dict[str, Any] = api.call("GET", f"/api/servers/{as_id(server)}")
    except ApiError as error:
        if error.status != 404:
            raise
        found = _named(api, server)
    return found


def _named(api: Api, name: str) -> Any:
    if not name:
        raise ApiError("SERVER_NOT_FOUND", "No server has an empty name: give its id or its name.", 404)
    found = [each for each in api.every("/api/servers", name=name) if each["name"] == name]
    if len(found) != 1:
        reason = "No server" if not found else f"{len(found)} servers"
        raise ApiError("SERVER_NOT_FOUND", f"{reason} of that id or name: {name}", 404 if not found else 409)
    return found[0]


def operate(
    server: str, path: str, body: Any, *, wait: bool, as_json: bool, method: str = "POST", **query: Any
) -> None:
    """Asks for an operation on a server, and follows it."""
    with Api(Login.load()) as api:
        operation = api.call(method, f"/api/servers/{find(api, server)['id']}{path}", body, **query)
        show_operation(api, operation, wait=wait, as_json=as_json)


def show_operation(api: Api, operation: dict[str, Any], *, wait: bool, as_json: bool) -> None:
    if wait:
        operation = api.follow(operation, tell=told_once())
    if as_json:
        show_json(operation)
    else:
        note = f" ({operation['message']})" if operation["message"] else ""
        say(f"{operation['kind']} {operation['state']}: server {operation['server_id']}{note}")


def told_once() -> Callable[[dict[str, Any]], None]:
    """Tells whoever sits at a terminal how far an operation is, where that changed."""
    last = ""

    def tell(operation: dict[str, Any]) -> None:
        nonlocal last
        line = how_far(operation)
        if line and line != last and sys.stderr.isatty():
            say(line, err=True)
        last = line or last

    return tell


def how_far(operation: dict[str, Any]) -> str:
    """In steps of ten percent; what it waits for, where it was not accepted yet."""
    progress = operation.get("progress")
    if progress is None:
        return str(operation["message"] or "") if operation["state"] == "queued" else ""
    percent = "" if progress["percent"] is None else f" {progress['percent'] // 10 * 10:.0f} %"
    return f"{progress['phase']}{percent} {progress['message']}".rstrip()
