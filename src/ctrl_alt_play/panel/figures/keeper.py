"""Writes down what was measured: one task for all servers and nodes. What the database does not take is tried again; a panel that is killed
loses the minute that runs, one that is stopped loses nothing of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.figures import history
from ctrl_alt_play.panel.figures.meter import MINUTE, QUARTER, SECOND, Meter, Told
from ctrl_alt_play.panel.figures.meters import Meters
from ctrl_alt_play.panel.servers.figures import Figures, as_stored
from ctrl_alt_play.protocol.live import Samples

NEWEST_EVERY_S = 60.0
USED = {"cpu_percent", "memory_used_bytes", "disks"}
"""Of a node's figures, what room is judged by."""
FORGET_EVERY_S = 3600.0
AT_ONCE = 500
"""Rows in one transaction."""
SUBJECTS_AT_ONCE = 50
MOST_WAITING = 50_000
"""Rows, while the database is away; the oldest go."""

Item = TypeVar("Item")
log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Keeper:
    def __init__(self, database: Database, meters: Meters, clock: Clock) -> None:
        self._database = database
        self._meters = meters
        self._clock = clock
        self._rows: list[dict[str, Any]] = []
        self._often: dict[int, float] = {}
        """Subjects of which rows for each second were written, and when."""
        self._to_roll: set[int] | None = None
        """Subjects whose minutes were written since they were last summed up; None at the beginning: then it may be any."""
        self._rolled_until = 0
        self._removed_s = 0.0
        self._forgot_at = float("-inf")

    @property
    def waiting(self) -> int:
        """How many rows are to be written."""
        return len(self._rows)

    async def keep_for_ever(self, every_s: float) -> None:
        while True:
            try:
                await self.keep()
            except Exception:  # a database that is away comes back, and keeping goes on
                log.exception("figures_not_kept")
            with suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await self._meters.are_strange.wait()

    async def end(self) -> None:
        """Writes also what is not complete."""
        try:
            await self.keep(is_end=True)
        except Exception:  # the panel ends all the same
            log.exception("figures_not_kept")

    async def keep(self, *, is_end: bool = False) -> None:
        await self._look_up()
        self._rows = [*self._rows, *self._meters.take_rows(is_end=is_end)][-MOST_WAITING:]
        await self._write_newest()
        await self._write_newest_of_nodes()
        await self._write_rows()
        await self._roll()
        if not is_end and self._clock.monotonic() - self._forgot_at >= FORGET_EVERY_S:
            self._forgot_at = self._clock.monotonic()
            await self.forget()

    async def _look_up(self) -> None:
        """Who is measured for the first time, or again."""
        strangers = self._meters.take_strangers()
        for nodes in _pieces(sorted(strangers), SUBJECTS_AT_ONCE):
            await self._look_up_of({node_id: strangers[node_id] for node_id in nodes})

    async def _look_up_of(self, strangers: dict[str, Samples]) -> None:
        told = {figures.server_id: node_id for node_id, samples in strangers.items() for figures in samples.servers}
        async with self._database.reading() as session:
            found = await history.subjects_of_servers(session, told)
            nodes = await history.subjects_of_nodes(session, [id_ for id_, one in strangers.items() if one.node])
        servers = {id_: number for id_, (node_id, number) in found.items() if told[id_] == node_id}
        new_servers = [id_ for id_, number in servers.items() if number is None]
        new_nodes = [id_ for id_, number in nodes.items() if number is None]
        if new_servers or new_nodes:
            async with self._database.writing() as session:
                added_servers, added_nodes = await history.add_subjects(session, new_servers, new_nodes)
            servers |= added_servers
            nodes |= added_nodes
        for node_id, samples in strangers.items():
            own = {
                figures.server_id for figures in samples.servers if found.get(figures.server_id, ("",))[0] == node_id
            }
            known = {id_: number for id_ in own if (number := servers.get(id_)) is not None}
            self._meters.know(node_id, samples, known, nodes.get(node_id))

    async def _write_newest(self) -> None:
        """At most once a minute for each server: for whoever lists them, and for after a restart."""
        for piece in _pieces(self._take_newest(self._meters.servers()), AT_ONCE):
            rows = []
            for server_id, node_id, sample in piece:
                figures = as_stored(Figures(**{name: getattr(sample, name) for name in Figures.model_fields}))
                its = {"its_id": server_id, "its_node": node_id}
                rows.append({**its, "its_figures": figures, "its_time": sample.measured_at})
            async with self._database.writing_rows() as connection:
                await history.write_newest(connection, rows)
            await asyncio.sleep(0)

    async def _write_newest_of_nodes(self) -> None:
        """Likewise: for whoever looks for room."""
        for piece in _pieces(self._take_newest(self._meters.nodes()), AT_ONCE):
            rows = [
                {"its_id": node_id, "its_figures": sample.model_dump(mode="json", include=USED)}
                for node_id, _, sample in piece
            ]
            async with self._database.writing_rows() as connection:
                await history.write_newest_of_nodes(connection, rows)
            await asyncio.sleep(0)

    def _take_newest(self, meters: Iterable[tuple[str, Meter[Told]]]) -> list[tuple[str, str, Told]]:
        """What is due: the id of each, its node's, and its newest sample."""
        now_s = self._clock.utc().timestamp()
        due = []
        for id_, meter in sorted(meters, key=lambda one: one[0]):
            sample = meter.newest
            if meter.taken_s > meter.written_s and abs(now_s - meter.written_s) >= NEWEST_EVERY_S and sample:
                meter.written_s = now_s
                due.append((id_, meter.node_id, sample))
        return due

    async def _write_rows(self) -> None:
        while self._rows:
            piece = self._rows[:AT_ONCE]
            async with self._database.writing_rows() as connection:
                await history.write(connection, [history.as_parameters(row) for row in piece])
            del self._rows[: len(piece)]
            self._note(piece)
            await asyncio.sleep(0)
        await self._remove_seconds()

    def _note(self, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            if row["resolution"] == SECOND:
                self._often[row["subject_id"]] = row["at"]
            elif self._to_roll is not None:
                self._to_roll.add(row["subject_id"])

    async def _remove_seconds(self) -> None:
        """Of these there are many, so they go each minute; what another process left goes with `forget`."""
        now_s = self._clock.utc().timestamp()
        if abs(now_s - self._removed_s) < MINUTE:
            return
        self._removed_s = now_s
        for piece in _pieces(sorted(self._often), SUBJECTS_AT_ONCE):
            await self._remove(partial(self._old, piece, SECOND))
        oldest_s = now_s - history.KEPT_S[SECOND] - MINUTE
        self._often = {subject_id: at_s for subject_id, at_s in self._often.items() if at_s >= oldest_s}

    async def _roll(self) -> None:
        """Each quarter of an hour once it is over, also those in which the panel was away."""
        until = int(self._clock.utc().timestamp()) // QUARTER * QUARTER
        if until <= self._rolled_until:
            return
        if self._to_roll is None:
            async with self._database.reading() as session:
                self._to_roll = set(await history.to_be_rolled(session, until))
        for piece in _pieces(sorted(self._to_roll), SUBJECTS_AT_ONCE):
            async with self._database.writing_rows() as connection:
                await history.roll(connection, piece, until)
            self._to_roll.difference_update(piece)
            await asyncio.sleep(0)
        self._rolled_until = until

    async def forget(self) -> None:
        """What is too old, and all of what is gone: in pieces, between which others have their turn."""
        last = 0
        while True:
            async with self._database.reading() as session:
                subjects = await history.subjects_after(session, last, SUBJECTS_AT_ONCE)
            if not subjects:
                return
            last = subjects[-1][0]
            for resolution in history.KEPT_S:
                await self._remove(partial(self._old, [subject_id for subject_id, _ in subjects], resolution))
            for subject_id in (subject_id for subject_id, is_gone in subjects if is_gone):
                await self._remove(partial(history.remove_subject, subject_id=subject_id))

    def _old(self, subject_ids: Sequence[int], resolution: int, connection: AsyncConnection) -> Awaitable[int]:
        return history.remove_old(connection, subject_ids, resolution, self._clock.utc().timestamp())

    async def _remove(self, remove: Callable[[AsyncConnection], Awaitable[int]]) -> None:
        removed = history.MOST_REMOVED
        while removed >= history.MOST_REMOVED:
            async with self._database.writing_rows() as connection:
                removed = await remove(connection)
            await asyncio.sleep(0)


def _pieces(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
