"""What a server's runs were: the last one that went well, and the report of one that did not."""

import asyncio

from ctrl_alt_play.agent.records import News
from ctrl_alt_play.agent.servers.game import Game
from ctrl_alt_play.agent.servers.life import Life
from ctrl_alt_play.agent.servers.node import Node
from ctrl_alt_play.agent.servers.telling import CRASHED
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.part2 import ServerCrashed

GOOD_AFTER_S = 60.0
"""A run that lasted so long, and was ready where a rule asks for it, went well."""


class History:
    """`good_run` is the last run that went well in this agent's life, as the journal keeps it."""

    def __init__(self, game: Game, node: Node) -> None:
        self.good_run: str | None = None
        self.start_fault: Fault | None = None
        self._game = game
        self._node = node
        self._timer: asyncio.TimerHandle | None = None

    def begin_run(self) -> None:
        """The game runs as it should; it is a good run once it has done so for a while."""
        self.end_run()

    def end_run(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def report(self, life: Life, is_lost: bool) -> News:
        return News(CRASHED, self._game.id, ServerCrashed(server_id=self._game.id), self._node.clock.utc())
