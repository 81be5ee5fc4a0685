"""Whether a game is ready: by its console's lines, and by asking it over real sockets."""

import asyncio
import bz2
import importlib
import json
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ctrl_alt_play.agent.consoles.ansi import plain
from ctrl_alt_play.agent.figures.queries import QUERIES
from ctrl_alt_play.agent.servers import readiness
from ctrl_alt_play.agent.servers.readiness import Signs, answers, check
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import Probe, Query, Readiness, Specification

DONE = 'Done (2.5s)! For help, type "help"'
COLOURED = "\x1b[32;1mDo\x1b[0mne \x1b]0;title\x07(2.5s)!"
TIMEOUT_S = 2.0
SILENCE_S = 0.3


def signs(*texts: str, strip_ansi: bool = False) -> Signs:
    return Signs(Readiness(text=texts, strip_ansi=strip_ansi))


# Lines


@pytest.mark.parametrize(
    ("texts", "line", "is_seen"),
    [
        (["Done ("], DONE, True),
        (["done ("], DONE, False),
        (["Done", "Listening"], "Listening on port 25565", True),
        (["Done "], "Done", False),
        ([".*"], DONE, False),
        ([r"regex:Done \(\d+\.\ds\)"], DONE, True),
        ([r"regex:^Done"], f"[12:00:00] {DONE}", False),
        ([r"regex:(?i)^done\b.*help.$"], DONE, True),
        ([r"regex:Dönë \pL+\z"], "Dönë ürü", True),
        (["regex:nothing", "help"], DONE, True),
        (["Done"], "", False),
        ([], DONE, False),
    ],
)
def test_a_line_is_a_sign_when_it_contains_any_of_the_texts(texts: list[str], line: str, is_seen: bool) -> None:
    assert signs(*texts).sees(line) is is_seen


def test_without_texts_there_are_no_signs() -> None:
    assert signs().is_empty
    assert not signs("Done").is_empty


def test_colours_are_taken_out_only_where_that_is_asked_for() -> None:
    assert signs("Done (2.5s)!", strip_ansi=True).sees(COLOURED)
    assert signs("regex:^Done .2.5s.!$", strip_ansi=True).sees(COLOURED)
    assert not signs("Done (2.5s)!").sees(COLOURED)


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b[m",
        "\x1b[38;2;255;0;10m",
        "\x1b[?25l",
        "\x1b[2K",
        "\x1b[0 q",
        "\x9b31m",
        "\x1b]0;a title\x07",
        "\x1b]8;;https://example.org\x1b\\",
        "\x9d2;title\x9c",
        "\x1bP1$r0m\x1b\\",
        "\x1b_payload\x1b\\",
        "\x1b(B",
        "\x1b7",
        "\x1b=",
        "\x1bc",
    ],
)
def test_every_kind_of_sequence_is_taken_out(sequence: str) -> None:
    assert plain(f"be{sequence}fore{sequence}") == "before"


@given(st.text(alphabet="ab\x1b[];\x07\\ m0\x9b\x9c\x9d", max_size=200))
def test_taking_sequences_out_leaves_the_rest_as_it_was(text: str) -> None:
    rest = iter(text)
    assert all(character in rest for character in plain(text))
    if not set("\x1b\x9b\x9d\x90\x98\x9e\x9f") & set(text):
        assert plain(text) == text


@pytest.mark.parametrize("text", ["\x1b]", "\x9d", "\x1b[0", "\x1b ", "\x9b0;", "\x1bP\x1b\\", "\x1b[" + "0" * 9999])
def test_sequences_without_an_end_take_no_time(text: str) -> None:
    began_s = thread_time()
    plain(text * (readiness.LOOKED_AT // len(text)) + "x")
    assert thread_time() - began_s < 0.1


@given(
    st.lists(st.text(min_size=1, max_size=5).filter(lambda text: not text.startswith("regex:")), max_size=3), st.text()
)
def test_texts_are_looked_for_as_they_are(texts: list[str], line: str) -> None:
    assert signs(*texts).sees(line) == any(text in line for text in texts)


def test_a_line_is_looked_at_to_a_bounded_length() -> None:
    assert signs("Done").sees("x" * (readiness.LOOKED_AT - 4) + "Done")
    assert not signs("Done").sees("x" * readiness.LOOKED_AT + "Done")
    assert not signs("regex:Done").sees("x" * readiness.SEARCHED + "Done")
    assert not signs("regex:x$").sees("x" * readiness.SEARCHED + "Done")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a*)*b", "(.*a){12}b", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_an_expression_that_others_search_for_ever_takes_no_time(pattern: str) -> None:
    sought = signs(f"regex:{pattern}")
    began_s = thread_time()
    for _ in range(10):
        assert not sought.sees("a" * readiness.LOOKED_AT + "!")
    assert thread_time() - began_s < 0.5


def test_expressions_that_take_long_are_given_up_and_texts_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "SLOW_S", -1.0)
    sought = signs("regex:Done", "Listening")
    assert not sought.sees("something else")
    assert not sought.sees("Done")
    assert sought.sees("Listening")


def test_what_is_no_expression_is_refused_by_the_protocol() -> None:
    for pattern in ("(", "a{2", r"(?<=a)b", r"(a)\1", "a{99999999999}", "(" * 900, "(?:a{1000}){1000}"):
        with pytest.raises(ValidationError, match="no regular expression that can be used here"):
            Readiness(text=(f"regex:{pattern}",))


# What the protocol takes and the node does not


@pytest.mark.parametrize("pattern", ["(?:.{0,9}){0,999}", "[^b]{0,1000}" * 8])
def test_an_expression_that_the_node_cannot_search_for_is_refused_and_else_never_matches(pattern: str) -> None:
    rule = Readiness(text=(f"regex:{pattern}", "Done"))
    with pytest.raises(Fault) as refused:
        check(Specification(image="game", readiness=rule))
    assert refused.value.code is ErrorCode.CONFIG_INVALID
    assert not Signs(rule).sees("ab")
    assert Signs(rule).sees("Done")


def test_a_query_that_nobody_knows_is_refused() -> None:
    for wanted in (
        Specification(image="game", readiness=Readiness(probe=Probe(kind="query", protocol="doom12"))),
        Specification(image="game", query=Query(protocol="doom12")),
    ):
        with pytest.raises(Fault, match=r"No game query is called 'doom12' here.*minecraft, mumble") as refused:
            check(wanted)
        assert refused.value.code is ErrorCode.CONFIG_INVALID


@pytest.mark.parametrize(
    "rule",
    [
        Readiness(),
        Readiness(text=("Done", "regex:^Done")),
        Readiness(probe=Probe()),
        Readiness(probe=Probe(kind="tcp", protocol="doom12")),
        *(Readiness(probe=Probe(kind="query", protocol=protocol)) for protocol in QUERIES),
    ],
)
def test_what_the_node_can_watch_for_is_taken(rule: Readiness) -> None:
    check(Specification(image="game", readiness=rule))


# Probes


Reply = Callable[[bytes], list[bytes]]


class Replying(asyncio.DatagramProtocol):
    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for answer in self._reply(data):
            self._transport.sendto(answer, addr)  # type: ignore[attr-defined]  # it is a datagram transport


@asynccontextmanager
async def udp_game(reply: Reply) -> AsyncIterator[int]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Replying(reply), local_addr=("127.0.0.1", 0)
    )
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


@asynccontextmanager
async def tcp_game(reply: Reply | None = None) -> AsyncIterator[int]:
    """Answers the first bytes that come, and hangs up; without `reply` it takes connections and keeps silent."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reply is None:
            await done.wait()
        elif data := await reader.read(1024):
            writer.writelines(reply(data))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        done.set()
        server.close()
        await server.wait_closed()


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def query(protocol: str) -> Probe:
    return Probe(kind="query", protocol=protocol)


def varint(number: int) -> bytes:
    """As Minecraft writes lengths."""
    data = b""
    while True:
        number, low = number >> 7, number & 0x7F
        if not number:
            return data + bytes([low])
        data += bytes([low | 0x80])


def minecraft_status(_: bytes) -> list[bytes]:
    status = {
        "version": {"name": "1.21.4", "protocol": 769},
        "players": {"max": 20, "online": 3},
        "description": "hello",
    }
    text = json.dumps(status).encode()
    packet = b"\x00" + varint(len(text)) + text
    return [varint(len(packet)) + packet]


def quake3_status(asked: bytes) -> list[bytes]:
    assert asked.startswith(b"\xff\xff\xff\xffgetstatus")
    return [b'\xff\xff\xff\xffstatusResponse\n\\sv_hostname\\x\\mapname\\oa_dm1\n0 0 "bot"\n']


def source_info(asked: bytes) -> list[bytes]:
    """With the challenge that servers ask for since 2020."""
    if not asked.endswith(b"\x01\x02\x03\x04"):
        return [b"\xff\xff\xff\xffA\x01\x02\x03\x04"]
    fields = b"\x11name\0map\0folder\0game\0" + (10).to_bytes(2, "little") + b"\x03\x14\x00dl\x00\x01" + b"1.0\0"
    return [b"\xff\xff\xff\xffI" + fields]


async def test_a_port_that_takes_connections_answers() -> None:
    async with tcp_game() as port:
        assert await answers(Probe(), "127.0.0.1", port, TIMEOUT_S)


async def test_a_port_that_nobody_listens_on_does_not_answer() -> None:
    assert not await answers(Probe(), "127.0.0.1", free_port(socket.SOCK_STREAM), TIMEOUT_S)
    assert not await answers(Probe(), "127.0.0.1", 0, TIMEOUT_S)
    assert not await answers(Probe(), "no address", 25565, TIMEOUT_S)


async def test_games_answer_what_they_are_asked() -> None:
    async with tcp_game(minecraft_status) as port:
        assert await answers(query("minecraft"), "127.0.0.1", port, TIMEOUT_S)
    async with udp_game(quake3_status) as port:
        assert await answers(query("quake3"), "127.0.0.1", port, TIMEOUT_S)
    async with udp_game(source_info) as port:
        assert await answers(query("source"), "127.0.0.1", port, TIMEOUT_S)


@pytest.fixture(scope="module")
def libraries() -> None:
    """Loads them, which would else be part of the first answer's time."""
    for name in ("mcstatus", "opengsq.protocols"):
        importlib.import_module(name)


@pytest.mark.usefixtures("libraries")
async def test_silence_is_no_answer() -> None:
    loop = asyncio.get_running_loop()
    async with tcp_game() as tcp_port, udp_game(lambda _: []) as udp_port:
        ports = (tcp_port, udp_port, free_port(socket.SOCK_DGRAM))
        began = loop.time()
        asked = [answers(query(protocol), "127.0.0.1", port, SILENCE_S) for protocol in QUERIES for port in ports]
        assert not any(await asyncio.gather(*asked))
        assert loop.time() - began < SILENCE_S + 1


RUBBISH = [
    b"",
    b"\x00",
    b"\xff" * 4,
    b"\xff" * 64,
    b"\xff\xff\xff\xffI\x11name",
    b"\xff\xff\xff\xffstatusResponse\n",
    b'\xff\xff\xff\xffstatusResponse\n\\a\\b\nx y "z',
    b"\xfe\xff\xff\xff\x01\x00\x00\x80\x02\x00rubbish",
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"\x05\x00\x03{[}",
    bytes(range(256)),
]


@pytest.mark.parametrize("rubbish", RUBBISH)
@pytest.mark.usefixtures("libraries")
async def test_rubbish_is_no_answer_and_raises_nothing(rubbish: bytes) -> None:
    async with udp_game(lambda _: [rubbish]) as udp_port, tcp_game(lambda _: [rubbish]) as tcp_port:
        ports = {name: tcp_port if name == "minecraft" else udp_port for name in QUERIES}
        asked = [answers(query(name), "127.0.0.1", port, SILENCE_S) for name, port in ports.items()]
        answered = {name for name, has in zip(ports, await asyncio.gather(*asked), strict=True) if has}
    assert not answered & {"minecraft", "quake3", "source"}, answered


@pytest.mark.usefixtures("libraries")
async def test_a_game_cannot_fill_the_memory_with_its_answer() -> None:
    async with tcp_game(lambda _: [varint(2**31 - 1) + b"\x00" + varint(2**31 - 6), b"x" * 2**22]) as port:
        assert not await answers(query("minecraft"), "127.0.0.1", port, TIMEOUT_S)
    packed = bz2.compress(b"\xff" * 2**25)
    split = b"\xfe\xff\xff\xff" + b"\x01\x00\x00\x80" + b"\x01\x00" + (2**25).to_bytes(4, "little") + b"\x00" * 4
    tracemalloc.start()
    async with udp_game(lambda _: [split + packed]) as port:
        assert not await answers(query("source"), "127.0.0.1", port, SILENCE_S)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 2**23


async def test_asking_can_be_cancelled() -> None:
    async with udp_game(lambda _: []) as port:
        asking = asyncio.create_task(answers(query("quake3"), "127.0.0.1", port, 60))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
