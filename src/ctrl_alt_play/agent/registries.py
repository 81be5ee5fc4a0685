"""Whom registries know this node as: told by the panel, and kept here, so that images come also while it is away."""

import asyncio
from pathlib import Path

import structlog

from ctrl_alt_play import logs
from ctrl_alt_play.agent import own_files
from ctrl_alt_play.agent.engine.base import Login
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.images import RegistryLogin, RegistryLogins, canonical_host, registry_of
from ctrl_alt_play.protocol.messages import read

log = structlog.get_logger(__name__)


class Registries:
    """The file has mode 0600. Nothing in it is ever told again, or logged."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._turn = asyncio.Lock()
        try:
            self._known = read(RegistryLogins, own_files.read(file))
        except Fault:
            log.warning("registries_not_read", file=str(file))
            self._known = RegistryLogins()
        self._learn()

    def login_for(self, image: str) -> Login | None:
        """None: its registry is asked as nobody."""
        host = registry_of(image)
        return next((_login(each) for each in self._known.registries if canonical_host(each.host) == host), None)

    async def keep(self, told: RegistryLogins) -> None:
        """All of them; what is not among them is forgotten.

        Raises:
            Fault: `INTERNAL`, they cannot be written down; they are used all the same, until the agent ends.
        """
        async with self._turn:
            if told == self._known:
                return
            self._known = told
            self._learn()
            try:
                await asyncio.to_thread(own_files.write, self._file, told.model_dump(mode="json", by_alias=True))
            except OSError as error:
                raise Fault(
                    ErrorCode.INTERNAL, f"The logins of registries cannot be written down: {error.strerror}."
                ) from error
            log.info("registries_kept", hosts=[each.host for each in told.registries])

    def _learn(self) -> None:
        logs.keep_out(*(each.password for each in self._known.registries))


def _login(registry: RegistryLogin) -> Login:
    return Login(registry.username, registry.password)
