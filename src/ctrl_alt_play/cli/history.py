"""`ctrl-alt-play server events` and `crashes`"""

from typing import Annotated, Any

import typer

from ctrl_alt_play.cli.asking import ServerArgument, find
from ctrl_alt_play.cli.output import JsonOption, say, show_json, show_table
from ctrl_alt_play.client import Api, Login

app = typer.Typer()
CountOption = Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many at most.")]


@app.command()
def events(
    server: ServerArgument,
    count: CountOption = 20,
    kind: Annotated[str | None, typer.Option(help="Only these, such as server_status_changed.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """What a server's node told of it, the latest first."""
    found = _latest(server, "events", count, kind=kind)
    if as_json:
        show_json(found)
        return
    rows = [(event["happened_at"], event["kind"], _sentence(event)) for event in found]
    show_table(("HAPPENED", "KIND", "WHAT"), rows)


@app.command()
def crashes(
    server: ServerArgument,
    count: CountOption = 20,
    *,
    last: Annotated[bool, typer.Option("--last", help="The newest alone, with the last lines of its console.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Why a server crashed, the latest first."""
    found = _latest(server, "crashes", 1 if last else count)
    if as_json:
        show_json(found)
        return
    rows = [
        (
            crash["crashed_at"],
            crash["cause"],
            crash["exit_code"],
            crash["uptime_s"],
            crash["restart_at"],
            crash["summary"],
        )
        for crash in found
    ]
    show_table(("CRASHED", "CAUSE", "EXIT CODE", "UPTIME s", "STARTS AGAIN", "SUMMARY"), rows)
    if last and found:
        _show_report(found[0])


def _latest(server: str, what: str, count: int, **query: Any) -> list[Any]:
    with Api(Login.load()) as api:
        path = f"/api/servers/{find(api, server)['id']}/{what}"
        return api.every(path, most=count, limit=min(count, 200), **query)


def _show_report(crash: dict[str, Any]) -> None:
    for change in crash["changes"]:
        say(f"\nchanged since its last good run: {change}")
    if crash["last_lines"]:
        say("\nthe last lines of its console:")
    for line in crash["last_lines"]:
        say(f"  {line}")


def _sentence(event: dict[str, Any]) -> str | None:
    data = event["data"]
    match event["kind"]:
        case "server_status_changed":
            failure = f": {data['error']}" if data.get("error") else ""
            return f"{data.get('current_status') or data.get('status')}{failure}"
        case "command_completed":
            end = "succeeded" if data["success"] else f"failed: {(data.get('error') or {}).get('message', '')}"
            return f"{data['action']} {end}"
        case "server_crashed":
            return str(data.get("summary") or data.get("cause"))
        case _:
            return None
