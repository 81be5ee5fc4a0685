"""`ctrl-alt-play node images …`"""

import sys
import time
from typing import Annotated, Any
from urllib.parse import quote

import typer

from ctrl_alt_play.cli.asking import NodeArgument, WaitOption
from ctrl_alt_play.cli.output import JsonOption, say, show_json, show_table, size
from ctrl_alt_play.client import Api, ApiError, Login, as_id

LOOK_EVERY_S = 1.0
app = typer.Typer()
ImageArgument = Annotated[str, typer.Argument(metavar="IMAGE", help="Its name, or its id.")]


@app.command()
def images(node: NodeArgument, *, as_json: JsonOption = False) -> None:
    """The images on a node, the largest first, and which servers use them."""
    with Api(Login.load()) as api:
        found = api.call("GET", f"/api/nodes/{as_id(node)}/images")
    if as_json:
        show_json(found)
        return
    rows = []
    for image in found["items"]:
        used = [*(server["name"] or server["id"] for server in image["servers"]), *image["others"]]
        name, id_ = ", ".join(image["names"]) or None, image["id"].removeprefix("sha256:")[:12]
        rows.append((name, id_, size(image["size_bytes"]), image["created_at"], ", ".join(used) or None))
    show_table(("NAME", "ID", "SIZE", "CREATED", "USED BY"), rows)
    if found["more"]:
        say(f"\nand {found['more']} more, all smaller", err=True)


@app.command()
def image_pull(
    node: NodeArgument, image: ImageArgument, *, wait: WaitOption = True, as_json: JsonOption = False
) -> None:
    """Pull the newest image of a name; servers use it from their next start on."""
    path = f"/api/nodes/{as_id(node)}"
    with Api(Login.load()) as api:
        pull = api.call("POST", f"{path}/images/pull", {"image": image})
        while wait and pull["state"] == "pulling":
            if sys.stderr.isatty():
                say(pull["message"], err=True)
            time.sleep(LOOK_EVERY_S)
            pull = _newest(api.call("GET", path), pull["image"])
    if as_json:
        show_json(pull)
    else:
        say(f"{pull['image']}: {pull['message']}")
    if pull["state"] == "failed":
        raise typer.Exit(1)


@app.command()
def image_remove(node: NodeArgument, image: ImageArgument) -> None:
    """Remove an image that nothing uses."""
    with Api(Login.load()) as api:
        api.call("DELETE", f"/api/nodes/{as_id(node)}/images/{quote(image, safe=':/@')}")
    say(f"Removed {image}.")


@app.command()
def image_prune(
    node: NodeArgument,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also images that no agent pulled: whatever no container and no server uses.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove the images that the node's agent pulled and that nothing uses any more. Never containers or volumes."""
    with Api(Login.load()) as api:
        pruned = api.call("POST", f"/api/nodes/{as_id(node)}/images/prune", {"everything": everything})
    if as_json:
        show_json(pruned)
        return
    freed = f"; {size(pruned['freed_bytes'])} are free again" if pruned["freed_bytes"] else ""
    more = " There is more to remove: run this again." if pruned["more"] else ""
    say(f"Removed {pruned['removed']} image{'' if pruned['removed'] == 1 else 's'}{freed}.{more}")


def _newest(node: dict[str, Any], image: str) -> dict[str, Any]:
    if not node["online"]:
        raise ApiError("AGENT_OFFLINE", f"Node {node['id']} has gone; what became of the pull is not known.")
    for pull in node["pulls"]:
        if pull["image"] == image:
            return dict(pull)
    raise ApiError("UNKNOWN", f"Node {node['id']} came back, and knows nothing of the pull: ask for it again.")
