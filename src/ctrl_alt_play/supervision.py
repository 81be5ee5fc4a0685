"""What a service manager is told while a program runs, by systemd's protocol: datagrams to the socket that `NOTIFY_SOCKET` names.

Without that variable nothing is sent. Nothing here raises, and nothing waits for longer than a moment.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Self

SEND_TIMEOUT_S = 0.5
STATUS_EVERY_S = 5.0


class Supervisor:
    """The service manager, if there is one. `watchdog_s`: it kills a program that was silent for so long."""

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address
        self._watchdog_s = watchdog_s
        self._is_ready = False
        self._status = ""

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The one that started this very process: a watchdog may be meant for another one, which it names."""
        microseconds = environment.get("WATCHDOG_USEC", "")
        is_watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_s = int(microseconds) / 1e6 if is_watched and microseconds.isdecimal() else 0
        return cls(environment.get("NOTIFY_SOCKET") or None, watchdog_s or None)

    def ready(self) -> None:
        """The program does its work from here on."""
        self._is_ready = True
        self._send("READY=1")

    def stopping(self) -> None:
        self._is_ready = False
        self._send("STOPPING=1", "STATUS=ending")

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Around a reading of the settings. A program that is not ready yet does not become so by it."""
        was_ready = self._is_ready
        if was_ready:
            self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            yield
        finally:
            if was_ready:
                self._send("READY=1")

    async def keep_informed(self, status: Callable[[], str]) -> None:
        """Until cancelled: shows that the event loop turns, at least twice in the watchdog's time, and tells the status when it has changed."""
        if self._address is None:
            return
        pause_s = STATUS_EVERY_S if self._watchdog_s is None else min(STATUS_EVERY_S, self._watchdog_s / 2)
        while True:
            told = " ".join(status().split())
            changes = [] if told == self._status else [f"STATUS={told}"]
            if self._watchdog_s is not None:
                changes.append("WATCHDOG=1")
            if self._send(*changes, wait_s=0):
                self._status = told
            await asyncio.sleep(pause_s)

    def _send(self, *assignments: str, wait_s: float = SEND_TIMEOUT_S) -> bool:
        """Whether it was sent. A manager that does not read is waited for only where it must know."""
        if self._address is None or not assignments:
            return False
        with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(wait_s)
            sender.sendto("\n".join(assignments).encode(), self._address)
            return True
        return False
