"""The console's memory: bounded in lines, bytes and servers, and honest about what it no longer holds."""

from datetime import UTC, datetime

import pytest
from tests.panel.support import PanelUnderTest, Person, until

from ctrl_alt_play.panel.servers.console import BYTES_KEPT, LINES_KEPT, SERVERS_PER_NODE, Consoles

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def write(consoles: Consoles, text: str, server_id: str = "s") -> None:
    consoles.write("n", server_id, text, "stdout", NOW)


def texts(consoles: Consoles, most: int = 1000, after: str | None = None) -> list[str]:
    return [line.text for line in consoles.read("n", "s", most, after).lines]


def test_an_empty_console_has_a_cursor_from_which_everything_follows() -> None:
    consoles = Consoles()
    cursor = consoles.read("n", "s", 10, None).cursor
    write(consoles, "one\ntwo\n")
    assert texts(consoles, after=cursor) == ["one", "two"]


def test_without_a_cursor_the_last_lines_are_given() -> None:
    consoles = Consoles()
    for number in range(10):
        write(consoles, str(number))
    assert texts(consoles, 3) == ["7", "8", "9"]


def test_reading_on_from_cursor_to_cursor_misses_nothing() -> None:
    consoles = Consoles()
    cursor = consoles.read("n", "s", 10, None).cursor
    for number in range(25):
        write(consoles, str(number))
    found: list[str] = []
    while (reading := consoles.read("n", "s", 10, cursor)).lines:
        found += [line.text for line in reading.lines]
        cursor = reading.cursor
    assert found == [str(number) for number in range(25)]


def test_what_fell_out_of_memory_is_counted() -> None:
    consoles = Consoles()
    cursor = consoles.read("n", "s", 10, None).cursor
    for number in range(LINES_KEPT + 5):
        write(consoles, str(number))
    reading = consoles.read("n", "s", 1000, cursor)
    assert (reading.missed, len(reading.lines)) == (5, LINES_KEPT)


def test_bytes_are_bounded_too() -> None:
    consoles = Consoles()
    for _ in range(100):
        write(consoles, "ü" * 8192)
    assert sum(len(text.encode()) for text in texts(consoles)) <= BYTES_KEPT


def test_servers_are_bounded_and_the_most_silent_goes_first() -> None:
    consoles = Consoles()
    write(consoles, "first")
    for number in range(SERVERS_PER_NODE - 1):
        write(consoles, "x", str(number))
    write(consoles, "again")
    write(consoles, "one too many", "another")
    assert texts(consoles) == ["first", "again"]
    assert not consoles.read("n", "0", 10, None).lines


def test_a_cursor_of_another_life_of_the_panel_is_as_none() -> None:
    consoles, former = Consoles(), Consoles()
    for number in range(5):
        write(former, str(number))
    write(consoles, "new")
    assert texts(consoles, after=former.read("n", "s", 10, None).cursor) == ["new"]


def test_a_flood_in_one_frame_costs_no_more_than_what_is_kept() -> None:
    consoles = Consoles()
    consoles.write("node", "one", "\n".join(map(str, range(500_000))), "stdout", datetime.now(UTC))
    reading = consoles.read("node", "one", 1000, None)
    assert reading.lines[-1].number == 500_000
    assert reading.lines[-1].text == "499999"
    assert len(reading.lines) == 1000


@pytest.mark.parametrize("line", ["x" * 8192, ""], ids=["long lines", "empty lines"])
def test_all_consoles_together_are_bounded_and_the_most_silent_goes_first(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 1024 * 1024
    monkeypatch.setattr("ctrl_alt_play.panel.servers.console.BYTES_OF_ALL", most)
    consoles = Consoles()
    for number in range(200):
        consoles.write(f"node {number}", "s", "\n".join([line] * 30), "stdout", NOW)
        consoles.write("chatty", "s", "again", "stdout", NOW)
        assert consoles.bytes_held <= most
    assert not consoles.read("node 0", "s", 10, None).lines
    assert consoles.read("node 199", "s", 10, None).lines
    assert len(consoles.read("chatty", "s", 1000, None).lines) == 200


def test_what_is_forgotten_takes_no_room() -> None:
    consoles = Consoles()
    for server_id in map(str, range(SERVERS_PER_NODE + 5)):
        consoles.write("gone", server_id, "one\ntwo", "stdout", NOW)
        write(consoles, "x", server_id)
    consoles.forget_node("gone")
    assert not consoles.read("gone", "9", 10, None).lines
    for server_id in map(str, range(SERVERS_PER_NODE + 5)):
        consoles.forget("n", server_id)
    assert consoles.bytes_held == 0


async def test_a_node_that_is_removed_leaves_nothing(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    consoles: Consoles = panel.app.state.consoles
    said = {"serverId": "of-nobody", "output": "hello", "stream": "stdout"}
    await agent.tell("server_output", said)
    await agent.send(
        {"type": "event", "event": "operation_progress", "data": {"commandId": "cmd_1", "phase": "pulling"}}
    )
    await until(lambda: panel.app.state.progress.heard(agent.node_id, "cmd_1"))
    assert consoles.read(agent.node_id, "of-nobody", 10, None).lines
    await admin.delete(f"/api/nodes/{agent.node_id}")
    await until(lambda: not consoles.read(agent.node_id, "of-nobody", 10, None).lines)
    await until(lambda: agent.closed_with)
    assert panel.app.state.progress.heard(agent.node_id, "cmd_1") is None


async def test_a_node_that_is_removed_while_it_is_away_leaves_nothing(panel: PanelUnderTest, admin: Person) -> None:
    agent = await panel.connected(await panel.part2_agent())
    consoles: Consoles = panel.app.state.consoles
    await agent.tell("server_output", {"serverId": "of-nobody", "output": "hello", "stream": "stdout"})
    await until(lambda: consoles.read(agent.node_id, "of-nobody", 10, None).lines)
    await agent.go()
    await panel.sees_node(agent, online=False)
    assert consoles.read(agent.node_id, "of-nobody", 10, None).lines
    await admin.delete(f"/api/nodes/{agent.node_id}")
    assert not consoles.read(agent.node_id, "of-nobody", 10, None).lines
