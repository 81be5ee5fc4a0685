"""What waits for the panel: facts in order and first, output when there is room, and nothing without a bound."""

import asyncio
import json

import pytest
from tests.fakes.clock import NOON, HeldClock

from ctrl_alt_play.agent.outbox import MESSAGE_CHARS, MOST_FACTS, MOST_OUTPUT_CHARS, OUTPUT_EVERY_S, Outbox
from ctrl_alt_play.agent.servers.fleet import operation_of
from ctrl_alt_play.protocol.contents import Action, Nothing, Outcome, ServerState, StatusChanged
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import encode


class Sent:
    """An outbox, and all that comes out of it."""

    def __init__(self) -> None:
        self.clock = HeldClock()
        self.dropped = 0
        self.box = Outbox(self.clock, self._drop)

    def _drop(self, lines: int) -> None:
        self.dropped += lines

    async def next(self) -> dict[str, object]:
        async with asyncio.timeout(2):
            message = await self.box.next()
        found: dict[str, object] = json.loads(message if isinstance(message, str) else encode(message, NOON))
        return found

    async def all(self) -> list[dict[str, object]]:
        """What can be sent now."""
        found = []
        try:
            while True:
                async with asyncio.timeout(0.02):
                    message = await self.box.next()
                found.append(json.loads(message if isinstance(message, str) else encode(message, NOON)))
        except TimeoutError:
            return found


@pytest.fixture
def sent() -> Sent:
    return Sent()


def change(server_id: str = "one", word: str = "running") -> StatusChanged:
    return StatusChanged(server_id=server_id, previous_status="stopped", current_status=word)


async def test_a_change_is_told_as_an_event_and_as_a_legacy_status(sent: Sent) -> None:
    sent.box.open()
    sent.box.changed(change())
    event, legacy = await sent.all()
    assert (event["type"], event["event"]) == ("event", "server_status_changed")
    assert legacy["type"] == "server_status"
    assert legacy["data"] == {"serverId": "one", "status": "running"}


async def test_facts_go_in_order_and_before_output(sent: Sent) -> None:
    sent.box.open('{"type":"first"}')
    sent.box.line("one", "stdout", "output")
    sent.clock.advance(1)
    sent.box.answer('{"type":"answer"}')
    sent.box.changed(change())
    assert [frame["type"] for frame in await sent.all()] == [
        "first",
        "answer",
        "event",
        "server_status",
        "server_output",
    ]


async def test_while_the_panel_is_away_facts_are_kept_and_answers_are_not(sent: Sent) -> None:
    sent.box.open()
    sent.box.answer('{"type":"too late"}')
    sent.box.close()
    sent.box.answer('{"type":"nobody waits"}')
    sent.box.changed(change())
    sent.box.open('{"type":"system_info"}')
    assert [frame["type"] for frame in await sent.all()] == ["system_info", "event", "server_status"]


async def test_while_the_panel_is_away_the_newest_facts_are_kept(sent: Sent) -> None:
    for number in range(MOST_FACTS):
        sent.box.changed(change(f"s{number}"))
    sent.box.open('{"type":"system_info"}')
    frames = await sent.all()
    assert len(frames) <= MOST_FACTS
    assert frames[0]["type"] == "system_info"
    assert frames[-1]["data"] == {"serverId": f"s{MOST_FACTS - 1}", "status": "running"}


async def test_a_panel_that_reads_too_slowly_is_connected_anew(sent: Sent) -> None:
    sent.box.open()
    for _ in range(MOST_FACTS // 2 + 1):
        sent.box.changed(change())
    with pytest.raises(TimeoutError, match="does not keep up"):
        await sent.box.next()
    sent.box.close()
    sent.box.open()
    assert (await sent.next())["type"] in {"event", "server_status"}


async def test_lines_are_gathered_and_sent_at_most_so_often(sent: Sent) -> None:
    sent.box.open()
    for number in range(3):
        sent.box.line("one", "stdout", f"line {number}")
    assert await sent.all() == []
    sent.clock.advance(OUTPUT_EVERY_S)
    (frame,) = await sent.all()
    assert frame["data"]["output"] == "line 0\nline 1\nline 2"  # type: ignore[index]


async def test_streams_and_servers_are_told_apart_and_order_is_kept(sent: Sent) -> None:
    sent.box.open()
    for server_id, stream, text in [
        ("one", "stdout", "a"),
        ("one", "stderr", "b"),
        ("one", "stdout", "c"),
        ("two", "stdout", "d"),
    ]:
        sent.box.line(server_id, stream, text)
    told: list[object] = []
    for _ in range(10):
        sent.clock.advance(OUTPUT_EVERY_S)
        told += [(f["data"]["serverId"], f["data"]["stream"], f["data"]["output"]) for f in await sent.all()]  # type: ignore[index]
    assert [each for each in told if each[0] == "one"] == [
        ("one", "stdout", "a"),
        ("one", "stderr", "b"),
        ("one", "stdout", "c"),
    ]  # type: ignore[index]
    assert ("two", "stdout", "d") in told


async def test_too_much_output_loses_the_oldest_and_says_how_much(sent: Sent) -> None:
    sent.box.open()
    for number in range(2000):
        sent.box.line("one", "stdout", f"{number:04} {'x' * 95}")
    assert sent.dropped > 0
    told: list[str] = []
    for _ in range(20):
        sent.clock.advance(OUTPUT_EVERY_S)
        told += [frame["data"]["output"] for frame in await sent.all()]  # type: ignore[index]
    assert told[0] == f"[{sent.dropped} lines of output were dropped: they came faster than they could be sent]"
    lines = "\n".join(told[1:]).split("\n")
    assert len(lines) + sent.dropped == 2000
    assert lines[-1].startswith("1999")
    assert max(map(len, told)) <= MESSAGE_CHARS
    assert sum(map(len, told)) <= MOST_OUTPUT_CHARS + 200


async def test_one_servers_flood_holds_up_nobody_elses_line(sent: Sent) -> None:
    sent.box.open()
    for _ in range(1000):
        sent.box.line("loud", "stdout", "x" * 1000)
    sent.box.line("quiet", "stdout", "hello")
    sent.clock.advance(OUTPUT_EVERY_S)
    assert "quiet" in [frame["data"]["serverId"] for frame in await sent.all()]  # type: ignore[index]


async def test_only_a_legacy_message_is_answered_when_its_work_is_over(sent: Sent) -> None:
    sent.box.open()
    sent.box.ended(operation_of(Action.START_SERVER, "one", Nothing(), "c1", None), ServerState.RUNNING, None)
    assert await sent.all() == []
    legacy = operation_of(Action.START_SERVER, "one", Nothing(), None, "m1")
    sent.box.ended(legacy, ServerState.RUNNING, None)
    sent.box.ended(legacy, Outcome.START_FAILED, Fault(ErrorCode.PORT_CONFLICT, "Taken.", "27960"))
    good, bad = await sent.all()
    assert (good["type"], good["messageId"], good["data"]) == (
        "server_status",
        "m1",
        {"serverId": "one", "status": "running"},
    )
    assert (bad["type"], bad["messageId"]) == ("error", "m1")
    assert bad["data"] == {"code": "PORT_CONFLICT", "message": "Taken.", "details": "27960"}
