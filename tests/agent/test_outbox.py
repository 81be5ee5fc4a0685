"""What goes to the panel: answers, durable events as the journal has them, output when there is room; nothing without a bound."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.clock import NOON, HeldClock

from ctrl_alt_play.agent import outbox
from ctrl_alt_play.agent.consoles.consoles import Consoles
from ctrl_alt_play.agent.journal import Journal
from ctrl_alt_play.agent.outbox import (
    BLOCK_BYTES,
    MOST_ANSWER_BYTES,
    MOST_ANSWERS,
    MOST_BLOCKS,
    MOST_UNACKED,
    PROGRESS_EVERY_S,
    Outbox,
)
from ctrl_alt_play.agent.output import MESSAGE_CHARS, MOST_OUTPUT_CHARS, OUTPUT_EVERY_S
from ctrl_alt_play.agent.records import Entry, News
from ctrl_alt_play.agent.servers.fleet import operation_of
from ctrl_alt_play.protocol.contents import Action, Nothing, Outcome, ServerState, StatusChanged
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.live import AttachPayload, Samples, ServerFigures
from ctrl_alt_play.protocol.messages import encode
from ctrl_alt_play.protocol.part2 import CommandCompleted, OperationProgress


class Sent:
    """An outbox, and all that comes out of it."""

    def __init__(self, journal: Journal, folder: Path) -> None:
        self.clock = HeldClock()
        self.dropped = 0
        self.journal = journal
        self.consoles = Consoles(folder, self.clock, "boot")
        self.box = Outbox(self.clock, journal, self._drop, self.consoles.feed)

    def _drop(self, lines: int) -> None:
        self.dropped += lines

    async def tell(self, *contents: StatusChanged | CommandCompleted, is_for_part1: bool = True) -> None:
        """Durable events, as a server tells them."""
        kinds = {StatusChanged: "server_status_changed", CommandCompleted: "command_completed"}
        news = (News(kinds[type(each)], "one", each, NOON, is_for_part1) for each in contents)
        await self.journal.put(Entry(news=tuple(news)))

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
                async with asyncio.timeout(0.05):
                    message = await self.box.next()
                found.append(json.loads(message if isinstance(message, str) else encode(message, NOON)))
        except TimeoutError:
            return found


@pytest.fixture
async def sent(tmp_path: Path) -> AsyncIterator[Sent]:
    journal = await Journal.open(tmp_path / "journal.db")
    sent = Sent(journal, tmp_path / "consoles")
    yield sent
    await sent.consoles.close()
    await journal.close()


def change(server_id: str = "one", word: str = "running") -> StatusChanged:
    return StatusChanged(
        server_id=server_id, previous_status="stopped", current_status=word, desired="on", command_id="c"
    )


COMPLETED = CommandCompleted(command_id="c", action="start_server", server_id="one", success=True)


async def test_a_change_is_told_to_part_1_as_an_event_and_as_a_legacy_status_and_in_its_own_words(sent: Sent) -> None:
    sent.box.open()
    sent.box.speak_part1(is_firm=True)
    await sent.tell(change())
    await sent.tell(COMPLETED, change(word="starting"), is_for_part1=False)
    event, legacy = await sent.all()
    assert (event["type"], event["event"]) == ("event", "server_status_changed")
    assert event["data"] == {"serverId": "one", "previousStatus": "stopped", "currentStatus": "running"}
    assert "seq" not in event
    assert legacy["type"] == "server_status"
    assert legacy["data"] == {"serverId": "one", "status": "running"}


async def test_why_a_server_became_what_it_is_is_told_to_part_2_alone(sent: Sent) -> None:
    why = StatusChanged(server_id="one", current_status="stopped", error="The game ended by itself.")
    failure = StatusChanged(server_id="one", status="start_failed", error="No such image.")
    await sent.tell(why, failure)
    sent.box.open()
    sent.box.speak_part2(0)
    told = [frame["data"] for frame in await sent.all()]
    assert [data["error"] for data in told] == ["The game ended by itself.", "No such image."]  # type: ignore[index]
    sent.box.close()
    sent.box.open()
    sent.box.speak_part1(is_firm=True)
    told = [frame["data"] for frame in await sent.all()]
    assert ["error" in data for data in told] == [False, False, True, True]  # type: ignore[operator]


async def test_answers_of_part_1_come_after_the_news_that_were_told_before_them_and_output_comes_last(
    sent: Sent,
) -> None:
    sent.box.open('{"type":"first"}')
    sent.box.wrote("one", "stdout", "output")
    sent.clock.advance(1)
    await sent.tell(change())
    sent.box.answer('{"type":"answer"}')
    sent.box.speak_part1(is_firm=True)
    assert [frame["type"] for frame in await sent.all()] == [
        "first",
        "event",
        "server_status",
        "answer",
        "server_output",
    ]


async def test_before_it_is_known_what_the_panel_speaks_it_gets_its_answers_only(sent: Sent) -> None:
    await sent.tell(change())
    sent.box.open('{"type":"system_info"}')
    sent.box.answer('{"type":"answer"}')
    assert [frame["type"] for frame in await sent.all()] == ["system_info", "answer"]


async def test_while_the_panel_is_away_facts_are_kept_and_answers_are_not(sent: Sent) -> None:
    sent.box.open()
    sent.box.answer('{"type":"too late"}')
    sent.box.close()
    sent.box.answer('{"type":"nobody waits"}')
    await sent.tell(change())
    sent.box.open('{"type":"system_info"}')
    sent.box.speak_part1(is_firm=True)
    assert [frame["type"] for frame in await sent.all()] == ["system_info", "event", "server_status"]


async def test_what_part_1_was_sent_is_forgotten_once_it_is_certain_that_it_is_part_1(sent: Sent) -> None:
    await sent.journal.meet_part2()
    await sent.tell(change())
    sent.box.open()
    sent.box.speak_part1(is_firm=False)
    assert len(await sent.all()) == 2
    await sent.journal.put(Entry())
    assert len(await sent.journal.events_after(0, 10)) == 1
    sent.box.close()
    sent.box.open()
    sent.box.speak_part1(is_firm=True)
    assert len(await sent.all()) == 2
    await sent.journal.put(Entry())
    assert await sent.journal.events_after(0, 10) == []


async def test_part_2_gets_every_event_in_order_from_where_it_left_off(sent: Sent) -> None:
    await sent.tell(change(), COMPLETED)
    await sent.tell(change(word="starting"), is_for_part1=False)
    sent.box.open('{"type":"system_info"}')
    sent.box.speak_part2(1, '{"type":"state_snapshot"}')
    first, snapshot, completed, starting = await sent.all()
    assert (first["type"], snapshot["type"]) == ("system_info", "state_snapshot")
    assert (completed["event"], completed["seq"]) == ("command_completed", 2)
    assert (starting["seq"], starting["data"]["desired"]) == (3, "on")  # type: ignore[index]
    assert "missing" not in completed


async def test_what_a_panel_of_part_2_has_not_acknowledged_it_is_told_again(sent: Sent) -> None:
    await sent.tell(change(), change(), change())
    for acked, told in ((0, [1, 2, 3]), (2, [3]), (3, [])):
        sent.box.open()
        sent.box.speak_part2(acked)
        assert [frame["seq"] for frame in await sent.all()] == told
        sent.box.close()


async def test_the_gap_that_a_full_spool_leaves_is_told(sent: Sent) -> None:
    await sent.tell(*[change() for _ in range(9)])
    sent.journal.ack(5)
    await sent.journal.put(Entry())
    sent.box.open()
    sent.box.speak_part2(2)
    frames = await sent.all()
    assert [(frame["seq"], frame.get("missing")) for frame in frames] == [(6, 3), (7, None), (8, None), (9, None)]


async def test_a_panel_that_acknowledges_nothing_is_sent_no_more_than_so_much(sent: Sent) -> None:
    await sent.tell(*[change() for _ in range(2 * MOST_UNACKED)])
    sent.box.open()
    sent.box.speak_part2(0)
    first = await sent.all()
    assert len(first) < MOST_UNACKED + outbox.EVENTS_AT_ONCE
    sent.box.answer('{"type":"answer"}')
    assert [frame["type"] for frame in await sent.all()] == ["answer"]
    sent.box.ack(len(first))
    assert (await sent.next())["seq"] == len(first) + 1


async def test_figures_go_to_a_panel_of_part_2_alone_the_newest_of_each_server(sent: Sent) -> None:
    sent.box.samples(figures(1))
    sent.box.open()
    sent.box.samples(figures(2))
    sent.box.speak_part1(is_firm=True)
    sent.box.samples(figures(3))
    assert await sent.all() == []
    sent.box.speak_part2(0)
    sent.box.samples(figures(4))
    sent.box.samples(figures(5))
    (told,) = await sent.all()
    assert told["event"] == "samples"
    assert told["data"] == {"servers": [{"serverId": "one", "cpu": 5.0}]}
    assert "seq" not in told
    sent.box.samples(figures(6))
    sent.box.open()
    sent.box.speak_part2(0)
    assert await sent.all() == []


def figures(cpu: float) -> Samples:
    return Samples(servers=(ServerFigures(server_id="one", cpu=cpu),))


async def test_progress_is_the_newest_of_each_command_and_not_too_often(sent: Sent) -> None:
    sent.box.open()
    sent.box.speak_part2(0)
    for percent in range(10):
        sent.box.progress(OperationProgress(command_id="c", phase="image", percent=percent))
    assert [frame["data"]["percent"] for frame in await sent.all()] == [9]  # type: ignore[index]
    sent.box.progress(OperationProgress(command_id="c", phase="container"))
    assert await sent.all() == []
    sent.clock.advance(PROGRESS_EVERY_S)
    (frame,) = await sent.all()
    assert (frame["event"], frame["data"]) == (
        "operation_progress",
        {"commandId": "c", "phase": "container", "message": ""},
    )
    assert "seq" not in frame


@pytest.mark.parametrize(
    ("answer", "too_many"),
    [('{"type":"answer"}', MOST_ANSWERS + 1), ("ö" * 2**19, MOST_ANSWER_BYTES // 2**20 + 1)],
    ids=["answers", "bytes"],
)
async def test_a_panel_that_reads_too_slowly_is_connected_anew(sent: Sent, answer: str, too_many: int) -> None:
    sent.box.open()
    for _ in range(too_many - 1):
        sent.box.answer(answer)
    assert await sent.box.next() == answer
    for _ in range(2):
        sent.box.answer(answer)
    with pytest.raises(TimeoutError, match="does not keep up"):
        await sent.box.next()
    sent.box.close()
    sent.box.open('{"type":"system_info"}')
    assert (await sent.next())["type"] == "system_info"


async def test_lines_are_gathered_and_sent_at_most_so_often(sent: Sent) -> None:
    sent.box.open()
    sent.box.speak_part1(is_firm=True)
    for number in range(3):
        sent.box.wrote("one", "stdout", f"line {number}")
    assert await sent.all() == []
    sent.clock.advance(OUTPUT_EVERY_S)
    (frame,) = await sent.all()
    assert frame["data"]["output"] == "line 0\nline 1\nline 2"  # type: ignore[index]


async def test_streams_and_servers_are_told_apart_and_order_is_kept(sent: Sent) -> None:
    sent.box.open()
    sent.box.speak_part1(is_firm=True)
    for server_id, stream, text in [
        ("one", "stdout", "a"),
        ("one", "stderr", "b"),
        ("one", "stdout", "c"),
        ("two", "stdout", "d"),
    ]:
        sent.box.wrote(server_id, stream, text)
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
    sent.box.speak_part1(is_firm=True)
    for number in range(2000):
        sent.box.wrote("one", "stdout", f"{number:04} {'x' * 95}")
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
    sent.box.speak_part1(is_firm=True)
    for _ in range(1000):
        sent.box.wrote("loud", "stdout", "x" * 1000)
    sent.box.wrote("quiet", "stdout", "hello")
    sent.clock.advance(OUTPUT_EVERY_S)
    assert "quiet" in [frame["data"]["serverId"] for frame in await sent.all()]  # type: ignore[index]


async def test_only_a_legacy_message_is_answered_when_its_work_is_over(sent: Sent) -> None:
    sent.box.open()
    sent.box.speak_part1(is_firm=True)
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


async def test_a_gap_is_told_with_the_next_event_also_where_there_was_nothing_to_read_before_it(sent: Sent) -> None:
    await sent.tell(*[change() for _ in range(5)])
    sent.journal.ack(5)
    await sent.journal.put(Entry())
    sent.box.open()
    sent.box.speak_part2(2)
    assert await sent.all() == []
    await sent.tell(change())
    (frame,) = await sent.all()
    assert (frame["seq"], frame["missing"]) == (6, 3)


async def test_consoles_wait_while_much_is_on_its_way_and_answers_overtake_them(sent: Sent) -> None:
    sent.box.open()
    sent.box.speak_part2(0)
    await sent.consoles.attach("one", AttachPayload())
    log = sent.consoles.log("one")
    log.append("stdout", "line")
    await log.threads.written()
    asked = [sent.box.sent(BLOCK_BYTES // 2) for _ in range(2 * MOST_BLOCKS)]
    assert asked == [False, True] * MOST_BLOCKS
    assert await sent.all() == []
    sent.box.answer("1")
    assert await sent.next() == 1
    sent.box.arrived()
    assert (await sent.next())["event"] == "console"
    sent.box.sent(BLOCK_BYTES)
    log.append("stdout", "another line")
    sent.box.open()
    sent.box.speak_part2(0)
    await sent.consoles.attach("one", AttachPayload(since=0))
    assert (await sent.next())["event"] == "console"
