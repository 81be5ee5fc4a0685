"""One viewer's connection: what they subscribed to, and which of it has its turn to be sent."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import Self

import structlog

from ctrl_alt_play.panel.errors import Invalid, PanelError
from ctrl_alt_play.panel.live.frames import Frame, frame, problem
from ctrl_alt_play.panel.live.topics import Topic
from ctrl_alt_play.panel.live.watchers import Watchers
from ctrl_alt_play.panel.security import Actor, Claims

MOST_TOPICS = 200
MOST_ANSWERS = 64
"""Not taken yet; until they are, nothing more is heard."""
ALIVE = frame("alive")

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection ends, with its WebSocket close code."""

    close_code: int
    code: str
    message: str


class Subscription(ABC):
    """Holds no queue of frames: only what is newest, or how far its viewer is."""

    __slots__ = ("channel", "is_queued", "name", "topic")

    def __init__(self, topic: Topic, channel: "Channel") -> None:
        self.topic = topic
        self.name = str(topic)
        self.channel = channel
        self.is_queued = False

    @property
    @abstractmethod
    def has_more(self) -> bool: ...

    @abstractmethod
    async def take(self) -> Frame | None:
        """The next frame; None where there is none after all."""

    def wake(self) -> None:
        """There is something to take."""
        self.channel.queue(self)

    def end(self, last: Frame) -> None:
        """By us: its viewer is told."""
        if self.channel.subscriptions.get(self.topic) is self:
            self.channel.drop(self.topic, last)

    def revoke(self) -> None:
        self.end(frame("revoked", self.name))

    def close(self) -> None:  # noqa: B027 - most have nothing to let go of
        """It was dropped."""


class Channel:
    """Use it as a context: it is over when that ends."""

    def __init__(self, actor: Actor, claims: Claims, watchers: Watchers, *, is_kept_alive: bool) -> None:
        self.actor = actor
        self.claims = claims
        self.ending: Ending | None = None
        self.subscriptions: dict[Topic, Subscription] = {}
        self.is_idle = False
        """Nothing was sent since this was set."""
        self.is_kept_alive = is_kept_alive
        self.gone = asyncio.Event()
        self._sending: Frame | None = None
        self._was_sending: Frame | None = None
        self._watchers = watchers
        self._queue: deque[Subscription] = deque()
        self._answers: deque[Frame] = deque()
        self._awake = asyncio.Event()
        self._has_room = asyncio.Event()

    def __enter__(self) -> Self:
        self._watchers.channels.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._watchers.channels.discard(self)
        self._forget_all()
        self.gone.set()

    def ensure_room(self, topic: Topic) -> None:
        """Raises: Invalid, there are too many."""
        if topic not in self.subscriptions and len(self.subscriptions) >= MOST_TOPICS:
            raise Invalid(f"One connection has at most {MOST_TOPICS} topics.", "TOO_MANY_TOPICS")

    def add(self, subscription: Subscription) -> None:
        """In place of one that there was of the same topic."""
        self.drop(subscription.topic)
        if self.ending is not None:
            subscription.close()
            return
        self.subscriptions[subscription.topic] = subscription
        self._watchers.add(subscription)
        subscription.wake()

    def drop(self, topic: Topic, last: Frame | None = None) -> bool:
        """Whether there was one."""
        subscription = self.subscriptions.pop(topic, None)
        if subscription is not None:
            self._watchers.discard(subscription)
            subscription.close()
            if last is not None:
                self.answer(last)
        return subscription is not None

    def end(self, ending: Ending) -> None:
        """What was not sent yet is not sent any more."""
        self.ending = self.ending or ending
        self._forget_all()
        self._awake.set()

    def answer(self, told: Frame) -> None:
        """Comes before all else."""
        self._answers.append(told)
        self._awake.set()

    def keep_alive(self) -> None:
        """Called from time to time: where nothing was sent since, a sign of life is."""
        if self.is_idle and self.is_kept_alive:
            self.answer(ALIVE)
        self.is_idle = True

    def is_stuck(self) -> bool:
        """Whether what was being sent when this was asked last still is."""
        was_sending, self._was_sending = self._was_sending, self._sending
        return was_sending is not None and was_sending is self._sending

    async def room(self) -> None:
        """Waits until most answers were taken."""
        while len(self._answers) >= MOST_ANSWERS and self.ending is None:
            self._has_room.clear()
            await self._has_room.wait()

    def queue(self, subscription: Subscription) -> None:
        if not subscription.is_queued:
            subscription.is_queued = True
            self._queue.append(subscription)
            self._awake.set()

    async def next(self) -> Frame | None:
        """The next frame, of each topic in turn; None when the connection is to end. One at a time may wait here, and is not cancelled but
        to end it.
        """
        self._sending = None
        while self.ending is None:
            found = self._answers.popleft() if self._answers else await self._take()
            if found is not None:
                self._has_room.set()
                self.is_idle = False
                self._sending = found
                return found
            if not self._answers and not self._queue and self.ending is None:
                self._awake.clear()
                await self._awake.wait()
        self._has_room.set()
        return None

    async def _take(self) -> Frame | None:
        if not self._queue:
            return None
        subscription = self._queue.popleft()
        subscription.is_queued = False
        if not self._has(subscription):
            return None
        try:
            taken = await subscription.take()
        except PanelError as error:
            subscription.end(problem(error.code, error.detail, subscription.name))
        except Exception:
            log.exception("subscription_failed", topic=subscription.name)
            subscription.end(problem("INTERNAL_ERROR", "The panel failed at this topic.", subscription.name))
        else:
            if self._has(subscription):
                if subscription.has_more:
                    self.queue(subscription)
                return taken
        return None

    def _has(self, subscription: Subscription) -> bool:
        return self.subscriptions.get(subscription.topic) is subscription

    def _forget_all(self) -> None:
        for topic in list(self.subscriptions):
            self.drop(topic)
        self._queue.clear()
