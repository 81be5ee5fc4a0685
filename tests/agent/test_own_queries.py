"""Queries of our own. The empty answers are those of real servers: Sauerbraten 2020, DDNet 16.4, Teeworlds 0.7.5 and Mumble 1.3.4."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctrl_alt_play.agent.figures import own_queries
from ctrl_alt_play.agent.figures.queries import QUERIES, Query
from ctrl_alt_play.protocol.live import PlayersSeen

CUBE2 = b"\x01\x00\x05\x80\x04\x01\x00\x00\x08\x00\x00\x00"
DDNET = (
    own_queries.TEEWORLDS_6
    + b"inf37\x000.6.4, 16.4\x00ddn\x00Tutorial\x00TestDDraceNetwor\x000\x000\x0010\x000\x0010\x00"
)
TEEWORLDS = (
    b"!\x06\x10\xca\xb1K/\x8e\xfb\xff\xff\xff\xffinf3\x070.7.5\x00tee\x00\x00dm1\x00DM\x00\x00\x01\x00\x08\x00\t"
)
MUMBLE = b"\x00\x01\x03\x0412345678\x00\x00\x00\x00\x00\x00\x00\x0b\x00\x01\x19@"
BEDROCK = "MCPE;Dedicated Server;766;1.21.50;2;10;13253860892328930865;Bedrock level;Survival;1;19132;19133;0;"
"""A real server's of today; those of others, and older ones, have fewer fields."""
Read = Callable[[bytes], PlayersSeen]
READS: dict[str, tuple[Read, bytes]] = {
    "cube2": (own_queries.read_cube2, CUBE2),
    "ddnet": (lambda answer: own_queries.read_ddnet(answer, 7), DDNET),
    "teeworlds": (own_queries.read_teeworlds, TEEWORLDS),
    "mumble": (lambda answer: own_queries.read_mumble(answer, b"12345678"), MUMBLE),
}


def ddnet(*names: str) -> bytes:
    clients = "".join(f"{name}\0clan\0-1\0{number}\0001\0" for number, name in enumerate(names))
    return DDNET.replace(b"\x000\x0010\x000\x0010\x00", b"\x001\x0010\x002\x0010\x00") + clients.encode()


@pytest.mark.parametrize(
    ("game", "answer", "wanted"),
    [
        ("cube2", CUBE2, (0, 8, ())),
        ("cube2", b"\x01\x80\xc8\x00\x05\x80\x04\x01\x00\x00\x81\x00\x01\x00\x00\x00complex\x00", (200, 256, ())),
        ("ddnet", DDNET, (0, 10, ())),
        ("ddnet", ddnet("nameless tee", "Ann"), (2, 10, ("nameless tee", "Ann"))),
        ("teeworlds", TEEWORLDS, (0, 9, ())),
        (
            "teeworlds",
            TEEWORLDS[:-4] + b"\x01\x08\x02\x09" + b"Ann\0\0\xbf\x01\x40\x00" + b"Bob\0clan\0\x01\x05\x00",
            (2, 9, ("Ann", "Bob")),
        ),
        ("mumble", MUMBLE, (0, 11, ())),
        ("mumble", MUMBLE.replace(b"\0\0\0\0\0\0\0\x0b", b"\0\0\1\0\0\0\1\1"), (256, 257, ())),
    ],
)
def test_answers_are_read(game: str, answer: bytes, wanted: tuple[int, int, tuple[str, ...]]) -> None:
    seen = READS[game][0](answer)
    assert (seen.online, seen.max, seen.list) == wanted


@pytest.mark.parametrize("game", READS)
@pytest.mark.parametrize("answer", [b"", b"\xff" * 24, b"\x01", b"HTTP/1.1 400 Bad Request\r\n", ddnet("x")[14:]])
def test_what_is_no_answer_is_none(game: str, answer: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        READS[game][0](answer)


def test_an_answer_to_another_question_is_none() -> None:
    with pytest.raises(ValueError, match="another question"):
        own_queries.read_ddnet(DDNET, 8)
    with pytest.raises(ValueError, match="no answer"):
        own_queries.read_mumble(MUMBLE, b"87654321")


@given(st.sampled_from(sorted(READS)), st.binary(max_size=200), st.integers(0, 60))
def test_garbage_is_refused_or_read_and_takes_no_time(game: str, noise: bytes, kept: int) -> None:
    read, answer = READS[game]
    for garbled in (noise, answer[:kept] + noise):
        with suppress(ValueError, IndexError):
            assert len(read(garbled).list) <= len(garbled)


# Over real sockets


class Replying(asyncio.DatagramProtocol):
    def __init__(self, reply: Callable[[bytes], bytes]) -> None:
        self._reply = reply

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # it is one
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(self._reply(data), addr)


def teeworlds(asked: bytes) -> bytes:
    """Greets whoever greets, and answers whoever shows the token that he was given."""
    if asked[:1] == b"\x04":
        assert len(asked) >= 512
        return b"\x04\x00\x00" + asked[8:12] + b"\x05" + b"mine"
    assert asked[:5] == b"!mine"
    return TEEWORLDS


async def asked(query: Query, reply: Callable[[bytes], bytes], before: int = 0) -> PlayersSeen:
    """Asks a game that listens so many ports after the one that is given."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Replying(reply), local_addr=("127.0.0.1", 0)
    )
    try:
        return await query("127.0.0.1", transport.get_extra_info("sockname")[1] - before, 5)
    finally:
        transport.close()


async def test_each_game_is_asked_in_its_own_way() -> None:
    assert (await asked(QUERIES["cube2"], lambda _: CUBE2, before=1)).max == 8
    assert (await asked(QUERIES["mumble"], lambda asked: MUMBLE[:4] + asked[4:] + MUMBLE[12:])).max == 11
    assert (await asked(QUERIES["teeworlds"], teeworlds)).max == 9
    ddnet = await asked(QUERIES["ddnet"], lambda asked: DDNET.replace(b"7", str(asked[-1]).encode(), 1))
    assert ddnet.max == 10


def bedrock(status: str) -> Callable[[bytes], bytes]:
    def reply(asked: bytes) -> bytes:
        assert asked[:1] == b"\x01"
        return b"\x1c" + asked[1:9] + bytes(8) + asked[9:25] + len(status).to_bytes(2) + status.encode()

    return reply


@pytest.mark.parametrize("fields", [6, 9, 14])
async def test_bedrock_is_asked_however_much_its_server_tells(fields: int) -> None:
    status = ";".join(BEDROCK.split(";")[:fields])
    assert await asked(QUERIES["bedrock"], bedrock(status)) == PlayersSeen(online=2, max=10)


@pytest.mark.parametrize("answer", [b"\x1c", b"\x1c" + bytes(40), bedrock("MCPE;x")(b"\x01" + bytes(40))])
async def test_what_is_no_answer_of_bedrocks_is_none(answer: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        await asked(QUERIES["bedrock"], lambda _: answer)


@pytest.mark.parametrize("game", [*READS, "bedrock"])
async def test_a_game_that_is_not_there_is_no_answer(game: str) -> None:
    with pytest.raises((OSError, TimeoutError)):
        await QUERIES[game]("127.0.0.1", 1, 0.2)
