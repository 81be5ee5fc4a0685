"""`ctrl-alt-play server update`, `hold` and `release`"""

from typing import Annotated

import typer

from ctrl_alt_play.cli.asking import ServerArgument, WaitOption, find, operate, show_operation
from ctrl_alt_play.cli.output import JsonOption
from ctrl_alt_play.cli.values import given, number, size, variable
from ctrl_alt_play.client import Api, Login

app = typer.Typer()

ReadyText = Annotated[
    list[str] | None, typer.Option(help="What its console says when players may come; may be repeated.")
]
ReadyTimeout = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", parser=number, help="Seconds until it counts as running all the same."),
]
CrashRestart = Annotated[
    bool | None, typer.Option("--crash-restart/--no-crash-restart", help="Start it again after a crash.")
]


@app.command()
def update(
    server: ServerArgument,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Gives it a tag; may be repeated.")] = None,
    untag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Takes a tag away.")] = None,
    image: Annotated[str | None, typer.Option(help="Another container image.")] = None,
    startup: Annotated[str | None, typer.Option(help="The command that runs the game; empty: the image's own.")] = None,
    env: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", parser=variable, help="Sets a variable; may be repeated.")
    ] = None,
    unset: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Removes a variable.")] = None,
    memory: Annotated[int | None, typer.Option(metavar="SIZE", parser=size, help="Such as 2G; 0: no limit.")] = None,
    cpu: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", parser=number, help="Percent of one core: 150 is one and a half; 0: no limit."),
    ] = None,
    ready_text: ReadyText = None,
    ready_timeout: ReadyTimeout = None,
    query: Annotated[
        str | None, typer.Option(metavar="PROTOCOL", help="How its game is asked who plays: minecraft, quake3, …")
    ] = None,
    console_size: Annotated[
        int | None, typer.Option(metavar="SIZE", parser=size, help="So much of its console is kept, such as 20M.")
    ] = None,
    console_days: Annotated[float | None, typer.Option(metavar="DAYS", parser=number, help="And for so long.")] = None,
    *,
    tty: Annotated[bool | None, typer.Option("--tty/--no-tty", help="Give the game a terminal.")] = None,
    crash_restart: CrashRestart = None,
    crash_limit: Annotated[int | None, typer.Option(help="Past so many crashes in its window it stays down.")] = None,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Change a server (administrators). What it is made of takes effect at its next start; what is left out stays."""
    body = given(
        name=name,
        image=image,
        startup=startup,
        limits=given(memory=memory, cpu=cpu),
        readiness=given(text=ready_text or None, timeout=ready_timeout),
        crash=given(restart=crash_restart, limit=crash_limit),
        query=given(protocol=query) or None,
        console=given(tty=tty, keep_bytes=console_size, keep_days=console_days),
    )
    if not (body or env or unset or tag or untag):
        raise typer.BadParameter("say what is to change; --help tells what can be")
    with Api(Login.load()) as api:
        found = find(api, server)
        if env or unset:
            body["environment"] = _environment(found["environment"], env or [], unset or [])
        if tag or untag:
            body["tags"] = retagged(found["tags"], tag or [], untag or [])
        operation = api.call("PATCH", f"/api/servers/{found['id']}", body)
        show_operation(api, operation, wait=wait, as_json=as_json)


@app.command()
def hold(
    server: ServerArgument,
    *,
    maintenance: Annotated[
        bool, typer.Option("--maintenance", help="For maintenance, which is not shown as suspended.")
    ] = False,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Stop a server and keep it from running until it is released (administrators)."""
    body = {"hold": "maintenance" if maintenance else "suspended"}
    operate(server, "/hold", body, wait=wait, as_json=as_json, method="PUT")


@app.command()
def release(server: ServerArgument, *, wait: WaitOption = True, as_json: JsonOption = False) -> None:
    """End a hold; a server that should run starts again (administrators)."""
    operate(server, "/hold", {"hold": "none"}, wait=wait, as_json=as_json, method="PUT")


def _environment(present: dict[str, str], changed: list[str], removed: list[str]) -> dict[str, str]:
    """The API takes an environment as a whole."""
    variables = dict(one.split("=", 1) for one in changed)
    return {name: value for name, value in {**present, **variables}.items() if name not in removed}


def retagged(present: list[str], added: list[str], removed: list[str]) -> list[str]:
    """Tags, which the API takes as a whole as well; they are in small letters."""
    added, removed = ([one.strip().lower() for one in each] for each in (added, removed))
    return [one for one in dict.fromkeys([*present, *added]) if one not in removed]
