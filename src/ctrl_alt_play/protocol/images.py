"""What our own panel and agent say of a node's images, and of the registries that they come from. All of it is part 2."""

from enum import StrEnum

from pydantic import Field

from ctrl_alt_play.protocol.messages import Instant, News
from ctrl_alt_play.protocol.specification import Model

DOCKER_HUB = "docker.io"
_ALSO_DOCKER_HUB = {"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com"}
LONGEST_IMAGE = 512
MOST_REGISTRIES = 100
MOST_IMAGES = 1000
"""In one list, the largest."""


def registry_of(image: str) -> str:
    """The host that an image's name means, by Docker's own rule: what stands before the first slash, if it looks like a host."""
    first, slash, _ = image.partition("/")
    is_host = slash and (first == "localhost" or "." in first or ":" in first or first != first.lower())
    return canonical_host(first) if is_host else DOCKER_HUB


def canonical_host(host: str) -> str:
    """Docker Hub has several names."""
    host = host.lower()
    return DOCKER_HUB if host in _ALSO_DOCKER_HUB else host


class RegistryLogin(Model):
    """Whom a registry knows us as. The password is never shown, and never logged."""

    host: str = Field(min_length=1, max_length=255)
    username: str = Field(max_length=255)
    password: str = Field(max_length=4096, repr=False)


class RegistryLogins(Model):
    """All of them: what is not among them is to be forgotten."""

    registries: tuple[RegistryLogin, ...] = Field(default=(), max_length=MOST_REGISTRIES)


class ImagePayload(Model):
    image: str = Field(min_length=1, max_length=LONGEST_IMAGE, description="a name, or an id")


class PrunePayload(Model):
    """Only images that this agent pulled, and so can pull again; or all that nothing uses, whoever brought them."""

    everything: bool = False


class NodeImage(News):
    id: str
    names: tuple[str, ...] = Field(default=(), description="with their tags; without one nothing refers to it any more")
    size: int = Field(default=0, description="bytes; what it shares with others counts for each")
    created_at: Instant = None
    servers: tuple[str, ...] = Field(default=(), description="our servers that use it")
    others: tuple[str, ...] = Field(default=(), description="containers of somebody else that use it, by their names")
    is_pulled: bool = Field(default=False, description="by this agent, so it can be pulled again")


class NodeImages(News):
    images: tuple[NodeImage, ...] = ()
    more: int = Field(default=0, description="how many, all smaller, are left out")


class ImageRemoval(News):
    """Removed where nobody uses it; else who does."""

    servers: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


class ImagesPruned(News):
    removed: int = 0
    freed: int | None = Field(default=None, description="bytes; unset where the engine could not say in time")
    more: bool = Field(default=False, description="time was up: there is more to remove")


class PullState(StrEnum):
    PULLING = "pulling"
    DONE = "done"
    FAILED = "failed"


class ImagePull(News):
    """How far a pull is that was asked for by itself, and how it ended. Perishable: the newest of each image replaces those before it."""

    image: str
    state: PullState = PullState.PULLING
    phase: str = ""
    percent: float | None = None
    message: str = ""
