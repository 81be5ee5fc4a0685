"""The panel's REST API, for programs: the command line, the demo, and scripts of your own."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

CALL_TIMEOUT_S = 30.0
FOLLOW_EVERY_S = 0.1
DEFAULT_URL = "http://localhost:3000"


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
            return cls(url or kept["url"], kept["token"])
        except (OSError, ValueError, KeyError) as error:
            raise ApiError("NOT_LOGGED_IN", "You are not logged in: run `ctrl-alt-play login` first.", 401) from error

    def keep(self) -> None:
        file = self.file()
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            json.dump(asdict(self), opened)


class Api:
    """A connection to the panel. Answers are the API's own JSON; refusals are raised."""

    def __init__(self, login: Login) -> None:
        headers = {"Authorization": f"Bearer {login.token}"} if login.token else {}
        is_here = httpx.URL(login.url).host in {"localhost", "127.0.0.1", "::1"}
        self._http = httpx.Client(base_url=login.url, headers=headers, timeout=CALL_TIMEOUT_S, trust_env=not is_here)

    def __enter__(self) -> "Api":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """One request; what is None in `query` is left out.

        Raises:
            ApiError: with the panel's code and sentence, or `UNREACHABLE`.
        """
        try:
            response = self._http.request(method, path, json=body, params=_given(query))
        except httpx.HTTPError as error:
            raise ApiError(
                "UNREACHABLE", f"The panel at {self._http.base_url} does not answer ({error}). Is it running?"
            ) from error
        if response.is_success:
            return response.json() if response.content else None
        raise _error_of(response)

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


def _given(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _error_of(response: httpx.Response) -> ApiError:
    try:
        problem = response.json()
        sentence = problem.get("detail") or problem.get("title") or response.reason_phrase
        fields = "".join(f"\n  {field.get('field')}: {field.get('message')}" for field in problem.get("fields") or [])
        return ApiError(problem.get("code", "INTERNAL"), f"{sentence}{fields}", response.status_code)
    except ValueError:
        return ApiError(
            "INTERNAL", f"The panel answered {response.status_code} {response.reason_phrase}.", response.status_code
        )
