"""Documents from addresses that somebody gave: from the public internet, and from nowhere that only the panel's machine can reach.

The check is in the only place that connects: a name is looked up once, and what was looked up and found to be public is what is connected to,
at each redirect anew. The certificate and `Host` are still held against the name.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpcore
import httpx

from ctrl_alt_play import __version__
from ctrl_alt_play.panel.api import LARGEST_BODY_BYTES
from ctrl_alt_play.panel.errors import FieldProblem, Invalid

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
TIMEOUT_S = 20.0
CONNECT_TIMEOUT_S = 8.0
MOST_REDIRECTS = 5
LARGEST_BYTES = LARGEST_BODY_BYTES
"""What is fetched may be sent in again."""
_PUBLIC_IPV6 = ip_network("2000::/3")
_SPECIAL = (ip_network("2002::/16"), ip_network("192.0.0.0/24"))
"""6to4, which holds an IPv4 address of any kind; and what a network has for its own protocols."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS: dict[bytes | str, bytes | str] = {
    "User-Agent": f"ctrl-alt-play/{__version__}",
    "Accept": "application/json, application/yaml, text/*, */*",
}
_FAILURES = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, httpcore.UnsupportedProtocol)


def is_public(address: Address) -> bool:
    """Whether anybody in the world means the same machine by it. IPv6 addresses that stand for IPv4 ones are none, whatever they stand for."""
    if isinstance(address, IPv6Address) and address not in _PUBLIC_IPV6:
        return False
    if any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not address.is_multicast


async def look_up(host: str, port: int) -> Sequence[Address]:
    """By the system's own resolver, which also reads `0x7f.1` and the like."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
    return [ip_address(str(where[0])) for *_, where in found]


class Refused(Exception):
    """Nothing is connected to there."""


class Fetcher:
    """Without proxies of the environment: they would look names up on their own."""

    def __init__(
        self,
        networks: Iterable[Network] = (),
        resolve: Resolve = look_up,
        backend: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        """`networks` are allowed beside the public internet."""
        self._backend = _Guarded(tuple(networks), resolve, backend or httpcore.AnyIOBackend())

    async def fetch(self, address: str) -> str:
        """The text that is there.

        Raises:
            Invalid: there is none, it may not be fetched from there, or it cannot be reached.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S), self._pool() as pool:
                content = await self._follow(pool, _parsed(address))
        except Refused as error:
            raise _wrong(str(error)) from error
        except TimeoutError as error:
            raise _wrong(f"what is there did not come within {TIMEOUT_S:.0f} s") from error
        except _FAILURES as error:
            raise _wrong(f"it cannot be reached: {str(error) or type(error).__name__}") from error
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _wrong("what is there is no text") from error

    def _pool(self) -> httpcore.AsyncConnectionPool:
        return httpcore.AsyncConnectionPool(ssl_context=ssl.create_default_context(), network_backend=self._backend)

    async def _follow(self, pool: httpcore.AsyncConnectionPool, url: httpx.URL) -> bytes:
        for _ in range(MOST_REDIRECTS + 1):
            target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
            timeouts = {"timeout": {"connect": CONNECT_TIMEOUT_S, "read": TIMEOUT_S, "write": TIMEOUT_S}}
            async with pool.stream("GET", target, headers=_HEADERS, extensions=timeouts) as response:
                if response.status not in _REDIRECTS:
                    return await _read(response)
                url = _redirected(url, dict(response.headers))
        raise Refused(f"it redirects more than {MOST_REDIRECTS} times")


class _Guarded(httpcore.AsyncNetworkBackend):
    """Connects to what it looked up itself, and only where that may be connected to."""

    def __init__(self, networks: tuple[Network, ...], resolve: Resolve, backend: httpcore.AsyncNetworkBackend) -> None:
        self._networks = networks
        self._resolve = resolve
        self._backend = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in await self._allowed(host, port):
            try:
                return await self._backend.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _allowed(self, host: str, port: int) -> Sequence[Address]:
        """Raises: Refused, also where only one of its addresses is not allowed: such a name is none to trust."""
        try:
            addresses = await self._resolve(host.strip("[]"), port)
        except (OSError, ValueError) as error:
            raise Refused(f"there is no host {host!r} that can be found") from error
        for address in addresses:
            if not is_public(address) and not any(address in network for network in self._networks):
                sentence = f"{host} is at {address}, which is not on the public internet; FETCH_NETWORKS of the panel allows more"
                raise Refused(sentence)
        return addresses

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


def _parsed(address: str) -> httpx.URL:
    try:
        url = httpx.URL(address.strip())
    except (httpx.InvalidURL, ValueError) as error:
        raise Refused("it is no address such as https://example.org/template.json") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise Refused("only addresses with http:// or https:// are fetched")
    if url.port is not None and not 0 < url.port <= 65535:
        raise Refused("there is no such port")
    if url.userinfo:
        raise Refused("leave out the user's name and password: the address is kept")
    return url


def _redirected(url: httpx.URL, headers: dict[bytes, bytes]) -> httpx.URL:
    location = next((value for name, value in headers.items() if name.lower() == b"location"), None)
    if location is None:
        raise Refused("it redirects to nowhere")
    try:
        return _parsed(str(url.join(location.decode("ascii"))))
    except (httpx.InvalidURL, ValueError) as error:
        raise Refused("it redirects to what is no address") from error


async def _read(response: httpcore.Response) -> bytes:
    if response.status != 200:
        raise Refused(f"it answers {response.status}")
    content = bytearray()
    async for chunk in response.aiter_stream():
        content += chunk
        if len(content) > LARGEST_BYTES:
            raise Refused(f"what is there is larger than {LARGEST_BYTES} bytes")
    if content.lstrip()[:1] == b"<":
        raise Refused("what is there is a page for people: give the address of the file itself (on GitHub: Raw)")
    return bytes(content)


def _wrong(reason: str) -> Invalid:
    return Invalid(f"That address does not work: {reason}.", fields=(FieldProblem("url", reason),))
