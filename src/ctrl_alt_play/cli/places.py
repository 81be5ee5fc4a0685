"""`ctrl-alt-play node show`, `update`, `drain`, `maintain`, `open` and `node ports …`: what a node offers to servers."""

from typing import Annotated, Any

import typer

from ctrl_alt_play.cli.asking import NodeArgument
from ctrl_alt_play.cli.changes import retagged
from ctrl_alt_play.cli.output import JsonOption, say, show_json, show_table
from ctrl_alt_play.cli.values import given, port_range
from ctrl_alt_play.client import Api, Login, as_id
from ctrl_alt_play.doctor import size

app = typer.Typer()
ports = typer.Typer(no_args_is_help=True)
app.add_typer(ports, name="ports", help="Ports of a node that servers are given by themselves, and who holds which.")

RangeArgument = Annotated[str, typer.Argument(metavar="RANGE", help="Its id, as `node ports list` tells it.")]
AddressOption = Annotated[str | None, typer.Option(help="An IP address of the node; 0.0.0.0: all of them.")]
ProtocolOption = Annotated[str | None, typer.Option(help="tcp, udp, or both.")]
AliasOption = Annotated[str | None, typer.Option(help="How players call that address, such as play.example.org.")]
Extra = Annotated[
    int | None, typer.Option(metavar="PERCENT", help="So much is promised beyond what there is; below 0: kept back.")
]


@app.command()
def show(node: NodeArgument, *, as_json: JsonOption = False) -> None:
    """A node: how it stands, and what it has, has promised to servers and uses."""
    with Api(Login.load()) as api:
        found = api.call("GET", f"/api/nodes/{as_id(node)}")
    if as_json:
        show_json(found)
        return
    facts = (found["openness"], found["address"], ", ".join(found["tags"]) or None, found["servers"])
    show_table(("ID", "NAME", "OPENNESS", "ADDRESS", "TAGS", "SERVERS"), [(found["id"], found["name"], *facts)])
    say("")
    rows = []
    for kind in ("memory", "cpu", "disk"):
        room = found["capacity"][kind]
        amounts = [_amount(kind, room[name]) for name in ("total", "allowed", "promised", "free", "used")]
        rows.append((kind, f"{found[f'extra_{kind}']:+d} %", *amounts))
    show_table(("", "BEYOND", "HAS", "MAY PROMISE", "PROMISED", "LEFT", "USED"), rows)


def _amount(kind: str, count: int | None) -> str | None:
    if count is None:
        return None
    return f"{count} %" if kind == "cpu" else f"{'-' if count < 0 else ''}{size(abs(count))}"


@app.command()
def update(
    node: NodeArgument,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    address: Annotated[str | None, typer.Option(help="How players reach it; empty: none any more.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Gives it a tag; may be repeated.")] = None,
    untag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Takes a tag away.")] = None,
    extra_memory: Extra = None,
    extra_cpu: Extra = None,
    extra_disk: Extra = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Change a node; what is left out stays."""
    body = given(name=name, extra_memory=extra_memory, extra_cpu=extra_cpu, extra_disk=extra_disk)
    if address is not None:
        body["address"] = address or None
    if not (body or tag or untag):
        raise typer.BadParameter("say what is to change; --help tells what can be")
    with Api(Login.load()) as api:
        path = f"/api/nodes/{as_id(node)}"
        if tag or untag:
            body["tags"] = retagged(api.call("GET", path)["tags"], tag or [], untag or [])
        changed = api.call("PATCH", path, body)
    _tell(changed, f"changed: node {changed['id']}", as_json=as_json)


@app.command()
def drain(node: NodeArgument, *, as_json: JsonOption = False) -> None:
    """Place no new servers on a node; those that it has go on."""
    _become(node, "draining", as_json=as_json)


@app.command()
def maintain(node: NodeArgument, *, as_json: JsonOption = False) -> None:
    """Hold all servers of a node down, until it is opened again."""
    _become(node, "maintenance", as_json=as_json)


@app.command("open")
def open_(node: NodeArgument, *, as_json: JsonOption = False) -> None:
    """Take servers again; what maintenance held down and should run starts."""
    _become(node, "open", as_json=as_json)


def _become(node: str, openness: str, *, as_json: bool) -> None:
    with Api(Login.load()) as api:
        changed = api.call("PATCH", f"/api/nodes/{as_id(node)}", {"openness": openness})
    _tell(changed, f"{openness}: node {changed['id']}", as_json=as_json)


@ports.command("list")
def list_(node: NodeArgument, *, as_json: JsonOption = False) -> None:
    """The ranges of a node, and how many ports of each are free. Without any, any port may be given."""
    with Api(Login.load()) as api:
        found = api.call("GET", f"/api/nodes/{as_id(node)}/ports")["items"]
    if as_json:
        show_json(found)
        return
    rows = [
        (one["id"], f"{one['first']}-{one['last']}", one["protocol"], one["address"], one["alias"], one["free"])
        for one in found
    ]
    show_table(("ID", "PORTS", "PROTOCOL", "ADDRESS", "ALIAS", "FREE"), rows)


@ports.command()
def held(
    node: NodeArgument,
    range_id: Annotated[str | None, typer.Option("--range", help="Only what is not free of this range.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Which ports of a node servers hold, and whose."""
    with Api(Login.load()) as api:
        found = api.every(f"/api/nodes/{as_id(node)}/allocations", **given(range_id=range_id))
    if as_json:
        show_json(found)
        return
    rows = [(f"{one['port']}/{one['protocol']}", one["address"], one["name"], one["server_name"]) for one in found]
    show_table(("PORT", "ADDRESS", "FOR", "SERVER"), rows)


@ports.command()
def add(
    node: NodeArgument,
    numbers: Annotated[str, typer.Argument(metavar="PORTS", help="Such as 25565-25600, or one.")],
    address: AddressOption = None,
    protocol: ProtocolOption = None,
    alias: AliasOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Let servers be given these ports."""
    body = {**port_range(numbers), **given(address=address, protocol=protocol, alias=alias)}
    with Api(Login.load()) as api:
        added = api.call("POST", f"/api/nodes/{as_id(node)}/ports", body)
    _tell(added, f"added: range {added['id']}", as_json=as_json)


@ports.command()
def change(
    node: NodeArgument,
    range_id: RangeArgument,
    numbers: Annotated[str | None, typer.Option("--ports", metavar="PORTS", help="Such as 25565-25600.")] = None,
    address: AddressOption = None,
    protocol: ProtocolOption = None,
    alias: AliasOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Change a range; what is left out stays. An empty alias is none any more."""
    body: dict[str, Any] = {**(port_range(numbers) if numbers else {}), **given(address=address, protocol=protocol)}
    if alias is not None:
        body["alias"] = alias or None
    with Api(Login.load()) as api:
        changed = api.call("PATCH", f"/api/nodes/{as_id(node)}/ports/{as_id(range_id)}", body)
    _tell(changed, f"changed: range {changed['id']}", as_json=as_json)


@ports.command()
def remove(node: NodeArgument, range_id: RangeArgument) -> None:
    """Give no ports of a range any more; refused while servers hold some of it."""
    with Api(Login.load()) as api:
        api.call("DELETE", f"/api/nodes/{as_id(node)}/ports/{as_id(range_id)}")
    say(f"removed: range {range_id}")


def _tell(answer: Any, text: str, *, as_json: bool) -> None:
    if as_json:
        show_json(answer)
    else:
        say(text)
