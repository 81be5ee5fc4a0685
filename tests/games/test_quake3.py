"""The Quake 3 status query, without a server."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrl_alt_play.games.game import NoAnswer
from ctrl_alt_play.games.quake3 import parse, query

HEADER = b"\xff\xff\xff\xffstatusResponse\n"
REPLY = (
    HEADER + rb"\challenge\c0ffee\sv_hostname\^1Red ^7house\mapname\oa_dm1\version\ioq3 1.36\sv_maxclients\12" + b"\n"
    b'0 0 "Sarge"\n-3 48 "^4Blue \\"Bird\\""\n'
)
names = st.text(st.characters(codec="latin-1", exclude_characters='\n"^'), max_size=30)


def test_settings_and_players_are_read_and_colours_left_out() -> None:
    answer = parse(REPLY, "c0ffee")
    assert answer.version == "ioq3 1.36"
    assert answer.map == "oa_dm1"
    assert answer.motd == "Red house"
    assert answer.players == ("Sarge", 'Blue \\"Bird\\"')
    assert answer.players_online == 2
    assert answer.players_max == 12


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        HEADER,
        b"\xff\xff\xff\xffinfoResponse\n\\challenge\\c0ffee",
        HEADER + rb"\challenge\c0ffee\sv_maxclients\12",
        HEADER + rb"\challenge\other\sv_maxclients\12" + b"\n",
        HEADER + rb"\challenge\c0ffee" + b"\n",
        HEADER + rb"\challenge\c0ffee\sv_maxclients\many" + b"\n",
    ],
)
def test_what_is_no_status_response_is_refused(datagram: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(datagram, "c0ffee")


@given(st.binary())
def test_garbage_is_refused_or_read_and_never_breaks(noise: bytes) -> None:
    for datagram in (noise, HEADER + noise, HEADER + rb"\challenge\c0ffee\sv_maxclients\8" + b"\n" + noise):
        try:
            parse(datagram, "c0ffee")
        except ValueError:
            continue


@given(st.integers(0, len(REPLY)))
def test_a_truncated_datagram_is_refused_or_lacks_players_at_its_end(length: int) -> None:
    try:
        answer = parse(REPLY[:length], "c0ffee")
    except ValueError:
        return
    assert answer.players == ("Sarge", 'Blue \\"Bird\\"')[: len(answer.players)]
    assert answer.players_max == 12


@given(st.lists(names, max_size=64))
def test_every_player_is_named_in_order(players: list[str]) -> None:
    lines = "".join(f'{score} 999 "{name}"\n' for score, name in enumerate(players))
    datagram = HEADER + rb"\challenge\1\sv_maxclients\64" + b"\n" + lines.encode("latin-1")
    assert parse(datagram, "1").players == tuple(players)


def test_a_server_is_asked_with_a_challenge_and_answers() -> None:
    with a_server(lambda question: HEADER + b"\\challenge\\" + question.split()[1] + b"\\sv_maxclients\\8\n") as port:
        assert query("127.0.0.1", port, 5).players_max == 8


def test_an_answer_to_another_question_is_no_answer() -> None:
    with a_server(lambda _: REPLY) as port, pytest.raises(NoAnswer, match="another question") as raised:
        query("127.0.0.1", port, 5)
    assert raised.value.port == port


def test_a_closed_port_is_no_answer() -> None:
    with a_server(lambda _: b"") as port:
        pass
    with pytest.raises(NoAnswer):
        query("127.0.0.1", port, 5)


def test_silence_is_no_answer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises(NoAnswer, match="timed out"):
            query("127.0.0.1", silent.getsockname()[1], 0.05)


@contextmanager
def a_server(reply: Callable[[bytes], bytes]) -> Iterator[int]:
    """The port of a server that answers one question, or none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]

        def answer_once() -> None:
            question, asker = server.recvfrom(1024)
            if question:
                server.sendto(reply(question), asker)

        answering = threading.Thread(target=answer_once)
        answering.start()
        try:
            yield port
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:  # in case nobody asked
                waker.sendto(b"", ("127.0.0.1", port))
            answering.join()
