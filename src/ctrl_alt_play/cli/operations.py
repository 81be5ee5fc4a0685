"""`ctrl-alt-play operation …`"""

from typing import Annotated, Any

import typer

from ctrl_alt_play.cli.asking import how_far, told_once
from ctrl_alt_play.cli.output import JsonOption, show_json, show_table
from ctrl_alt_play.client import Api, ApiError, Login, as_id

app = typer.Typer(no_args_is_help=True)
OperationArgument = Annotated[str, typer.Argument(metavar="OPERATION", help="Its id.")]
CANCELLED = "CANCELLED"


@app.command()
def show(operation: OperationArgument, *, as_json: JsonOption = False) -> None:
    """What became of an operation, or how far it is."""
    with Api(Login.load()) as api:
        _show(api.call("GET", f"/api/operations/{as_id(operation)}"), as_json=as_json)


@app.command()
def cancel(operation: OperationArgument, *, as_json: JsonOption = False) -> None:
    """Stop what an operation does; the server is then as it was before. Fails where it was too late for that."""
    with Api(Login.load()) as api:
        path = f"/api/operations/{as_id(operation)}"
        asked = api.call("POST", f"{path}/cancel")
        try:
            api.follow(asked, tell=told_once())
        except ApiError as error:
            if error.code != CANCELLED:
                raise
        ended = api.call("GET", path)
        _show(ended, as_json=as_json)
        if ended["code"] != CANCELLED:
            raise ApiError("INVALID_STATE", "It had ended before it could be cancelled.", 409)


def _show(operation: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(operation)
        return
    told = how_far(operation) or operation["message"]
    state = CANCELLED.lower() if operation["code"] == CANCELLED else operation["state"]
    row = (operation["id"], operation["kind"], state, operation["server_id"], operation["created_at"], told)
    show_table(("ID", "KIND", "STATE", "SERVER", "CREATED", "WHAT"), [row])
