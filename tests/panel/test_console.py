"""The console's memory: bounded in lines, bytes and servers, and honest about what it no longer holds."""

from datetime import UTC, datetime

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
    assert texts(consoles, after="nonsense") == ["new"]


def test_a_flood_in_one_frame_costs_no_more_than_what_is_kept() -> None:
    consoles = Consoles()
    consoles.write("node", "one", "\n".join(map(str, range(500_000))), "stdout", datetime.now(UTC))
    reading = consoles.read("node", "one", 1000, None)
    assert reading.lines[-1].number == 500_000
    assert reading.lines[-1].text == "499999"
    assert len(reading.lines) == 1000
