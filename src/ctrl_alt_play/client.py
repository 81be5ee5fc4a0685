"""The panel's REST API, for programs: the command line, the demo, and scripts of your own.

httpx is loaded when something is asked: an agent is started by the same command line, asks nothing, and would hold it for months.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

CALL_TIMEOUT_S = 30.0
FOLLOW_EVERY_S = 0.1
SILENCE_S = 45.0
"""A stream that says nothing for so long is lost: the panel says something each 15 s."""
DEFAULT_URL = "http://localhost:3000"
_AWAY = {502, 503, 504}
"""How others answer in the place of a panel that does not."""


def as_id(text: str) -> str:
    """As a part of a path.

    Raises:
        ApiError: nothing can have that for its id.
    """
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,255}", text) is None:
        raise ApiError("NOT_FOUND", f"Nothing has the id {text!r}: ids are made of letters, digits, and . _ -", 404)
    return text


class ApiError(Exception):
    """The panel refused, or could not be reached: a code that programs can tell apart, and a sentence."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True)
class Login:
    """Where the panel is, and the token that opens it."""

    url: str
    token: str

    @staticmethod
    def file() -> Path:
        """Where logins are kept, readable by their owner alone."""
        home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
        return Path(home).expanduser() / "ctrl-alt-play" / "login.json"

    @classmethod
    def load(cls) -> "Login":
        """The login of this user: the environment's `CTRL_ALT_PLAY_URL` and `CTRL_ALT_PLAY_TOKEN`, else the one that was kept.

        Raises:
            ApiError: there is none.
        """
        url, token = os.environ.get("CTRL_ALT_PLAY_URL"), os.environ.get("CTRL_ALT_PLAY_TOKEN")
        if token:
            return cls(url or DEFAULT_URL, token)
        try:
            kept = json.loads(cls.file().read_text())
            return cls(url or str(kept["url"]), str(kept["token"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ApiError("NOT_LOGGED_IN", "You are not logged in: run `ctrl-alt-play login` first.", 401) from error

    def keep(self) -> None:
        """Raises: ApiError, it cannot be written."""
        file = self.file()
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as opened:
                json.dump(asdict(self), opened)
        except OSError as error:
            sentence = f"The login cannot be kept in {file} ({error.strerror}): make that folder writable."
            raise ApiError("NOT_KEPT", sentence) from error


class _Answer(dict[str, Any]):
    """A JSON object of the panel's. What it does not have, a panel of this version would have."""

    def __missing__(self, name: str) -> Any:
        raise ApiError("INTERNAL", f"The answer has no {name!r}: this is no panel, or one of another version.")


class Api:
    """A connection to the panel. Answers are the API's own JSON; refusals are raised."""

    """Raises: ApiError, the login can be none: its address or its token is not one."""

    def __init__(self, login: Login) -> None:
        import httpx  # noqa: PLC0415 - see above

        if not (login.token.isascii() and login.token.isprintable()):
            raise ApiError("NOT_LOGGED_IN", "The token is none that a panel gave: run `ctrl-alt-play login`.", 401)
        headers = {"Authorization": f"Bearer {login.token}"} if login.token else {}
        is_here = _address(login.url).host in {"localhost", "127.0.0.1", "::1"}
        self._http = httpx.Client(base_url=login.url, headers=headers, timeout=CALL_TIMEOUT_S, trust_env=not is_here)

    def __enter__(self) -> "Api":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        made_from: int | None = None,
        **query: Any,
    ) -> Any:
        """One request; what is None in `query` is left out. Orders with the same `key` are one order, however often they are given. A change that
        was `made_from` another version or revision than the newest is refused.

        Raises:
            ApiError: with the panel's code and sentence, or `UNREACHABLE`.
        """
        headers = {"Idempotency-Key": key} if key else {}
        if made_from is not None:
            headers["If-Match"] = f'"{made_from}"'
        with self._reaching():
            response = self._http.request(method, path, json=body, params=_given(query), headers=headers)
        if response.is_success:
            return self._read(response.content)
        raise _error_of(response)

    @contextmanager
    def stream(self, path: str, **query: Any) -> Iterator[Iterator[Any]]:
        """What the panel tells as it happens. Raises: ApiError, as `call` does, also in the middle; it ends where the panel ends it."""
        with self._opened(path, query, SILENCE_S) as chunks:
            yield map(self._read, _events(chunks))

    @contextmanager
    def download(self, path: str, **query: Any) -> Iterator[Iterator[bytes]]:
        """Raises: ApiError, as `stream` does."""
        with self._opened(path, query, CALL_TIMEOUT_S) as chunks:
            yield chunks

    @contextmanager
    def _opened(self, path: str, query: dict[str, Any], silence_s: float) -> Iterator[Iterator[bytes]]:
        import httpx  # noqa: PLC0415 - see above

        timeout = httpx.Timeout(CALL_TIMEOUT_S, read=silence_s)
        with self._reaching(), self._http.stream("GET", path, params=_given(query), timeout=timeout) as response:
            if not response.is_success:
                response.read()
                raise _error_of(response)
            yield response.iter_bytes()

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        import httpx  # noqa: PLC0415 - see above

        try:
            yield
        except httpx.HTTPError as error:
            raise ApiError(
                "UNREACHABLE", f"The panel at {self._http.base_url} does not answer ({error}). Is it running?"
            ) from error
        except (httpx.InvalidURL, ValueError) as error:
            raise ApiError("INVALID_REQUEST", f"What was given cannot be sent: {error}.", 422) from error

    def _read(self, content: bytes) -> _Answer:
        """Nothing is an empty answer."""
        try:
            answer = json.loads(content, object_hook=_Answer) if content else _Answer()
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, _Answer):
            sentence = f"What answers at {self._http.base_url} is no panel: check the address, and log in there."
            raise ApiError("UNREACHABLE", sentence)
        return answer

    def every(self, path: str, most: int | None = None, **query: Any) -> list[Any]:
        """The items of a paged list: all of them, or the first `most`."""
        items: list[Any] = []
        cursor: str | None = None
        while True:
            page = self.call("GET", path, **query, cursor=cursor)
            items += page["items"]
            cursor = page.get("next_cursor")
            if not cursor or (most is not None and len(items) >= most):
                return items[:most]

    def follow(
        self,
        operation: dict[str, Any],
        timeout_s: float = 1800,
        tell: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> dict[str, Any]:
        """Waits for an operation's end; `tell` hears of it each time it was looked at.

        Raises:
            ApiError: it failed, with its code and reason, or took longer than `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while operation["state"] not in {"succeeded", "failed"}:
            if time.monotonic() > deadline:
                raise ApiError("TIMEOUT", f"The operation {operation['id']} goes on still after {timeout_s:.0f} s.")
            time.sleep(FOLLOW_EVERY_S)
            operation = self.call("GET", f"/api/operations/{operation['id']}")
            tell(operation)
        if operation["state"] == "failed":
            raise ApiError(operation["code"] or "INTERNAL", operation["message"] or "The operation failed.")
        return operation


def _events(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The data of server-sent events, as they become whole. Only newlines end their lines: texts have other characters that look like ends."""
    rest = b""
    for chunk in chunks:
        *blocks, rest = (rest + chunk).split(b"\n\n")
        for block in blocks:
            data = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
            if data:
                yield b"\n".join(data)


def _given(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _address(url: str) -> "httpx.URL":
    import httpx  # noqa: PLC0415 - see above

    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        address = httpx.URL("")
    if address.scheme not in {"http", "https"} or not address.host:
        raise ApiError("INVALID_REQUEST", f"{url!r} is no address of a panel: give one such as {DEFAULT_URL}.", 422)
    return address


def _error_of(response: "httpx.Response") -> ApiError:
    """The panel's sentence names the fields at fault."""
    try:
        problem = response.json()
    except (ValueError, RecursionError):
        problem = None
    if isinstance(problem, dict) and "code" in problem:
        return ApiError(str(problem["code"]), str(problem.get("detail") or problem.get("title")), response.status_code)
    code = "UNREACHABLE" if response.status_code in _AWAY else "INTERNAL"
    sentence = f"The panel answered {response.status_code} {response.reason_phrase}."
    return ApiError(code, sentence, response.status_code)
