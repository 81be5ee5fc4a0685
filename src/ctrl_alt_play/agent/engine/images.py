"""What Docker is asked of its images. It keeps nothing of a login: that goes with each pull."""

from collections import defaultdict
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from aiodocker import Docker

from ctrl_alt_play.agent.engine.base import Image, Login
from ctrl_alt_play.agent.engine.container import LABEL_SERVER
from ctrl_alt_play.agent.engine.installer import LABEL_INSTALLS
from ctrl_alt_play.agent.engine.pull import Pull
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.images import DOCKER_HUB, registry_of

_REFUSALS = ("unauthorized", "no basic auth credentials", "authentication required", "access denied", "denied:")


async def pull(docker: Docker, image: str, told: Pull, login: Login | None) -> None:
    auth = None if login is None else {"username": login.username, "password": login.password}
    if login is not None and registry_of(image) == DOCKER_HUB and "." not in image.partition("/")[0]:
        image = f"{DOCKER_HUB}/{image}"  # aiodocker wants to see a host; Docker takes both names for the same
    documents = docker.images.pull(image, auth=auth, stream=True)
    async with aclosing(documents):  # type: ignore[type-var]  # it is a generator
        async for document in documents:
            told.take(document)


def not_pulled(image: str, fault: Fault, *, has_login: bool) -> Fault:
    """Why, with what to do about it."""
    if fault.code is ErrorCode.DOCKER_UNAVAILABLE:
        return fault
    advice = ""
    if any(word in fault.message.lower() for word in _REFUSALS):
        host = registry_of(image)
        advice = (
            f" {host} refuses the user name or password that it was asked with: correct them under Registries."
            if has_login
            else f" Either there is no such image, or {host} wants a user name and password: add them under Registries."
        )
    is_full = fault.code is ErrorCode.INSUFFICIENT_RESOURCES
    sentence = f"The image {image} could not be pulled: {fault.message.rstrip('.')}.{advice}"
    return Fault(fault.code if is_full else ErrorCode.IMAGE_NOT_FOUND, sentence)


async def listed(docker: Docker) -> list[Image]:
    servers, others = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for container in await docker.containers.list(all=True):
        labels, names = container["Labels"] or {}, container["Names"] or [container["Id"][:12]]
        if server_id := labels.get(LABEL_SERVER) or labels.get(LABEL_INSTALLS):
            servers[container["ImageID"]].append(server_id)
        else:
            others[container["ImageID"]].append(names[0].removeprefix("/"))
    found = await docker.images.list()
    return [_image(each, servers[each["Id"]], others[each["Id"]]) for each in found]


def _image(fields: dict[str, Any], servers: list[str], others: list[str]) -> Image:
    return Image(
        id=fields["Id"],
        names=_named(fields.get("RepoTags")) or _named(fields.get("RepoDigests")),
        size_bytes=fields["Size"],
        created_at=datetime.fromtimestamp(fields["Created"], UTC),
        servers=tuple(servers),
        others=tuple(others),
    )


def _named(references: list[str] | None) -> tuple[str, ...]:
    return tuple(each for each in references or () if "<none>" not in each)
