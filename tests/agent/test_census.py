"""Who plays: asked in time, believed for a while, and told as joins and leaves once each."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.fakes.clock import HeldClock
from tests.fakes.engine import FakeEngine
from tests.fakes.until import until

from ctrl_alt_play.agent.engine.base import Container, ContainerState
from ctrl_alt_play.agent.figures import census
from ctrl_alt_play.agent.figures.census import EVERY_S, KEPT_S, Census
from ctrl_alt_play.agent.figures.meter import Meter
from ctrl_alt_play.agent.figures.queries import QUERIES
from ctrl_alt_play.agent.figures.seen import MOST_NAMES, NAME_CHARS, seen
from ctrl_alt_play.agent.figures.subject import Subject
from ctrl_alt_play.clock import at_seconds
from ctrl_alt_play.protocol.live import PlayersChanged, PlayersSeen
from ctrl_alt_play.protocol.specification import Port, Query, Specification

SPECIFICATION = Specification(
    image="game", ports=(Port(internal=27960, external=1, protocol="udp"),), query=Query(protocol="quake3")
)


class Table:
    """A game's answers, and what the census tells of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.clock = HeldClock()
        self.changes: list[PlayersChanged] = []
        self.answer: PlayersSeen | Exception = PlayersSeen(online=0, max=8)
        self.asked: list[tuple[str, int]] = []
        self.is_silent = False
        self.census = Census(self.clock, self.changes.append)
        box = Container("id", "one", ContainerState.RUNNING, pid=1, address="10.0.0.7")
        meter = Meter("one", FakeEngine(), folder, self.clock)
        started_at = at_seconds(self.clock.utc().timestamp() + 1)
        self.subject = Subject(replace(box, started_at=started_at), SPECIFICATION, meter)
        monkeypatch.setitem(QUERIES, "quake3", self._reply)

    async def _reply(self, address: str, port: int, _timeout_s: float) -> PlayersSeen:
        self.asked.append((address, port))
        if self.is_silent:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def play(self, *names: str, online: int | None = None) -> None:
        self.answer = PlayersSeen(online=len(names) if online is None else online, max=8, list=names)

    async def round(self, *subjects: Subject) -> None:
        """The next time that it is asked, and answers."""
        self.clock.advance(EVERY_S)
        self.census.ask(subjects or (self.subject,))
        await until(lambda: not any(roll.asking for roll in self.census._rolls.values()))

    def told(self) -> list[tuple[int, tuple[str, ...], tuple[str, ...]]]:
        told = [(change.online, change.joined, change.left) for change in self.changes]
        self.changes.clear()
        return told


@pytest.fixture
async def table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Table]:
    table = Table(monkeypatch, tmp_path)
    yield table
    table.census.close()


async def test_joins_and_leaves_are_told_once(table: Table) -> None:
    await table.round()
    assert table.asked == [("10.0.0.7", 27960)]
    assert table.told() == []
    table.play("Ann", "Bob")
    await table.round()
    assert table.told() == [(2, ("Ann", "Bob"), ())]
    await table.round()
    assert table.told() == []
    table.play("Bob", "Cleo")
    await table.round()
    assert table.told() == [(2, ("Cleo",), ("Ann",))]
    assert table.census.seen("one") == table.answer


async def test_whoever_is_there_at_the_first_answer_of_a_run_that_we_saw_begin_has_joined(table: Table) -> None:
    table.play("Ann")
    await table.round()
    assert table.told() == [(1, ("Ann",), ())]


async def test_of_a_game_that_ran_before_the_agent_the_first_answer_is_no_join(table: Table) -> None:
    older = replace(table.subject.container, started_at=at_seconds(table.clock.utc().timestamp() - 100))
    subject = replace(table.subject, container=older)
    table.play("Ann")
    await table.round(subject)
    assert table.told() == []
    assert table.census.seen("one") == PlayersSeen(online=1, max=8, list=("Ann",))
    table.play("Ann", "Bob")
    await table.round(subject)
    assert table.told() == [(2, ("Bob",), ())]


async def test_two_of_one_name_are_two(table: Table) -> None:
    table.play("UnnamedPlayer")
    await table.round()
    table.play("UnnamedPlayer", "UnnamedPlayer")
    await table.round()
    table.play("UnnamedPlayer")
    await table.round()
    assert table.told() == [
        (1, ("UnnamedPlayer",), ()),
        (2, ("UnnamedPlayer",), ()),
        (1, (), ("UnnamedPlayer",)),
    ]


async def test_a_game_that_tells_no_names_or_only_some_is_counted_and_no_more(table: Table) -> None:
    table.play(online=3)
    await table.round()
    assert table.census.seen("one") == PlayersSeen(online=3, max=8)
    table.play("Ann", online=3)
    await table.round()
    table.play("Bob", online=3)
    await table.round()
    assert table.told() == []
    table.play("Ann", "Bob", "Cleo")
    await table.round()
    table.play("Ann", "Bob")
    await table.round()
    assert table.told() == [(2, (), ("Cleo",))]


async def test_a_game_that_does_not_answer_is_believed_for_a_while_and_then_unknown(table: Table) -> None:
    table.play("Ann")
    await table.round()
    table.answer = ValueError("this is no status")
    await table.round()
    await table.round()
    assert table.census.seen("one") == PlayersSeen(online=1, max=8, list=("Ann",))
    table.clock.advance(KEPT_S - 2 * EVERY_S + 0.1)
    assert table.census.seen("one") is None
    table.play("Ann", "Bob")
    await table.round()
    assert table.told() == [(1, ("Ann",), ()), (2, ("Bob",), ())]


async def test_a_silent_game_keeps_nobody_waiting(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "DEADLINE_S", 0.05)
    table.is_silent = True
    await table.round()
    assert table.census.seen("one") is None
    assert len(table.asked) == 1


async def test_a_game_is_not_asked_again_before_its_turn_nor_while_it_is_asked(table: Table) -> None:
    table.is_silent = True
    table.census.ask([table.subject])
    await until(lambda: table.asked)
    table.clock.advance(EVERY_S)
    table.census.ask([table.subject])
    table.clock.advance(1)
    table.census.ask([table.subject])
    await asyncio.sleep(0)
    assert len(table.asked) == 1
    table.census.close()
    await until(lambda: not table.census._rolls["one"].asking)
    table.is_silent = False
    await table.round()
    table.census.ask([table.subject])
    await asyncio.sleep(0)
    assert len(table.asked) == 2


async def test_whoever_was_there_has_left_when_the_game_ends(table: Table) -> None:
    table.play("Ann")
    await table.round()
    table.census.ask(())
    assert table.told() == [(1, ("Ann",), ()), (0, (), ("Ann",))]
    assert table.census.seen("one") is None
    table.census.ask(())
    assert table.told() == []


async def test_another_run_begins_with_nobody(table: Table) -> None:
    table.play("Ann")
    await table.round()
    again = replace(table.subject.container, started_at=at_seconds(table.clock.utc().timestamp() + 10))
    await table.round(replace(table.subject, container=again))
    assert table.told() == [(1, ("Ann",), ()), (0, (), ("Ann",)), (1, ("Ann",), ())]


async def test_a_server_without_a_query_is_not_asked(table: Table) -> None:
    await table.round(replace(table.subject, specification=Specification(image="game")))
    assert table.asked == []
    assert table.census.seen("one") is None


async def test_the_query_may_have_a_port_of_its_own(table: Table) -> None:
    own = SPECIFICATION.model_copy(update={"query": Query(protocol="quake3", port=27015)})
    await table.round(replace(table.subject, specification=own))
    await table.round(replace(table.subject, specification=own.model_copy(update={"ports": ()})))
    assert [port for _, port in table.asked] == [27015, 27015]


# What the libraries make of answers


def player(**fields: Any) -> Any:
    return SimpleNamespace(**fields)


@pytest.mark.parametrize(
    ("status", "players", "wanted"),
    [
        (player(online=2, max=20), [player(name="Ann"), player(name="Bob")], (2, 20, ("Ann", "Bob"))),
        (player(players=3, max_players=16), [player(name="Ann")], (3, 16, ("Ann",))),
        (player(num_players=0, max_players=10), [], (0, 10, ())),
        (player(info={"sv_maxclients": "12"}), [player(name="Sarge")], (1, 12, ("Sarge",))),
        (player(info={"maxclients": "8"}, players=[]), [], (0, 8, ())),
        (player(info={"si_maxPlayers": "4"}), [{"id": 1, "name": "Ann"}], (1, 4, ("Ann",))),
        (
            player(info={"numplayers": "2", "maxplayers": "64"}),
            [{"player": "Ann"}, {"player": "Bob"}],
            (2, 64, ("Ann", "Bob")),
        ),
        ({"numplayers": "1", "maxplayers": "2"}, (), (1, 2, ())),
        (player(info={"sv_maxclients": "many"}), [], (0, None, ())),
        (player(info={"sv_maxclients": "-3"}), [], (0, None, ())),
        (player(info={"sv_maxclients": "9" * 500}), [], (0, None, ())),
        (player(online=2**40, max=20), [], (0, 20, ())),
        (player(online=2, max=20), [player(name=""), player(name=None)], (2, 20, ())),
    ],
)
def test_each_familys_words_are_understood(status: Any, players: Any, wanted: Any) -> None:
    found = seen(status, players)
    assert (found.online, found.max, found.list) == wanted


def test_names_hold_nothing_that_a_terminal_obeys_and_are_bounded() -> None:
    names = ["§cRed§r Ann", "\x1b[2JBob\n", "\u202eevil", "x" * 1000, " \x00 ", *(f"p{n}" for n in range(2000))]
    found = seen(player(online=2005, max=None), [player(name=name) for name in names])
    assert found.list[:4] == ("Red Ann", "[2JBob", "evil", "x" * NAME_CHARS)
    assert len(found.list) == MOST_NAMES
    assert found.online == 2005
