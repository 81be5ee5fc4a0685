"""What the panel fetches for people: from the public internet, and from nowhere that only its own machine can reach."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import httpcore
import pytest

from ctrl_alt_play.panel.config import load
from ctrl_alt_play.panel.errors import Invalid
from ctrl_alt_play.panel.templates import fetching
from ctrl_alt_play.panel.templates.fetching import Fetcher, is_public

PUBLIC = "93.184.215.14"


class Network(httpcore.AsyncNetworkBackend):
    """Answers at each address as told, and remembers who connected where."""

    def __init__(self, **answers: str) -> None:
        self.answers = {name.replace("_", "."): answer for name, answer in answers.items()}
        self.connected: list[tuple[str, int]] = []
        self.names: list[str | None] = []
        self.sent: list[bytes] = []

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        self.connected.append((host, port))
        if host not in self.answers:
            raise httpcore.ConnectError("refused")
        return Stream(self, self.answers[host].encode())

    async def sleep(self, seconds: float) -> None: ...


class Stream(httpcore.AsyncMockStream):
    def __init__(self, network: Network, answer: bytes) -> None:
        super().__init__([answer])
        self._network = network

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._network.sent.append(buffer)

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        self._network.names.append(server_hostname)
        return self


class Names:
    """Answers by name, one after the other; the last one stays."""

    def __init__(self, **known: Sequence[str]) -> None:
        self.known = {name.replace("_", "."): list(addresses) for name, addresses in known.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[IPv4Address | IPv6Address]:
        self.asked.append(host)
        if host not in self.known:
            raise OSError("Name or service not known")
        found = self.known[host]
        return [ip_address(each) for each in (found.pop(0) if len(found) > 1 else found[0]).split()]


def answer(body: str, status: str = "200 OK", **headers: str) -> str:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", body])


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.0.8", "198.18.0.1", "192.0.2.1", "203.0.113.7"),
        *("::1", "::", "fe80::1", "fe80::1%lo", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1", "100::1"),
        *("::ffff:127.0.0.1", "::ffff:93.184.215.14", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1"),
        *("2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "5f00::1"),
    ],
)
def test_an_address_of_this_machine_or_its_networks_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", PUBLIC, "2606:4700:4700::1111", "2a00:1450:4001::200e"])
def test_an_address_of_the_world_is(address: str) -> None:
    assert is_public(ip_address(address))


HOSTS = [
    *("localhost", "127.0.0.1", "127.1", "0", "0.0.0.0", "2130706433", "0x7f.0.0.1", "0x7f000001", "0177.0.0.1"),
    *("017700000001", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[fe80::1]", "[fd00::1]", "10.1.2.3"),
    *("169.254.169.254", "2852039166", "[::]", "①②⑦.⓪.⓪.①", "127.0.0.1.", "LOCALHOST", "[2002:7f00:1::]"),
]


@pytest.mark.parametrize("host", HOSTS)
async def test_however_a_host_of_this_machine_is_spelt_nothing_connects_to_it(host: str) -> None:
    network = Network()
    with pytest.raises(Invalid) as caught:
        await Fetcher(backend=network).fetch(f"http://{host}:8080/template.json")
    assert network.connected == []
    assert caught.value.fields[0].field == "url"


@pytest.mark.parametrize(
    "address",
    [
        *("file:///etc/passwd", "ftp://example.org/", "gopher://example.org/", "//example.org/", "example.org", ""),
        *("http://", "http:///a", "http://[::1", "https://user:word@example.org/", "data:text/plain,a", "http://a b/"),
        *(
            "http://example.org:99999/",
            "javascript:alert(1)",
            "http://" + "x" * 300 + ".org/",
            "unix:///run/docker.sock",
        ),
    ],
)
async def test_what_is_no_address_of_the_web_is_refused(address: str) -> None:
    network = Network()
    with pytest.raises(Invalid):
        await Fetcher(resolve=Names(example_org=[PUBLIC]), backend=network).fetch(address)
    assert network.connected == []


async def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to() -> None:
    """A name that is public when it is looked at, and this machine when it is connected to."""
    names = Names(rebinding_org=[PUBLIC, "127.0.0.1"])
    network = Network(**{PUBLIC: answer("name: a")})
    assert await Fetcher(resolve=names, backend=network).fetch("http://rebinding.org/a.yaml?b=1") == "name: a"
    assert (names.asked, network.connected) == (["rebinding.org"], [(PUBLIC, 80)])
    assert network.sent[0].startswith(b"GET /a.yaml?b=1 HTTP/1.1\r\n")
    assert b"Host: rebinding.org\r\n" in network.sent[0]


async def test_a_certificate_is_held_against_the_name_and_not_the_address() -> None:
    network = Network(**{PUBLIC: answer("{}")})
    await Fetcher(resolve=Names(example_org=[PUBLIC]), backend=network).fetch("https://example.org/a")
    assert (network.connected, network.names) == ([(PUBLIC, 443)], ["example.org"])


async def test_a_name_that_is_also_of_this_machine_is_refused() -> None:
    names, network = Names(both_org=[f"{PUBLIC} 127.0.0.1"]), Network()
    with pytest.raises(Invalid, match="not on the public internet"):
        await Fetcher(resolve=names, backend=network).fetch("http://both.org/")
    assert network.connected == []


async def test_where_one_address_does_not_answer_the_next_one_is_tried() -> None:
    names = Names(two_org=[f"2606:4700:4700::1111 {PUBLIC}"])
    network = Network(**{PUBLIC: answer("{}")})
    assert await Fetcher(resolve=names, backend=network).fetch("http://two.org/") == "{}"
    assert [host for host, _ in network.connected] == ["2606:4700:4700::1111", PUBLIC]


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1/", "http://inner.org/", "//169.254.169.254/meta", "file:///etc/passwd", "http://[::1]/"],
)
async def test_each_redirect_is_checked_anew(target: str) -> None:
    async def names(host: str, port: int) -> Sequence[IPv4Address | IPv6Address]:
        known = {"example.org": PUBLIC, "inner.org": "192.168.0.1"}
        return [ip_address(known.get(host, host))]

    network = Network(**{PUBLIC: answer("", "302 Found", Location=target)})
    with pytest.raises(Invalid):
        await Fetcher(resolve=names, backend=network).fetch("http://example.org/a")
    assert network.connected == [(PUBLIC, 80)]


async def test_a_redirect_to_another_public_place_is_followed() -> None:
    names = Names(example_org=[PUBLIC], other_org=["1.1.1.1"])
    network = Network(**{PUBLIC: answer("", "301 Moved", Location="https://other.org/b")}, **{"1.1.1.1": answer("b")})
    assert await Fetcher(resolve=names, backend=network).fetch("http://example.org/a") == "b"
    assert network.connected == [(PUBLIC, 80), ("1.1.1.1", 443)]


async def test_redirects_without_end_are_not() -> None:
    network = Network(**{PUBLIC: answer("", "302 Found", Location="/again")})
    with pytest.raises(Invalid, match="redirects more than 5 times"):
        await Fetcher(resolve=Names(example_org=[PUBLIC]), backend=network).fetch("http://example.org/a")
    assert len(list(filter(None, network.sent))) == 6


async def test_a_network_that_is_allowed_may_be_fetched_from_and_no_other() -> None:
    names = Names(inner_org=["192.168.7.3"], outer_org=["192.168.8.3"])
    network = Network(**{"192.168.7.3": answer("{}")})
    fetcher = Fetcher([ip_network("192.168.7.0/24")], names, network)
    assert await fetcher.fetch("http://inner.org/") == "{}"
    with pytest.raises(Invalid):
        await fetcher.fetch("http://outer.org/")


def test_networks_are_given_with_commas(tmp_path: Any) -> None:
    config = load(data=tmp_path, fetch_networks="192.168.7.0/24, fd00::/8")
    assert config.fetch_networks == (ip_network("192.168.7.0/24"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (answer("", "404 Not Found"), "it answers 404"),
        (answer("<!DOCTYPE html>"), "a page for people"),
        (answer("", "302 Found"), "redirects to nowhere"),
        (answer("x" * (fetching.LARGEST_BYTES + 1)), "larger than"),
        ("no HTTP\r\n\r\n", "it cannot be reached"),
        ("", "it cannot be reached"),
    ],
)
async def test_what_cannot_be_had_is_told_with_its_reason(told: str, reason: str) -> None:
    network = Network(**{PUBLIC: told})
    with pytest.raises(Invalid, match=reason):
        await Fetcher(resolve=Names(example_org=[PUBLIC]), backend=network).fetch("http://example.org/")


@asynccontextmanager
async def serving(pieces: Iterable[bytes], pause_s: float = 0) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_s)
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


HERE = [ip_network("127.0.0.0/8")]


async def test_it_works_with_a_real_server_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serving(["\ufeffäöü".encode()]) as port:
        assert await Fetcher(HERE).fetch(f"http://127.0.0.1:{port}/") == "äöü"


async def test_what_never_ends_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(b"x" * 65536 for _ in range(10_000)) as port:
        with pytest.raises(Invalid, match="larger than"):
            await Fetcher(HERE).fetch(f"http://127.0.0.1:{port}/")
    monkeypatch.setattr(fetching, "TIMEOUT_S", 0.2)
    async with serving((b"x" for _ in range(10_000)), pause_s=0.02) as port:
        with pytest.raises(Invalid, match="did not come within"):
            await Fetcher(HERE).fetch(f"http://127.0.0.1:{port}/")
