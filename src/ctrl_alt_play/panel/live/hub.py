"""The live channel's middle: told of what was committed, it tells those who look. It knows this panel's viewers alone."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, contextmanager, suppress
from weakref import WeakValueDictionary

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from ctrl_alt_play.clock import Clock
from ctrl_alt_play.logs import nothing_carried
from ctrl_alt_play.panel.consoles.service import Consoles
from ctrl_alt_play.panel.db import Database, Touched
from ctrl_alt_play.panel.errors import FieldProblem, Invalid, NotFound, TooManyAttempts, Unavailable
from ctrl_alt_play.panel.events import service as events
from ctrl_alt_play.panel.live import rights
from ctrl_alt_play.panel.live.changes import Changes
from ctrl_alt_play.panel.live.channel import Channel, Ending, Subscription
from ctrl_alt_play.panel.live.console import ConsoleFrames, ConsoleOf
from ctrl_alt_play.panel.live.dirty import Dirty
from ctrl_alt_play.panel.live.events import EventLog
from ctrl_alt_play.panel.live.figures import Measured, Source
from ctrl_alt_play.panel.live.frames import frame
from ctrl_alt_play.panel.live.states import Listing, OfServer, Page, State
from ctrl_alt_play.panel.live.topics import OF_A_NODE, OF_A_SERVER, RESUMABLE, Kind, Topic
from ctrl_alt_play.panel.live.views import Views
from ctrl_alt_play.panel.live.watchers import Watchers
from ctrl_alt_play.panel.models import Server
from ctrl_alt_play.panel.security import Claims
from ctrl_alt_play.panel.servers import service as servers

GATHERED_S = 0.1
"""Changes within this time are told at once; the first of all without delay."""
STEPS_GATHERED_S = 0.25
"""Progress of operations comes by the hundred."""
JUDGED_EVERY_S = 15.0
RETRY_S = 1.0
CLOSE_DEADLINE_S = 1.0
MOST_CHANNELS_A_USER = 50
MOST_STRANGERS = 500
GOING_AWAY = Ending(1001, "SHUTTING_DOWN", "The panel is shutting down: come back in a moment.")

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Hub:
    """`notice` and `progressed` may be called at any time; nothing is told before `tell_for_ever` runs."""

    def __init__(self, database: Database, views: Views, consoles: Consoles, clock: Clock) -> None:
        self._database = database
        self._views = views
        self._consoles = consoles
        self._clock = clock
        self._watchers = Watchers()
        self._logs: WeakValueDictionary[str, EventLog] = WeakValueDictionary()
        """As long as somebody looks."""
        self._changes = Changes(database, self._watchers, views, self._logs)
        self._console_frames = ConsoleFrames()
        self._dirty = Dirty()
        self._steps: dict[str, str | None] = {}
        self._due = asyncio.Event()
        self._turn = asyncio.Lock()
        """What is read later is newer: so nobody is told the older after the newer."""
        self.measured: Measured | None = None
        self.is_closed = False
        self._strangers = 0

    @property
    def _now(self) -> float:
        return self._clock.utc().timestamp()

    @property
    def viewers(self) -> int:
        """Connections."""
        return len(self._watchers.channels)

    def take_figures_from(self, source: Source) -> Measured:
        """Until then there are no topics of figures. Whatever the source gets to know it tells what it is given here."""
        self.measured = Measured(self._watchers, source, self._due.set)
        return self.measured

    def notice(self, touched: AbstractSet[Touched]) -> None:
        """After the commit."""
        if self._watchers.channels:
            self._dirty.note(touched)
            self._due.set()

    def progressed(self, operation_id: str, server_id: str | None) -> None:
        if self._watchers.channels:
            if not self._steps:
                asyncio.get_running_loop().call_later(STEPS_GATHERED_S, self._gather_steps, context=nothing_carried())
            self._steps[operation_id] = server_id

    def _gather_steps(self) -> None:
        steps, self._steps = self._steps, {}
        for operation_id, server_id in steps.items():
            self._dirty.note_operation(operation_id, server_id)
        self._due.set()

    async def open(self, claims: Claims, *, is_kept_alive: bool = False) -> Channel:
        """Raises: Unauthenticated; Unavailable, the panel is ending; TooManyAttempts, the same user has too many."""
        if self.is_closed:
            raise Unavailable(GOING_AWAY.message, retry_after_s=5)
        async with self._reading() as session:
            actor = await rights.actor(session, claims, self._now)
        if sum(channel.actor.id == actor.id for channel in self._watchers.channels) >= MOST_CHANNELS_A_USER:
            sentence = f"At most {MOST_CHANNELS_A_USER} live connections a user are kept: close some."
            raise TooManyAttempts(sentence, retry_after_s=JUDGED_EVERY_S)
        return Channel(actor, claims, self._watchers, is_kept_alive=is_kept_alive)

    @contextmanager
    def stranger(self) -> Iterator[None]:
        """Someone who has not said yet who they are. Raises: Unavailable, there are too many of them."""
        if self._strangers >= MOST_STRANGERS:
            raise Unavailable("Too many connections wait to sign in: come back in a moment.", retry_after_s=5)
        self._strangers += 1
        try:
            yield
        finally:
            self._strangers -= 1

    async def close(self) -> None:
        """Ends all, and lets nobody in; waits a moment for it to be told."""
        self.is_closed = True
        channels = list(self._watchers.channels)
        for channel in channels:
            channel.end(GOING_AWAY)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_DEADLINE_S):
                for channel in channels:
                    await channel.gone.wait()

    async def subscribe(self, channel: Channel, topic: Topic, after: int | None = None) -> None:
        """From here on the channel is told of it, beginning with what it is now, or with what came `after`.

        Raises: NotFound, also for what is another's; Forbidden; Unauthenticated; Invalid, there are too many, or nothing to resume.
        """
        if after is not None and topic.kind not in RESUMABLE:
            raise Invalid.of([FieldProblem("after", f"{topic} always begins with what is: leave it out")])
        async with self._turn, self._reading() as session:
            self._look_at(rights.become(channel, await rights.actor(session, channel.claims, self._now)))
            rights.ensure(channel.actor, topic.kind)
            channel.ensure_room(topic)
            channel.add(await self._subscription(session, channel, topic, after))

    def _look_at(self, server_ids: set[str]) -> None:
        if server_ids:
            self._dirty.servers |= server_ids
            self._due.set()

    async def _subscription(
        self, session: AsyncSession, channel: Channel, topic: Topic, after: int | None
    ) -> Subscription:
        if topic.kind in OF_A_SERVER:
            server = await servers.get_visible(session, channel.actor, topic.id)
            return await self._of_server(session, channel, topic, server, after)
        if topic.kind in OF_A_NODE:
            return await self._of_node(session, channel, topic)
        return Listing(topic, channel, self._page)

    async def _of_server(
        self, session: AsyncSession, channel: Channel, topic: Topic, server: Server, after: int | None
    ) -> Subscription:
        match topic.kind:
            case Kind.CONSOLE:
                return ConsoleOf(topic, channel, self._consoles, self._console_frames, server.node_id, after)
            case Kind.FIGURES:
                return self._measured(topic).of_server(topic, channel, server.node_id)
        row = (await self._views.servers(session, [server]))[0]
        operations = await self._views.open_operations(session, server.id)
        subscription = OfServer(topic, channel, await self._log(session, server), after)
        subscription.offer("server", frame("server", str(topic), row.seen(is_admin=channel.actor.is_admin)))
        for operation in operations:
            subscription.offer(operation.id, frame("operation", str(topic), operation.json))
        return subscription

    async def _of_node(self, session: AsyncSession, channel: Channel, topic: Topic) -> Subscription:
        rows = await self._views.nodes(session, [topic.id])
        if not rows:
            raise NotFound("There is no such node.")
        if topic.kind is Kind.FIGURES_OF_NODE:
            return self._measured(topic).of_node(topic, channel)
        subscription = State(topic, channel)
        subscription.offer("node", frame("node", str(topic), rows[0].json))
        return subscription

    def _measured(self, topic: Topic) -> Measured:
        if self.measured is None:
            raise NotFound(f"This panel has no {topic.kind}.")
        return self.measured

    async def _log(self, session: AsyncSession, server: Server) -> EventLog:
        log = self._logs.get(server.id)
        if log is None:
            newest = await events.newest(session, server.id, server.node_id)
            log = self._logs[server.id] = EventLog(server, newest, self._reading)
        else:
            await log.take_in(session)
        return log

    async def _page(self, listing: Listing) -> Page:
        async with self._turn, self._reading() as session:
            return await self._views.page(session, listing)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncSession]:
        async with self._database.reading() as session:
            yield session

    async def tell_for_ever(self) -> None:
        """What could not be told, the database being away, is told later."""
        while True:
            await self._due.wait()
            self._due.clear()
            dirty, self._dirty = self._dirty, Dirty()
            pause_s = GATHERED_S
            try:
                await self._tell(dirty)
            except Exception:
                log.exception("changes_not_told")
                self._dirty.add(dirty)
                self._due.set()
                pause_s = RETRY_S
            await asyncio.sleep(pause_s)

    async def _tell(self, dirty: Dirty) -> None:
        if self.measured is not None and self.measured.is_due:
            self.measured.watch_others()
        if not self._watchers.channels:
            return
        dirty.servers |= await self._judge(self._of(dirty.users, dirty.sessions))
        async with self._turn:
            await self._changes.tell(dirty)

    def _of(self, user_ids: set[str], session_ids: set[str]) -> list[Channel]:
        theirs = ((channel, channel.claims) for channel in self._watchers.channels)
        return [channel for channel, by in theirs if by.user_id in user_ids or by.session_id in session_ids]

    async def _judge(self, channels: Sequence[Channel]) -> set[str]:
        if not channels:
            return set()
        async with self._reading() as session:
            return await rights.judge(session, channels, self._now)

    async def judge_for_ever(self, every_s: float = JUDGED_EVERY_S) -> None:
        """Rights that ended without a word here: tokens do, and another panel on the same database may have taken some."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.judge()
            except Exception:
                log.exception("rights_not_judged")

    async def judge(self) -> None:
        if self.measured is not None:
            self.measured.watch_on()
        if not self._watchers.channels:
            return
        self._look_at(await self._judge(list(self._watchers.channels)))
        async with self._reading() as session:
            self._look_at(await rights.doubtful_servers(session, self._watchers))
        for channel in self._watchers.channels:
            channel.keep_alive()
