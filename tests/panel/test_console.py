"""What nodes of part 1 wrote: bounded in lines, bytes and servers, and honest about what it no longer holds."""

from datetime import UTC, datetime

import pytest
from tests.fakes.clock import HeldClock
from tests.panel.support import PanelUnderTest, Person, until

from ctrl_alt_play.panel.consoles import memory
from ctrl_alt_play.panel.consoles.memory import BYTES_KEPT, LINES_KEPT, SERVERS_PER_NODE, Memory
from ctrl_alt_play.panel.consoles.service import Consoles
from ctrl_alt_play.protocol.contents import ServerOutput
from ctrl_alt_play.protocol.live import ConsolePage, HistoryPayload, Loss

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def write(kept: Memory, text: str, server_id: str = "s", node_id: str = "n") -> None:
    kept.write(node_id, ServerOutput(server_id=server_id, output=text), NOW)


def page(kept: Memory, server_id: str = "s", node_id: str = "n", **asked: int) -> ConsolePage:
    return kept.page(node_id, server_id, HistoryPayload(**asked))


def texts(found: ConsolePage) -> list[str]:
    return [line for part in found.parts if part.text is not None for line in part.text.split("\n")]


@pytest.fixture
def kept() -> Memory:
    return Memory(HeldClock())


def test_an_empty_console_has_a_number_from_which_everything_follows(kept: Memory) -> None:
    since = page(kept).next
    write(kept, "one\ntwo\n")
    assert texts(page(kept, since=since)) == ["one", "two"]


def test_without_a_number_the_last_lines_are_given(kept: Memory) -> None:
    for number in range(10):
        write(kept, str(number))
    assert texts(page(kept, lines=3)) == ["7", "8", "9"]


def test_reading_on_from_page_to_page_misses_nothing(kept: Memory) -> None:
    since = page(kept).next
    for number in range(25):
        write(kept, f"{number}\n{number}\r\n")
    found: list[str] = []
    while lines := texts(reading := page(kept, since=since, lines=7)):
        found += lines
        since = reading.next
    assert found == [str(number) for number in range(25) for _ in range(2)]


def test_reading_back_from_page_to_page_misses_nothing(kept: Memory) -> None:
    write(kept, "\n".join(map(str, range(20))))
    newest = page(kept, lines=8)
    older = page(kept, lines=8, before=newest.parts[0].offset)
    oldest = page(kept, lines=8, before=older.parts[0].offset)
    assert texts(oldest) + texts(older) + texts(newest) == [str(number) for number in range(20)]
    assert oldest.parts[0].offset == oldest.first


def test_what_fell_out_of_memory_is_counted(kept: Memory) -> None:
    since = page(kept).next
    for _ in range(BYTES_KEPT // 8000):
        write(kept, "x" * 8000 + "\nshort")
    (gap, *rest) = page(kept, since=since).parts
    assert gap.lost is Loss.ROTATED
    assert (gap.offset, gap.next) == (since, rest[0].offset)
    assert sum(part.lines for part in (gap, *rest)) == 2 * (BYTES_KEPT // 8000)


def test_bytes_are_bounded_too(kept: Memory) -> None:
    for _ in range(100):
        write(kept, "ü" * 8192)
    assert sum(len(text.encode()) for text in texts(page(kept))) <= BYTES_KEPT


def test_servers_are_bounded_and_the_most_silent_goes_first(kept: Memory) -> None:
    write(kept, "first")
    for number in range(SERVERS_PER_NODE - 1):
        write(kept, "x", str(number))
    write(kept, "again")
    write(kept, "one too many", "another")
    assert texts(page(kept)) == ["first", "again"]
    assert not texts(page(kept, "0"))


def test_a_number_of_another_life_of_the_panel_is_as_none(kept: Memory) -> None:
    write(kept, "old\nold\nold")
    clock = HeldClock()
    clock.advance(1)
    new = Memory(clock)
    write(new, "new")
    assert texts(page(new, since=page(kept).next)) == ["new"]


def test_no_number_is_given_twice_to_a_console_that_was_given_up(kept: Memory) -> None:
    write(kept, "\n" * 100)
    before = page(kept).next
    kept.forget("n", "s")
    write(kept, "again")
    assert page(kept).first >= before


def test_a_flood_in_one_frame_costs_no_more_than_what_is_kept(kept: Memory) -> None:
    write(kept, "\n".join(map(str, range(500_000))))
    found = page(kept, lines=10_000)
    assert found.next - found.first == 500_000
    assert texts(found) == [str(number) for number in range(500_000 - LINES_KEPT, 500_000)]
    assert found.parts[0].lost is Loss.FLOOD


@pytest.mark.parametrize("line", ["x" * 8192, ""], ids=["long lines", "empty lines"])
def test_all_consoles_together_are_bounded_and_the_most_silent_goes_first(
    kept: Memory, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 1024 * 1024
    monkeypatch.setattr(memory, "BYTES_OF_ALL", most)
    for number in range(2000):
        write(kept, "\n".join([line] * 30), node_id=f"node {number}")
        write(kept, "again", node_id="chatty")
        assert kept.bytes_held <= most
    assert not texts(page(kept, node_id="node 0"))
    assert texts(page(kept, node_id="node 1999"))
    assert len(texts(page(kept, node_id="chatty"))) >= 400


def test_what_is_forgotten_takes_no_room(kept: Memory) -> None:
    for server_id in map(str, range(SERVERS_PER_NODE + 5)):
        write(kept, "one\ntwo", server_id, "gone")
        write(kept, "x", server_id)
    kept.forget_node("gone")
    assert not texts(page(kept, "9", "gone"))
    for server_id in map(str, range(SERVERS_PER_NODE + 5)):
        kept.forget("n", server_id)
    assert kept.bytes_held == 0


async def test_a_node_that_is_removed_leaves_nothing(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    consoles: Consoles = panel.app.state.consoles
    await agent.tell("server_output", {"serverId": "of-nobody", "output": "hello", "stream": "stdout"})
    await agent.send(
        {"type": "event", "event": "operation_progress", "data": {"commandId": "cmd_1", "phase": "pulling"}}
    )
    await until(lambda: panel.app.state.progress.heard(agent.node_id, "cmd_1"))
    assert consoles.memory.holds(agent.node_id, "of-nobody")
    await admin.delete(f"/api/nodes/{agent.node_id}")
    await until(lambda: not consoles.memory.holds(agent.node_id, "of-nobody"))
    await until(lambda: agent.closed_with)
    assert panel.app.state.progress.heard(agent.node_id, "cmd_1") is None


async def test_a_node_that_is_removed_while_it_is_away_leaves_nothing(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    consoles: Consoles = panel.app.state.consoles
    await agent.tell("server_output", {"serverId": "of-nobody", "output": "hello", "stream": "stdout"})
    await until(lambda: consoles.memory.holds(agent.node_id, "of-nobody"))
    await agent.go()
    await panel.sees_node(agent, online=False)
    assert consoles.memory.holds(agent.node_id, "of-nobody")
    await admin.delete(f"/api/nodes/{agent.node_id}")
    assert not consoles.memory.holds(agent.node_id, "of-nobody")
