"""`ctrl-alt-play server …`"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ctrl_alt_play.characters import shown
from ctrl_alt_play.cli import changes, consoles, history, startups, top
from ctrl_alt_play.cli.asking import ServerArgument, WaitOption, find, operate, show_operation
from ctrl_alt_play.cli.output import JsonOption, show_json, show_table
from ctrl_alt_play.cli.values import given, number, size
from ctrl_alt_play.client import Api, Login

app = typer.Typer(no_args_is_help=True)
app.add_typer(changes.app)
app.add_typer(startups.app)
app.add_typer(history.app)
app.add_typer(consoles.app)
app.add_typer(top.app)
SignalOption = Annotated[str | None, typer.Option(help="Such as SIGINT; the server's own stop rule when left out.")]
TimeoutOption = Annotated[
    float | None, typer.Option(metavar="SECONDS", parser=number, help="Seconds until it is killed.")
]


@app.command("list")
def list_(
    tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None, *, as_json: JsonOption = False
) -> None:
    """All servers that you may see."""
    with Api(Login.load()) as api:
        servers = api.every("/api/servers", **given(tag=tag))
    if as_json:
        show_json(servers)
        return
    rows = []
    for server in servers:
        ports = ", ".join(map(_reached, server["ports"], server["addresses"]))
        tags = ", ".join(server["tags"])
        known = (server["status"], server["status_since"], server["node_id"], ports or None, tags or None)
        rows.append((server["id"], server["name"], *known, server["detail"]))
    show_table(("ID", "NAME", "STATUS", "SINCE", "NODE", "PORTS", "TAGS", "DETAIL"), rows)


def _reached(port: dict[str, Any], address: str | None) -> str:
    return f"{address or port['external']}/{port['protocol']}"


@app.command()
def create(
    file: Annotated[
        Path | None,
        typer.Argument(help="A JSON file as POST /api/servers takes it; - for standard input.", allow_dash=True),
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Its tags, whatever the file says; may be repeated.")] = None,
    template: Annotated[
        str | None, typer.Option(help="Makes it of a template, by that one's id or name, and of what follows.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    node: Annotated[str | None, typer.Option(help="The node with the most room when left out.")] = None,
    settings: startups.Settings = None,
    image: startups.ImageName = None,
    command: startups.CommandName = None,
    port: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            parser=startups.port,
            help="A port by what it is for; else a free one. May be repeated.",
        ),
    ] = None,
    memory: Annotated[int | None, typer.Option(metavar="SIZE", parser=size, help="Such as 2G; 0: no limit.")] = None,
    cpu: Annotated[float | None, typer.Option(metavar="PERCENT", parser=number, help="150 is 1.5 cores.")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Of a template: only tell what would be made.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also where its node has too little left.")] = False,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Create a server: of a template, or as a file says."""
    if (file is None) == (template is None):
        raise typer.BadParameter("give a file, or --template with what is to be chosen")
    more = given(tags=tag or None, force=force or None)
    if file is not None:
        body = _read(file)
        with Api(Login.load()) as api:
            made = api.call("POST", "/api/servers", {**body, **more} if isinstance(body, dict) else body)
            show_operation(api, made, wait=wait, as_json=as_json)
        return
    chosen = startups.decided(settings, image, command)
    body = given(name=name, node_id=node, limits=given(memory=memory, cpu=cpu), ports=startups.ports(port), **chosen)
    with Api(Login.load()) as api:
        made = startups.make(api, template or "", {**body, **more}, is_trial=dry_run)
        if not dry_run:
            show_operation(api, made, wait=wait, as_json=as_json)
        elif as_json:
            show_json(made)
        else:
            startups.show_preview(made)


def _read(file: Path) -> Any:
    try:
        text = typer.get_text_stream("stdin").read() if str(file) == "-" else file.read_text()
        return json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{file} is no JSON that can be read: {error}") from error


@app.command()
def reinstall(
    server: ServerArgument,
    *,
    wipe: Annotated[bool, typer.Option("--wipe", help="Remove all its files first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Stop a server and run its installer once more; also one that could not be installed, or is not on its node any more."""
    if wipe and not yes:
        typer.confirm(f"Reinstall {shown(server)}? It stops, and all its files are gone for good.", abort=True)
    operate(server, "/reinstall", {"wipe": True} if wipe else None, wait=wait, as_json=as_json)


@app.command()
def start(server: ServerArgument, *, wait: WaitOption = True, as_json: JsonOption = False) -> None:
    """Start a server."""
    operate(server, "/start", None, wait=wait, as_json=as_json)


@app.command()
def stop(
    server: ServerArgument,
    signal: SignalOption = None,
    timeout: TimeoutOption = None,
    *,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Stop a server as its game likes it, or by a signal."""
    operate(server, "/stop", _stop_body(signal, timeout), wait=wait, as_json=as_json)


@app.command()
def restart(
    server: ServerArgument,
    signal: SignalOption = None,
    timeout: TimeoutOption = None,
    *,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Stop a server, if it runs, and start it."""
    operate(server, "/restart", _stop_body(signal, timeout), wait=wait, as_json=as_json)


def _stop_body(signal: str | None, timeout: float | None) -> dict[str, Any] | None:
    return given(signal=signal, timeout=timeout) or None


@app.command()
def kill(server: ServerArgument, *, wait: WaitOption = True, as_json: JsonOption = False) -> None:
    """End a server at once, without letting it save (administrators)."""
    operate(server, "/kill", None, wait=wait, as_json=as_json)


@app.command()
def delete(
    server: ServerArgument,
    *,
    keep_data: Annotated[bool, typer.Option("--keep-data", help="Leave its files on the node.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Forget it even though its node is away.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Delete a server, and its files unless told otherwise (administrators)."""
    if not yes:
        what = "It stops; its files stay on the node." if keep_data else "It stops, and its files are gone for good."
        typer.confirm(f"Delete {shown(server)}? {what}", abort=True)
    operate(server, "", None, wait=wait, as_json=as_json, method="DELETE", keep_data=keep_data, force=force)


@app.command()
def status(server: ServerArgument, *, as_json: JsonOption = False) -> None:
    """What a server is and uses now, measured by its node."""
    with Api(Login.load()) as api:
        id_ = find(api, server)["id"]
        report = api.follow(api.call("POST", f"/api/servers/{id_}/status"))["result"] or {}
    if as_json:
        show_json(report)
        return
    resources = report.get("resources") or {}
    memory = resources.get("memory") or {}
    rows = [
        (report.get("status"), report.get("uptime"), resources.get("cpu"), memory.get("used"), memory.get("percentage"))
    ]
    show_table(("STATUS", "UPTIME s", "CPU %", "MEMORY", "OF LIMIT %"), rows)
