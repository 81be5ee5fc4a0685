"""The images of a fake engine, and the registries that they come from."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime

from tests.fakes.boxes import Box
from tests.fakes.calls import Calls

from ctrl_alt_play.agent.engine.base import INSTALLER, Image, Login, LoginFor, OnPull, OnPulled
from ctrl_alt_play.protocol.errors import ErrorCode, Fault

IMAGE_BYTES = 10 * 2**20


class Shelf(Calls):
    """`images` says what is there; the rest is done through the seam."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes: dict[str, Box] = {}
        self.images = {"game"}
        self.image_ids: dict[str, str] = {}
        """What an image's name means now; by itself each name means one image for ever."""
        self.pulls: dict[str, list[tuple[str, float | None]]] = {}
        """Images that are elsewhere, and what is heard while they are pulled."""
        self.registry: dict[str, str] = {}
        """What names mean at their registries: an image's id."""
        self.untagged: set[str] = set()
        """Ids of images that have lost their names."""
        self.strangers: dict[str, str] = {}
        """Containers of others, by their names: of which image each is."""
        self.login_for: LoginFor | None = None
        self.logins: list[tuple[str, Login | None]] = []
        """As whom registries were asked for images."""
        self.on_pulled: OnPulled | None = None

    async def ensure_image(self, image: str, on_progress: OnPull | None = None) -> None:
        await self._arrive("ensure_image", "")
        if image not in self.images or image in self.pulls:
            await self._pull(image, on_progress)

    async def pull_image(self, image: str, on_progress: OnPull | None = None) -> str:
        await self._arrive("pull_image", "")
        return await self._pull(image, on_progress)

    async def _pull(self, image: str, on_progress: OnPull | None) -> str:
        self.logins.append((image, self.login_for(image) if self.login_for else None))
        if image not in self.pulls and image not in self.registry:
            raise Fault(ErrorCode.IMAGE_NOT_FOUND, f"The image {image} is not on this node and could not be pulled.")
        for phase, percent in self.pulls.pop(image, []):
            if on_progress is not None:
                on_progress(phase, percent, f"So far: {phase}.")
            await asyncio.sleep(0)
        before, is_here = self._image_id(image), image in self.images
        self.image_ids[image] = id_ = self.registry.get(image, before)
        if is_here and id_ != before:
            self.untagged.add(before)
        self.images.add(image)
        if self.on_pulled is not None:
            await self.on_pulled(id_)
        return id_

    async def list_images(self) -> "list[Image]":
        await self._arrive("list_images", "")
        return self._all_images()

    async def image_bytes(self) -> int:
        await self._arrive("image_bytes", "")
        return sum(image.size_bytes for image in self._all_images())

    async def remove_image(self, image: Image) -> None:
        await self._arrive("remove_image", "")
        if any(box.image_id == image.id for box in self.boxes.values()) or image.id in self.strangers.values():
            raise Fault(ErrorCode.INVALID_STATE, "Docker: conflict: image is being used by a container")
        self.images -= set(image.names)
        self.untagged.discard(image.id)

    async def image_id(self, image: str) -> str | None:
        await self._arrive("image_id", "")
        known = {each.id for each in self._all_images()}
        return self._image_id(image) if image in self.images else image if image in known else None

    def _all_images(self) -> "list[Image]":
        names = defaultdict[str, list[str]](list)
        for name in sorted(self.images):
            names[self._image_id(name)].append(name)
        return [self._image(id_, tuple(names[id_])) for id_ in sorted({*names, *self.untagged})]

    def _image(self, id_: str, names: tuple[str, ...]) -> Image:
        servers = tuple(name.removesuffix(INSTALLER) for name, box in self.boxes.items() if box.image_id == id_)
        others = tuple(name for name, of in self.strangers.items() if of == id_)
        return Image(id_, names, IMAGE_BYTES, datetime(2026, 1, 1, tzinfo=UTC), servers, others)

    def _image_id(self, image: str) -> str:
        return self.image_ids.get(image, f"id-of-{image}")
