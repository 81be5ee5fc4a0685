"""One person, or one program, at a server's console."""

import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

import typer
from prompt_toolkit import PromptSession
from prompt_toolkit.patch_stdout import patch_stdout

from ctrl_alt_play.cli.lines import Line, followed, is_passing, show_lines
from ctrl_alt_play.cli.output import say
from ctrl_alt_play.client import Api, ApiError

PROMPT = "> "
TAIL_LINES = 50
ANSWER_S = 0.5
"""So long a program that has typed all is still shown what comes."""
SENT_WITHIN_S = 30.0
RETRY_S = 0.5
COLOURS_END = "\x1b[0m"


class Attachment:
    """The main thread reads what is typed; one thread shows what comes, and one sends what was typed, in its order.

    A panel that restarts meanwhile is waited for: a line is sent once, however often that has to be tried.
    """

    def __init__(self, api: Api, server: dict[str, Any]) -> None:
        self._api = api
        self._path = f"/api/servers/{server['id']}"
        self._name = server["name"]
        self._is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        self._typed: SimpleQueue[str | None] = SimpleQueue()
        self._has_left = Event()
        self._printing = Lock()
        self._is_refused = False
        self._end: ApiError | None = None
        """Why there is no console any more."""

    def stay(self) -> None:
        """Until whoever types leaves. Raises: ApiError, the console has ended; `Exit`, something that a program typed was refused."""
        page = self._api.call("GET", f"{self._path}/console", lines=TAIL_LINES)
        with patch_stdout(raw=True) if self._is_terminal else nullcontext():
            self._tell(f"At the console of {self._name}; Ctrl-D leaves, and the server goes on.")
            self._show(page["lines"])
            with suppress(KeyboardInterrupt):
                self._type_on(page["cursor"])
            if self._end is None:
                self._tell("Detached; the server goes on.")
            with self._printing:
                self._has_left.set()
        if self._end is not None:
            raise self._end
        if self._is_refused and not self._is_terminal:
            raise typer.Exit(1)

    def _type_on(self, cursor: str) -> None:
        self._in_thread(self._watch, cursor)
        sender = self._in_thread(self._send_all)
        for line in self._lines():
            self._typed.put(line)
        self._typed.put(None)
        sender.join()
        if not self._is_terminal:
            time.sleep(ANSWER_S)

    def _lines(self) -> Iterator[str]:
        if not self._is_terminal:
            yield from (line.rstrip("\r\n") for line in sys.stdin)
            return
        session: PromptSession[str] = PromptSession()
        while True:
            try:
                yield session.prompt(PROMPT)
            except EOFError:
                return

    def _in_thread(self, work: Callable[..., None], *given: Any) -> Thread:
        """What goes wrong once nobody is here is nobody's."""

        def run() -> None:
            try:
                work(*given)
            except Exception:
                if not self._has_left.is_set():
                    raise

        thread = Thread(target=run, daemon=True)
        thread.start()
        return thread

    def _watch(self, cursor: str) -> None:
        try:
            for lines in followed(self._api, f"{self._path}/console", cursor, self._tell, self._pause):
                self._show(lines)
        except ApiError as error:
            with self._printing:
                if self._has_left.is_set():
                    return
                self._end = error
            os.kill(os.getpid(), signal.SIGINT)  # whoever types is waited for in the main thread

    def _pause(self, seconds: float) -> None:
        if self._has_left.wait(seconds):
            raise EOFError

    def _show(self, lines: list[Line]) -> None:
        with self._printing:
            if not self._has_left.is_set():
                show_lines(lines)
                typer.echo(COLOURS_END if self._is_terminal else "", nl=False)

    def _tell(self, sentence: str) -> None:
        with self._printing:
            if not self._has_left.is_set():
                say(sentence, err=True)

    def _send_all(self) -> None:
        while (line := self._typed.get()) is not None:
            if line and (refusal := self._send(line)):
                self._is_refused = True
                self._tell(f"Not sent: {line}\n{refusal.message} [{refusal.code}]")

    def _send(self, line: str) -> ApiError | None:
        """Gives why it was not."""
        key, deadline = secrets.token_hex(16), time.monotonic() + SENT_WITHIN_S
        while True:
            try:
                order = self._api.call("POST", f"{self._path}/command", {"command": line}, key=key)
                self._api.follow(order, SENT_WITHIN_S)
            except ApiError as error:
                if not is_passing(error) or time.monotonic() > deadline:
                    return error
                self._pause(RETRY_S)
            else:
                return None
