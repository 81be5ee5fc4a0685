"""The images of this node, as the panel asks for them: listed, pulled anew, removed, pruned."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from contextlib import suppress

import structlog

from ctrl_alt_play.agent.engine.base import Engine, Image
from ctrl_alt_play.agent.pulled import Pulled
from ctrl_alt_play.agent.registries import Registries
from ctrl_alt_play.agent.servers.fleet import Fleet
from ctrl_alt_play.clock import Clock
from ctrl_alt_play.logs import nothing_carried
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.images import (
    MOST_IMAGES,
    ImagePull,
    ImageRemoval,
    ImagesPruned,
    NodeImage,
    NodeImages,
    PullState,
)

MOST_PULLS = 8
PULLS_KEPT = 32
PRUNE_S = 10.0
"""What is not removed by then is left for the next time."""
MEASURE_S = 5.0
log = structlog.get_logger(__name__)


class Images:
    """`tell` is told how far each pull is; `pulls` are the newest of them, by image."""

    def __init__(
        self,
        engine: Engine,
        fleet: Fleet,
        registries: Registries,
        pulled: Pulled,
        clock: Clock,
        tell: Callable[[ImagePull], None],
    ) -> None:
        self.registries = registries
        self.pulls: OrderedDict[str, ImagePull] = OrderedDict()
        self._engine = engine
        self._fleet = fleet
        self._pulled = pulled
        self._clock = clock
        self._tell = tell
        self._pulling: dict[str, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()

    async def list(self) -> NodeImages:
        """Raises: Fault, the engine does not answer."""
        found = sorted(await self._engine.list_images(), key=lambda image: image.size_bytes, reverse=True)
        wanted = await self._wanted()
        told = tuple(self._told(image, wanted) for image in found[:MOST_IMAGES])
        return NodeImages(images=told, more=max(0, len(found) - MOST_IMAGES))

    def pull(self, image: str) -> ImagePull:
        """Begins to pull the newest of this name; gives how far that is. One that is under way goes on.

        Raises:
            Fault: `INSUFFICIENT_RESOURCES`, too many are under way.
        """
        if image not in self._pulling:
            if len(self._pulling) >= MOST_PULLS:
                sentence = f"{MOST_PULLS} images are being pulled already; wait for one to come."
                raise Fault(ErrorCode.INSUFFICIENT_RESOURCES, sentence)
            self._note(ImagePull(image=image, message="Asking the registry."))
            task = asyncio.create_task(self._pull(image), name=f"pull {image}", context=nothing_carried())
            self._pulling[image] = task
        return self.pulls[image]

    async def remove(self, reference: str) -> ImageRemoval:
        """By its id or one of its names; all of its names go.

        Raises:
            Fault: there is none, or the engine refuses.
        """
        async with self._turn:
            wanted, id_ = await self._wanted(), await self._engine.image_id(reference)
            image = next((each for each in await self._engine.list_images() if each.id == id_), None)
            if image is None:
                raise Fault(ErrorCode.IMAGE_NOT_FOUND, f"There is no image {reference} on this node.")
            told = self._told(image, wanted)
            if not (told.servers or told.others):
                await self._engine.remove_image(image)
                await self._pulled.forget([image.id])
                log.info("image_removed", image=reference, id=image.id)
            return ImageRemoval(servers=told.servers, others=told.others)

    async def prune(self, *, everything: bool) -> ImagesPruned:
        """Removes what neither a container nor a server of ours uses: what this agent pulled, or, with `everything`, whatever there is.

        Raises:
            Fault: the engine does not answer.
        """
        async with self._turn:
            began = self._clock.monotonic()
            wanted, found = await self._wanted(), await self._engine.list_images()
            unused = [image for image in found if not (image.servers or image.others or image.id in wanted)]
            rest = [image for image in unused if everything or image.id in self._pulled]
            before = await self._bytes()
            removed: list[str] = []
            while rest and self._clock.monotonic() - began < PRUNE_S:
                image = rest.pop()
                try:
                    await self._engine.remove_image(image)
                except Fault as fault:
                    if fault.code is ErrorCode.DOCKER_UNAVAILABLE:
                        raise
                    log.info("image_not_pruned", image=image.id, reason=fault.message)
                else:
                    removed.append(image.id)
            await self._pulled.forget(removed)
            after = await self._bytes()
            freed = None if before is None or after is None else max(0, before - after)
            log.info("images_pruned", removed=len(removed), freed_bytes=freed, left=len(rest))
            return ImagesPruned(removed=len(removed), freed=freed, more=bool(rest))

    async def close(self) -> None:
        """Pulls end where they are; Docker keeps the layers that have come."""
        tasks = list(self._pulling.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pull(self, image: str) -> None:
        def tell(phase: str, percent: float | None, message: str = "", /) -> None:
            self._note(ImagePull(image=image, phase=phase, percent=percent, message=message))

        state, before = PullState.FAILED, None
        try:
            before = await self._engine.image_id(image)
            is_new = before != await self._engine.pull_image(image, tell)
        except Fault as fault:
            stays = "" if before is None else " The one that is on this node stays, and is used."
            message = f"{fault.message}{stays}"
            log.warning("image_not_pulled", image=image, code=fault.code, reason=fault.message)
        except Exception as error:
            log.exception("pull_broke", image=image)
            message = f"The agent could not do it: {type(error).__name__}. Its log says more."
        else:
            state = PullState.DONE
            use = "Servers use it from their next start on."
            message = f"It was pulled. {use}" if is_new else "It was the newest already."
        del self._pulling[image]
        self._note(ImagePull(image=image, state=state, message=message))

    def _note(self, pull: ImagePull) -> None:
        self.pulls[pull.image] = pull
        self.pulls.move_to_end(pull.image)
        if len(self.pulls) > PULLS_KEPT:
            self.pulls.popitem(last=False)
        self._tell(pull)

    async def _bytes(self) -> int | None:
        """None where the engine cannot say in time."""
        with suppress(Fault, TimeoutError):
            async with asyncio.timeout(MEASURE_S):
                return await self._engine.image_bytes()
        return None

    async def _wanted(self) -> dict[str, set[str]]:
        """By an image's id, our servers that are made of it, whether they have a container now or not."""
        servers = defaultdict[str, set[str]](set)
        for server in self._fleet.servers.values():
            specification = server.record.specification
            servers[specification.image].add(server.id)
            if specification.installer is not None:
                servers[specification.installer.image].add(server.id)
        wanted = defaultdict[str, set[str]](set)
        for name, ids in servers.items():
            wanted[await self._engine.image_id(name) or ""] |= ids
        return wanted

    def _told(self, image: Image, wanted: dict[str, set[str]]) -> NodeImage:
        return NodeImage(
            id=image.id,
            names=image.names,
            size=image.size_bytes,
            created_at=image.created_at,
            servers=tuple(sorted({*image.servers, *wanted.get(image.id, ())})),
            others=image.others,
            is_pulled=image.id in self._pulled,
        )
