"""Images of nodes as they travel."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ctrl_alt_play.panel.servers.images import is_reference
from ctrl_alt_play.protocol.images import LONGEST_IMAGE


def _reference(text: str) -> str:
    if not is_reference(text := text.strip()):
        raise ValueError("give an image's name, such as example.org/games/quake:1")
    return text


class UserOfImage(BaseModel):
    """A server that uses an image; its name is null where the panel does not know it."""

    id: str
    name: str | None


class ImageView(BaseModel):
    id: str
    names: list[str] = Field(description="with their tags, or their digest; none: only its id is left")
    size_bytes: int = Field(description="what it shares with other images counts for each of them")
    created_at: datetime | None
    servers: list[UserOfImage] = Field(description="that use it, with a container or by their recipe")
    others: list[str] = Field(description="containers on the node that use it and are not ours")
    is_pulled: bool = Field(description="by this node's agent, so that pruning may take it once nobody uses it")


class ImageList(BaseModel):
    items: list[ImageView] = Field(description="the largest first")
    more: int = Field(description="how many, all smaller, are left out")


class ImagePullOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")

    image: Annotated[str, Field(min_length=1, max_length=LONGEST_IMAGE), AfterValidator(_reference)]


class PruneOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")

    everything: bool = Field(
        default=False, description="also images that no agent pulled: whatever no container and no server uses"
    )


class Pruned(BaseModel):
    removed: int
    freed_bytes: int | None = Field(description="null where Docker could not say in time")
    more: bool = Field(description="time was up: ask again to remove the rest")
