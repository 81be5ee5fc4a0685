"""`ctrl-alt-play server startup`, `upgrade`, `rollback`, and servers of templates."""

import re
from typing import Annotated, Any

import typer

from ctrl_alt_play.cli.asking import ServerArgument, WaitOption, find, operate, show_operation
from ctrl_alt_play.cli.output import JsonOption, say, show_json, show_table
from ctrl_alt_play.cli.stored import find as find_template
from ctrl_alt_play.cli.values import given, variable
from ctrl_alt_play.client import Api, ApiError, Login

app = typer.Typer()
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", parser=variable, help="A variable's value; may be repeated."),
]
ImageName = Annotated[str | None, typer.Option("--image", help="One of the template's images, by its name there.")]
CommandName = Annotated[str | None, typer.Option("--command", help="One of its startup commands, likewise.")]
ToVersion = Annotated[int | None, typer.Option("--version", help="The newest when left out.")]
_CHOSEN = re.compile(r"([^=]{1,32})=([0-9]{1,5})(?:/(tcp|udp))?")


def port(text: str) -> str:
    if _CHOSEN.fullmatch(text) is None:
        raise typer.BadParameter(f"{text!r} is no port: give NAME=NUMBER, such as query=27016 or rcon=27017/tcp")
    return text


def ports(texts: list[str] | None) -> list[dict[str, Any]]:
    found = [_CHOSEN.fullmatch(text) for text in texts or []]
    return [given(name=each[1], external=int(each[2]), protocol=each[3]) for each in found if each is not None]


def decided(settings: list[str] | None, image: str | None, command: str | None) -> dict[str, Any]:
    variables = dict(each.split("=", 1) for each in settings or [])
    return given(image=image, startup=command, variables=variables)


def make(api: Api, template: str, body: dict[str, Any], *, is_trial: bool) -> Any:
    """The operation, or what would be made."""
    path = f"/api/templates/{find_template(api, template)['id']}/servers"
    return api.call("POST", f"{path}/preview" if is_trial else path, body)


def show_preview(preview: dict[str, Any]) -> None:
    told = ", ".join(f"{each['name']} {each['external']}/{each['protocol']}" for each in preview["ports"])
    say(f"node: {preview['node_id'] or '-'}\nports: {told or '-'}")
    if preview["startup"] is not None:
        _show(preview["startup"])
    for problem in preview["problems"]:
        say(f"{problem['field']}: {problem['message']}")


@app.command()
def startup(
    server: ServerArgument,
    settings: Settings = None,
    image: ImageName = None,
    command: CommandName = None,
    *,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """What a server is started with; changed by what is given, as its template allows. Takes effect at its next start."""
    body = decided(settings, image, command)
    with Api(Login.load()) as api:
        path = f"/api/servers/{find(api, server)['id']}/startup"
        if body:
            show_operation(api, api.call("PATCH", path, body), wait=wait, as_json=as_json)
            return
        found = api.call("GET", path)
    if as_json:
        show_json(found)
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    template = found["template"]
    if template is not None:
        newer = f" (newest: {template['newest']})" if template["newest"] > template["version"] else ""
        say(f"template: {template['name']}, version {template['version']}{newer}")
    say(f"image: {found['image']['value']}\ncommand: {found['command'] or '-'}")
    rows = [
        (each["environment_name"], _masked(each), "" if each["is_editable"] else "administrators", each["name"])
        for each in found["variables"]
    ]
    if rows:
        show_table(("VARIABLE", "VALUE", "CHANGED BY", "WHAT IT IS"), rows)


def _masked(each: dict[str, Any]) -> str:
    """A terminal is looked at by others, and remembers; --json tells all."""
    is_hidden = each["input"]["kind"] == "secret" and each["value"]
    return "(not shown)" if is_hidden else each["value"]


@app.command()
def upgrade(
    servers: Annotated[list[str], typer.Argument(metavar="SERVER…", help="Ids or names. Try some first.")],
    version: ToVersion = None,
    settings: Settings = None,
    image: ImageName = None,
    command: CommandName = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would change.")] = False,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Bring servers to another version of their template (administrators). What people chose stays; it takes effect at the next start."""
    body = {**decided(settings, image, command), **given(version=version)}
    failed = False
    with Api(Login.load()) as api:
        for server in servers:
            try:
                path = f"/api/servers/{find(api, server)['id']}/upgrade"
                if dry_run:
                    _show_plan(server, api.call("POST", f"{path}/preview", body), as_json=as_json)
                else:
                    show_operation(api, api.call("POST", path, body), wait=wait, as_json=as_json)
            except ApiError as error:
                if len(servers) == 1:
                    raise
                failed = True
                say(f"{server}: {error.message} [{error.code}]", err=True)
    if failed:
        raise typer.Exit(1)


def _show_plan(server: str, plan: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(plan)
        return
    say(f"{server}: version {plan['version']} → {plan['to']}")
    for sign, changes in ((" ", plan["changes"]), ("=", plan["kept"])):
        for each in changes:
            named = each["part"] if each["name"] is None else f"{each['part']} {each['name']}"
            say(f"{sign} {named}: {_short(each['before'])} → {_short(each['after'])}")
    for problem in plan["problems"]:
        say(f"! {problem['field']}: {problem['message']}")


def _short(text: str | None) -> str:
    return "-" if text is None else repr(text if len(text) <= 60 else f"{text[:60]}…")


@app.command()
def rollback(server: ServerArgument, *, wait: WaitOption = True, as_json: JsonOption = False) -> None:
    """Bring a server back to what it was before its last upgrade (administrators). Takes effect at its next start."""
    operate(server, "/rollback", None, wait=wait, as_json=as_json)
