"""Administrators' care of a node's images. The node is asked each time, with a deadline; one that is away is told as such at once."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request, status

from ctrl_alt_play.panel.images.schemas import ImageList, ImagePullOrder, Pruned, PruneOrder
from ctrl_alt_play.panel.images.service import Images
from ctrl_alt_play.panel.nodes.schemas import PullView
from ctrl_alt_play.panel.permissions import Permission
from ctrl_alt_play.panel.security import Allowed

router = APIRouter(
    prefix="/api/nodes/{node_id}/images", tags=["images"], dependencies=[Depends(Allowed(Permission.NODES_MANAGE))]
)


async def _images(request: Request) -> Images:
    return cast("Images", request.app.state.images)


Service = Annotated[Images, Depends(_images)]


@router.get("")
async def list_images(node_id: str, images: Service) -> ImageList:
    """What the node's Docker has, and who uses it. The node has 10 s to answer."""
    return await images.list(node_id)


@router.post("/pull")
async def pull_image(node_id: str, order: ImagePullOrder, images: Service) -> PullView:
    """Pulls what the image's name means at its registry today, also where it is on the node already. How far that is the node's view tells
    (`pulls`), also live. Servers use it from their next start on; where it fails, what is there stays.
    """
    return await images.pull(node_id, order.image)


@router.post("/prune")
async def prune_images(node_id: str, order: PruneOrder, images: Service) -> Pruned:
    """Removes images that nothing uses: those that the node's agent pulled, or with `everything` all. Never containers or volumes."""
    return await images.prune(node_id, everything=order.everything)


@router.delete("/{image:path}", status_code=status.HTTP_204_NO_CONTENT)
async def remove_image(node_id: str, image: str, images: Service) -> None:
    """By its id, or a name. Refused while a server or a container uses it."""
    await images.remove(node_id, image)
