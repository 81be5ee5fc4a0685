"""What agents say, applied to what the panel keeps: the gateway's sink."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

import structlog

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.panel.consoles.service import Consoles
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.figures.meters import Meters
from ctrl_alt_play.panel.gateway.base import Arrival, Fact, Gateway, OutOfStep, Reception, Taken
from ctrl_alt_play.panel.intake import axes, durable, part1, plain, responses, truth, welcome
from ctrl_alt_play.panel.intake.catching_up import CatchingUp
from ctrl_alt_play.panel.intake.presence import Presence
from ctrl_alt_play.panel.intake.taking import Taking
from ctrl_alt_play.panel.nodes import service as nodes
from ctrl_alt_play.panel.nodes.pulls import Pulls
from ctrl_alt_play.panel.noted import Noted
from ctrl_alt_play.panel.operations.progress import Progress
from ctrl_alt_play.panel.operations.watched import Watched
from ctrl_alt_play.panel.registries.service import Registries
from ctrl_alt_play.panel.servers.turns import Turns
from ctrl_alt_play.protocol.contents import (
    ErrorReport,
    Heartbeat,
    ServerOutput,
    ServerStatus,
    StatusChanged,
    StatusReport,
    SystemInfo,
)
from ctrl_alt_play.protocol.images import ImagePull
from ctrl_alt_play.protocol.live import ConsoleBatch, Samples
from ctrl_alt_play.protocol.panel_session import Answered, Told
from ctrl_alt_play.protocol.part2 import OperationProgress, StateSnapshot

SEEN_EVERY_S = 60.0
"""How exactly the database knows when a node was last heard of, while it is connected."""

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Recorder:
    def __init__(
        self,
        database: Database,
        gateway: Gateway,
        catching_up: CatchingUp,
        watched: Watched,
        turns: Turns,
        progress: Progress,
        pulls: Pulls,
        registries: Registries,
        seen: Noted[datetime],
        consoles: Consoles,
        meters: Meters,
        clock: Clock,
    ) -> None:
        self._database = database
        self._gateway = gateway
        self._catching_up = catching_up
        self._watched = watched
        self._turns = turns
        self._progress = progress
        self._pulls = pulls
        self._registries = registries
        self._seen = seen
        self._consoles = consoles
        self._meters = meters
        self._clock = clock
        self._presences: dict[str, Presence] = {}

    async def connected(self, arrival: Arrival) -> Reception:
        now = self._clock.utc()
        presence = Presence(arrival.node_id, arrival.version, now)
        async with self._database.writing() as session:
            node = await nodes.mark_connected(session, arrival, now)
            if node is None:
                return Reception(is_allowed=False)
            greeting = await welcome.prepare(session, node, arrival, presence) if presence.speaks_part_2 else None
        self._presences[arrival.node_id] = presence
        if presence.speaks_part_2:
            self._turns.begin(arrival.node_id)
        return Reception(is_allowed=True, welcome=greeting)

    async def disconnected(self, node_id: str) -> None:
        self._turns.end(node_id)
        async with self._database.writing() as session:
            is_known = await nodes.mark_away(session, node_id, self._clock.utc())
        self._presences.pop(node_id, None)
        self._pulls.forget(node_id)
        if not is_known:
            self._consoles.forget_node(node_id)
            self._progress.forget_node(node_id)

    async def synchronise(self, node_id: str) -> None:
        presence = self._presences[node_id]
        self._consoles.came(node_id, presence.spool_id)
        if presence.speaks_part_2:
            await self._registries.came(node_id)
            await self._catching_up.catch_up(node_id)
        else:
            await part1.ask_states(self._database, self._gateway, self._clock, presence)

    async def apply(self, node_id: str, facts: Sequence[Fact]) -> Taken:
        presence = self._presences[node_id]
        kept: list[Fact] = []
        for fact in facts:
            if self._is_perishable(presence, fact):
                await asyncio.sleep(0)  # one node's flood is not to keep the others waiting
            else:
                kept.append(fact)
        if not kept:
            return Taken()
        if (taken := await self._take_plainly(presence, kept)) is not None:
            return taken
        try:
            async with self._database.writing() as session:
                taking = Taking(session, presence, self._clock.utc())
                for fact in await self._begin(taking, kept):
                    await self._apply_fact(taking, fact)
        except OutOfStep:
            raise
        except Exception as error:  # noqa: BLE001 - done again one by one, which tells what is wrong
            log.debug("batch_not_taken_in", node_id=node_id, error=repr(error))
            return await self._apply_each(presence, kept)
        return self._finish(taking, 0)

    def _is_perishable(self, presence: Presence, fact: Fact) -> bool:
        """What the database is not for: consoles, progress, and what says nothing new."""
        if isinstance(fact, Told) and self._is_passed_on(presence.node_id, fact):
            return True
        match fact:
            case Told(content=ErrorReport() as report):
                log.warning("agent_error", node_id=presence.node_id, code=report.code, message=report.message[:500])
                return True
            case Told(content=Heartbeat()):
                self._note(presence)
                return True
            case Told(content=StatusChanged() | ServerStatus(), seq=None):
                return presence.speaks_part_2
            case Told(seq=int(seq)):
                return seq > durable.LARGEST_SEQ
            case Told() | Answered():
                return False
            case _:
                assert_never(fact)

    def _is_passed_on(self, node_id: str, told: Told) -> bool:
        """To those who keep it in memory, and tell whoever looks."""
        match told:
            case Told(content=ServerOutput() as output):
                self._consoles.write(node_id, output)
            case Told(content=ConsoleBatch() as batch, seq=None):
                self._consoles.tell(node_id, batch)
            case Told(content=Samples() as samples, seq=None):
                self._meters.take(node_id, samples)
            case Told(content=OperationProgress() as progress, seq=None):
                self._progress.tell(node_id, progress, self._clock.utc())
            case Told(content=ImagePull() as pull, seq=None):
                self._pulls.tell(node_id, pull)
            case _:
                return False
        return True

    async def _take_plainly(self, presence: Presence, facts: Sequence[Fact]) -> Taken | None:
        """None where nothing of it is kept, for it takes more than that."""
        entry = plain.of(facts, presence, self._watched, self._clock.utc())
        if entry is None:
            return None
        try:
            if not await self._database.change(*entry.changes, touched=entry.touched):
                return None
        except Exception as error:  # noqa: BLE001 - done again with care
            log.debug("facts_not_taken_plainly", node_id=presence.node_id, error=repr(error))
            return None
        if entry.acked_seq is not None:
            presence.acked_seq = entry.acked_seq
        for operation, known in entry.known:
            for name, value in known.items():
                setattr(operation, name, value)
            self._watched.tell(operation)
        return Taken(acked_seq=entry.acked_seq)

    def _note(self, presence: Presence) -> None:
        now = self._clock.monotonic()
        if now - presence.seen_at >= SEEN_EVERY_S:
            presence.seen_at = now
            self._seen.note(presence.node_id, self._clock.utc())

    async def _begin(self, taking: Taking, facts: Sequence[Fact]) -> list[Fact]:
        """The facts that are to be applied: durable events among them are written down, and those that came before are left out."""
        events = [fact for fact in facts if isinstance(fact, Told) and fact.seq is not None]
        new = await durable.claim(taking, events) if events else []
        await taking.load(facts)
        await durable.keep(taking, new)
        old = {id(event) for event in events} - {id(event) for event in new}
        return [fact for fact in facts if id(fact) not in old]

    async def _apply_each(self, presence: Presence, facts: Sequence[Fact]) -> Taken:
        """Each within a savepoint of its own: one that cannot be taken in does not stop the next, and is kept all the same if it is durable."""
        failed = 0
        async with self._database.writing() as session:
            whole = Taking(session, presence, self._clock.utc())
            for fact in await self._begin(whole, facts):
                try:
                    async with session.begin_nested():
                        alone = Taking(session, presence, whole.now)
                        await alone.load([fact])
                        await self._apply_fact(alone, fact)
                    whole.add_up(alone)
                except Exception:
                    log.exception("fact_not_taken_in", node_id=presence.node_id, fact=type(fact).__name__)
                    failed += 1
        return self._finish(whole, failed)

    def _finish(self, taking: Taking, failed: int) -> Taken:
        """After the commit."""
        presence = taking.presence
        if taking.acked_seq is not None:
            presence.acked_seq = taking.acked_seq
        for server_id in taking.gone:
            self._consoles.forget(presence.node_id, server_id)
        for operation in taking.changed.values():
            self._watched.tell(operation)
            if operation.finished_at is not None:
                self._progress.forget(operation, self._clock.utc())
        return Taken(failed, taking.acked_seq, taking.is_truth)

    async def _apply_fact(self, taking: Taking, fact: Fact) -> None:
        match fact:
            case Told():
                await self._apply_news(taking, fact)
            case Answered(id=command_id, answer=response):
                asked = taking.presence.asked.get(command_id)
                if asked is None:
                    await responses.apply(taking, command_id, response)
                else:
                    await part1.apply_state(taking, asked, response, taking.presence.connected_at)

    async def _apply_news(self, taking: Taking, told: Told) -> None:
        presence, session = taking.presence, taking.session
        match told.content:
            case SystemInfo() as info:
                await nodes.keep_system(session, presence.node_id, info)
            case _ if not presence.speaks_part_2:
                await part1.apply_news(taking, told)
            case StateSnapshot() as snapshot:
                await truth.apply(taking, snapshot)
                self._progress.tell_truth(presence.node_id, snapshot, taking.now)
            case StatusReport() as report if (server := taking.server(report.server_id)) is not None:
                axes.take_figures(server, report, taking.now)
            case _ if told.seq is not None:
                await durable.apply(taking, told)
            case _:
                log.debug("news_of_no_use", node_id=presence.node_id, kind=told.kind)
