"""`ctrl-alt-play registry …`"""

from typing import Annotated, Any

import typer

from ctrl_alt_play.cli.output import JsonOption, say, show_json, show_table
from ctrl_alt_play.cli.values import given
from ctrl_alt_play.client import Api, ApiError, Login

app = typer.Typer(no_args_is_help=True)
HostArgument = Annotated[
    str, typer.Argument(help="What stands before the first slash of its images' names; docker.io is Docker Hub.")
]
ENVIRONMENT = "CTRL_ALT_PLAY_REGISTRY_PASSWORD"


@app.command("list")
def list_(*, as_json: JsonOption = False) -> None:
    """As whom nodes pull images, by registry. Passwords are never shown."""
    with Api(Login.load()) as api:
        found = api.call("GET", "/api/registries")["items"]
    if as_json:
        show_json(found)
        return
    rows = [(each["host"], each["username"], "yes" if each["is_usable"] else "no: give it again") for each in found]
    show_table(("HOST", "USERNAME", "PASSWORD KNOWN"), rows)


@app.command()
def add(
    host: HostArgument,
    username: Annotated[str, typer.Option(prompt=True)],
    password: Annotated[str, typer.Option(prompt="Password or access token", hide_input=True, envvar=ENVIRONMENT)],
    *,
    as_json: JsonOption = False,
) -> None:
    """Have all nodes pull this registry's images as somebody."""
    with Api(Login.load()) as api:
        added = api.call("POST", "/api/registries", {"host": host, "username": username, "password": password})
    show_json(added) if as_json else say(f"Images of {added['host']} are pulled as {added['username']} from now on.")


@app.command()
def change(
    host: HostArgument,
    username: Annotated[str | None, typer.Option(help="It stays when left out.")] = None,
    password: Annotated[str | None, typer.Option(envvar=ENVIRONMENT, help="It stays when left out.")] = None,
    *,
    ask: Annotated[bool, typer.Option("--new-password", help="Ask for another password.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Change as whom a registry's images are pulled."""
    if ask:
        password = typer.prompt("Password or access token", hide_input=True)
    body = given(username=username, password=password)
    if not body:
        raise typer.BadParameter("say what is to change: --username, --new-password, or both")
    with Api(Login.load()) as api:
        changed = api.call("PATCH", f"/api/registries/{_find(api, host)['id']}", body)
    show_json(changed) if as_json else say(f"Images of {changed['host']} are pulled as {changed['username']}.")


@app.command()
def remove(host: HostArgument) -> None:
    """Forget a registry's password, in the panel and on all nodes."""
    with Api(Login.load()) as api:
        api.call("DELETE", f"/api/registries/{_find(api, host)['id']}")
    say(f"Images of {host} are pulled as nobody from now on.")


def _find(api: Api, host: str) -> dict[str, Any]:
    for registry in api.call("GET", "/api/registries")["items"]:
        if registry["host"] == host.lower():
            return dict(registry)
    raise ApiError("NOT_FOUND", f"There is no login for {host}: `ctrl-alt-play registry list` tells all.", 404)
