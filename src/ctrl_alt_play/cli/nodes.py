"""`ctrl-alt-play node …`"""

from typing import Annotated

import typer

from ctrl_alt_play.cli import images, places
from ctrl_alt_play.cli.asking import NodeArgument, WaitOption, show_operation
from ctrl_alt_play.cli.output import JsonOption, say, show_json, show_table
from ctrl_alt_play.client import Api, Login, as_id

app = typer.Typer(no_args_is_help=True)
app.add_typer(places.app)
app.add_typer(images.app)


@app.command("list")
def list_(*, as_json: JsonOption = False) -> None:
    """All nodes, and whether their agents are connected."""
    with Api(Login.load()) as api:
        nodes = api.every("/api/nodes")
    if as_json:
        show_json(nodes)
        return
    rows = []
    for node in nodes:
        system = node["system"] or {}
        state = "online" if node["online"] else ("offline" if node["enabled"] else "disabled")
        known = (node["since"], node["openness"], ", ".join(node["tags"]) or None, system.get("docker_version"))
        rows.append((node["id"], node["name"], state, *known, node["servers"]))
    show_table(("ID", "NAME", "STATE", "SINCE", "OPENNESS", "TAGS", "DOCKER", "SERVERS"), rows)
    for node in nodes:
        if node["warning"]:
            say(f"\n{node['id']}: {node['warning']}", err=True)


@app.command()
def enrol(
    node_id: Annotated[str, typer.Argument(help="The id that the node's agent will give.")],
    name: Annotated[str | None, typer.Option(help="What people call it; the id when left out.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Make a node known to the panel; prints the command that makes a machine this node. With --json it tells the agent's secret instead."""
    login = Login.load()
    with Api(login) as api:
        node = api.call("POST", "/api/nodes", {"id": node_id, "name": name or node_id})
        if as_json:
            show_json(node)
        else:
            _show_command(api, login, node["id"])


@app.command()
def connect(node: NodeArgument) -> None:
    """Print a command that makes a machine a node that there is already; its agent of before is refused from then on."""
    login = Login.load()
    with Api(login) as api:
        _show_command(api, login, as_id(node))


def _show_command(api: Api, login: Login, node_id: str) -> None:
    token = api.call("POST", f"/api/nodes/{node_id}/enrolment")["token"]
    say(f"Run this on the machine that is to be node {node_id}; it works once, within an hour:\n")
    say(f"  ctrl-alt-play agent --enrol {login.url.rstrip('/')}#{token}\n")
    say("Should that machine reach the panel by another address, put it in the place of what stands before the #.")


@app.command()
def orphans(node: NodeArgument, *, as_json: JsonOption = False) -> None:
    """Containers of ours that a node runs and nobody knows."""
    with Api(Login.load()) as api:
        found = api.call("GET", f"/api/nodes/{as_id(node)}")["orphans"]
    if as_json:
        show_json(found)
        return
    rows = [
        (orphan["server_id"], orphan["state"], orphan["image"], "yes" if orphan["is_adoptable"] else "no")
        for orphan in found
    ]
    show_table(("SERVER ID", "STATE", "IMAGE", "CAN BE ADOPTED"), rows)


@app.command()
def adopt(
    node: NodeArgument,
    server_id: Annotated[str, typer.Argument(help="As `node orphans` tells it.")],
    name: Annotated[str, typer.Option(help="What people call the server.")],
    owner: Annotated[str | None, typer.Option(help="The id of the user whose it is; you when left out.")] = None,
    *,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> None:
    """Make a server of an orphan; it runs on undisturbed."""
    body = {"name": name, "owner_id": owner}
    with Api(Login.load()) as api:
        path = f"/api/nodes/{as_id(node)}/orphans/{as_id(server_id)}/adopt"
        show_operation(api, api.call("POST", path, body), wait=wait, as_json=as_json)
