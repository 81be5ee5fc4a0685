"""What a game wrote while nobody read its console, from the engine's own log."""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence

import structlog

from ctrl_alt_play.agent.consoles.cutting import Cutters
from ctrl_alt_play.agent.consoles.joining import Block, Joint, Without, join, lines_of
from ctrl_alt_play.agent.consoles.log import ConsoleLog
from ctrl_alt_play.agent.engine.base import Engine
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.live import NODE, Loss

MARGIN_S = 2.0
"""The engine is asked for so much that the log has already, so that the two can be joined."""
SLACK_S = 1.0
"""By so much the engine's time of a line may differ from the log's."""
SETTLE_S = 0.1
"""How long the engine may take to write down what it has told already, or to tell what it has written down."""
TRIES = 3
MOST_WAITING_BYTES = 2**20
PAUSE_S = 0.01
log = structlog.get_logger(__name__)


async def catch_up(
    engine: Engine, server_id: str, into: ConsoleLog, held: deque[Block], began_at: float | None = None
) -> None:
    """Brings into the log what the engine has kept since its last line, and then what is `held`: what is heard since the console was attached.

    When this returns nothing is held. Where lines may be missing, the log says so. Of what is in the log already that counts which came since
    `began_at`; without it, what came since the node itself has said something there, as it does before there is a game.
    """
    async with into.threads.catching_up:
        try:
            joint = await _joined(engine, server_id, into, held, began_at)
        except Fault as fault:
            log.warning("console_not_read_back", server_id=server_id, reason=fault.message)
            joint = Joint([], is_whole=not into.end, heard_before={}, is_closed=True)
        if not joint.is_whole:
            into.lose(0, Loss.AWAY)
        for block in joint.news:
            await _keep(into, block)
        if not joint.is_closed:
            into.lose(0, Loss.AWAY)
        rest_of = Without(joint.heard_before)
        while held:
            if (rest := rest_of(held.popleft())) is not None:
                await _keep(into, rest)


async def _joined(
    engine: Engine, server_id: str, into: ConsoleLog, held: deque[Block], began_at: float | None
) -> Joint:
    recorded = [part for part in await into.last() if part.text is not None]
    since_s = recorded[-1].at - MARGIN_S if recorded else None
    if began_at is None:
        began_at = max((part.at for part in recorded if part.stream == NODE), default=0.0)
    known_from_s = max(began_at, (since_s or 0) - SLACK_S)
    known = [Block(part.stream, part.text) for part in recorded if part.at >= known_from_s]
    for left in reversed(range(TRIES)):
        await asyncio.sleep(SETTLE_S)
        at_first = Counter({stream: len(lines_of(held, stream)) for stream in ("stdout", "stderr")})
        kept = await _kept(engine, server_id, since_s)
        await asyncio.sleep(SETTLE_S)
        joint = await asyncio.to_thread(join, known, kept, list(held), at_first)
        if joint.is_closed or not left:
            break
    return joint


async def _kept(engine: Engine, server_id: str, since_s: float | None) -> Sequence[Block]:
    cutters, blocks = Cutters(), list[Block]()
    async for chunk in engine.logs(server_id, since_s=since_s):
        text = cutters[chunk.stream].feed(chunk.data)
        if text is not None:
            blocks.append(Block(chunk.stream, text))
    return blocks + [Block(stream, text) for stream, text in cutters.flush()]


async def _keep(into: ConsoleLog, block: Block) -> None:
    """At the disk's pace, for none of this came too fast."""
    while into.waiting_bytes > MOST_WAITING_BYTES:  # noqa: ASYNC110 - the disk tells nobody when it is done
        await asyncio.sleep(PAUSE_S)
    if block.text is None:
        into.lose(block.lost)
    else:
        into.append(block.stream, block.text)
