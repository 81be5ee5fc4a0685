"""Small queries of our own, for games that neither library knows. Each asks over UDP, and reads an answer of one datagram.

What answers is a stranger's program: whatever does not read as an answer raises, and an answer has the size of a datagram.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from ctrl_alt_play.agent.figures.seen import seen
from ctrl_alt_play.protocol.live import PlayersSeen

MOST_WAITING = 16
TEEWORLDS_6 = b"\xff" * 10
"""What packets without a connection begin with, up to Teeworlds 0.6 and in DDNet."""
ASK_INFO, INFO = b"\xff\xff\xff\xffgie3", b"inf3"


class _Asked(asyncio.DatagramProtocol):
    """One game, asked question by question. Answers that nobody waits for are dropped."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes | Exception] = asyncio.Queue(MOST_WAITING)

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # it is one
        self._transport = transport

    def datagram_received(self, data: bytes, _addr: object) -> None:
        self._hear(data)

    def error_received(self, exc: Exception) -> None:
        self._hear(exc)

    def _hear(self, what: bytes | Exception) -> None:
        if not self.answers.full():
            self.answers.put_nowait(what)

    async def ask(self, question: bytes) -> bytes:
        self._transport.sendto(question)
        answer = await self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer


@asynccontextmanager
async def contact(address: str, port: int) -> AsyncIterator[_Asked]:
    transport, game = await asyncio.get_running_loop().create_datagram_endpoint(_Asked, remote_addr=(address, port))
    try:
        yield game
    finally:
        transport.close()


async def cube2(address: str, port: int, timeout_s: float) -> PlayersSeen:
    """Cube 2: Sauerbraten and its kin, which answer at the port after the game's."""
    async with asyncio.timeout(timeout_s), contact(address, port + 1) as game:
        return read_cube2(await game.ask(b"\x01"))


async def ddnet(address: str, port: int, timeout_s: float) -> PlayersSeen:
    """DDNet, and Teeworlds up to 0.6."""
    token = secrets.randbelow(256)
    async with asyncio.timeout(timeout_s), contact(address, port) as game:
        return read_ddnet(await game.ask(TEEWORLDS_6 + ASK_INFO[4:] + bytes([token])), token)


async def teeworlds(address: str, port: int, timeout_s: float) -> PlayersSeen:
    """Teeworlds from 0.7 on, which wants to be greeted before it is asked."""
    ours = secrets.token_bytes(4)
    async with asyncio.timeout(timeout_s), contact(address, port) as game:
        greeting = await game.ask(b"\x04\x00\x00" + b"\xff" * 4 + b"\x05" + ours + bytes(508))
        if greeting[3:8] != ours + b"\x05" or len(greeting) < 12:
            raise ValueError("this is no greeting of Teeworlds'")
        return read_teeworlds(await game.ask(b"\x21" + greeting[8:12] + ours + ASK_INFO + b"\x07"))


async def mumble(address: str, port: int, timeout_s: float) -> PlayersSeen:
    """Mumble, the voice chat."""
    token = secrets.token_bytes(8)
    async with asyncio.timeout(timeout_s), contact(address, port) as game:
        return read_mumble(await game.ask(bytes(4) + token), token)


def read_cube2(answer: bytes) -> PlayersSeen:
    """The question, the number of clients, and numbered settings, of which the fourth is how many it takes."""
    if answer[:1] != b"\x01":
        raise ValueError("this is no answer of Cube's")
    numbers = _cube_numbers(answer[1:])
    online, settings = next(numbers), next(numbers)
    if settings < 4:
        raise ValueError("it does not say how many it takes")
    return seen({"online": online, "max": [next(numbers) for _ in range(settings)][3]})


def read_ddnet(answer: bytes, token: int) -> PlayersSeen:
    """Texts: token, version, name, map, kind, flags, players and how many it takes, clients and how many it takes; then five of each client."""
    if not answer.startswith(TEEWORLDS_6 + INFO):
        raise ValueError("this is no answer of DDNet's")
    texts = _texts(answer[len(TEEWORLDS_6 + INFO) :])
    if texts[0] != str(token):
        raise ValueError("this is an answer to another question")
    return _clients({"online": texts[8], "max": texts[9]}, texts[10::5])


def read_teeworlds(answer: bytes) -> PlayersSeen:
    """A number that was sent, five texts, six numbers, and of each client two texts and three numbers."""
    if answer[9:17] != b"\xff" * 4 + INFO:
        raise ValueError("this is no answer of Teeworlds'")
    _, rest = _tee_number(answer[17:])
    for _ in range(5):
        _, _, rest = rest.partition(b"\x00")
    numbers, rest = _tee_numbers(rest, 6)
    names = []
    while rest:
        name, _, rest = rest.partition(b"\x00")
        _, _, rest = rest.partition(b"\x00")
        _, rest = _tee_numbers(rest, 3)
        names.append(name.decode(errors="replace"))
    return _clients({"online": numbers[4], "max": numbers[5]}, names)


def read_mumble(answer: bytes, token: bytes) -> PlayersSeen:
    """Version, token, users and how many it takes, bandwidth."""
    if len(answer) != 24 or answer[4:12] != token:
        raise ValueError("this is no answer of Mumble's")
    return seen({"online": int.from_bytes(answer[12:16]), "max": int.from_bytes(answer[16:20])})


def _clients(told: dict[str, object], names: list[str]) -> PlayersSeen:
    return seen(told, [{"name": name} for name in names])


def _texts(data: bytes) -> list[str]:
    *texts, _ = data.split(b"\x00")
    return [text.decode(errors="replace") for text in texts]


def _cube_numbers(data: bytes) -> Iterator[int]:
    """One byte each; those that do not fit into it have two or four more, and a mark before them."""
    place = 0
    while place < len(data):
        size = {0x80: 2, 0x81: 4}.get(data[place], 0)
        number = data[place + 1 : place + 1 + size] if size else data[place : place + 1]
        if len(number) < (size or 1):
            break
        yield int.from_bytes(number, "little", signed=True)
        place += 1 + size
    raise ValueError("the answer is too short")


def _tee_numbers(data: bytes, count: int) -> tuple[list[int], bytes]:
    numbers = []
    for _ in range(count):
        number, data = _tee_number(data)
        numbers.append(number)
    return numbers, data


def _tee_number(data: bytes) -> tuple[int, bytes]:
    """Six bits and a sign in the first byte, seven in each that follows; the highest bit says that one follows."""
    if not data:
        raise ValueError("the answer is too short")
    number, shift, place = data[0] & 0x3F, 6, 0
    while data[place] & 0x80 and place < 4 and place + 1 < len(data):
        place += 1
        number |= (data[place] & 0x7F) << shift
        shift += 7
    return (~number if data[0] & 0x40 else number), data[place + 1 :]
