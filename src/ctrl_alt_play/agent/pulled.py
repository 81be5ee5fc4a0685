"""Which images this agent pulled: it can pull them again, so it may remove them when nobody needs them."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import structlog

from ctrl_alt_play.agent import own_files

log = structlog.get_logger(__name__)


class Pulled:
    """Ids. Should the file be lost they count as somebody else's, and stay."""

    def __init__(self, file: Path) -> None:
        self._file = file
        kept = own_files.read(file)
        self._ids = {each for each in kept if isinstance(each, str)} if isinstance(kept, list) else set[str]()
        self._turn = asyncio.Lock()

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._ids

    async def note(self, image_id: str) -> None:
        if image_id not in self._ids:
            self._ids.add(image_id)
            await self._write()

    async def forget(self, image_ids: Iterable[str]) -> None:
        """They are no more."""
        gone = self._ids & set(image_ids)
        if gone:
            self._ids -= gone
            await self._write()

    async def _write(self) -> None:
        async with self._turn:
            try:
                await asyncio.to_thread(own_files.write, self._file, sorted(self._ids))
            except OSError as error:
                log.warning("pulled_images_not_written", reason=error.strerror)
