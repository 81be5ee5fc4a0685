"""A template's whole way on this machine: its image, installed, started, ready, asked, stopped by its own rule, and gone."""

import asyncio
import random
import re
import secrets
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ctrl_alt_play.agent.figures.queries import QUERIES
from ctrl_alt_play.cli.trial_node import TrialNode, trial_node
from ctrl_alt_play.games.commands import BuildFailed
from ctrl_alt_play.games.own import build_own
from ctrl_alt_play.panel.errors import Invalid
from ctrl_alt_play.panel.servers.rendering import Choices, render, wanted_ports
from ctrl_alt_play.paths import data_folder
from ctrl_alt_play.protocol.contents import Action, Nothing, ServerState, StopPayload
from ctrl_alt_play.protocol.errors import Fault
from ctrl_alt_play.protocol.live import PlayersSeen
from ctrl_alt_play.protocol.specification import Limits, Port, Recipe, Specification
from ctrl_alt_play.templates import model
from ctrl_alt_play.templates.model import Template

LIMITS = Limits(memory=2**30, cpu=200)
QUERY_S = 15.0
LINES_SHOWN = 10
WAITING = "waiting until it is ready"
Say = Callable[[str], None]


class NotSo(Exception):
    """A step did not go as the template says."""


@dataclass(frozen=True)
class Trial:
    """One template, and what is chosen of it."""

    name: str
    template: Template
    values: Mapping[str, str]
    ready_timeout_s: float


async def run(trials: Sequence[Trial], say: Say) -> int:
    """Prints a line for each step and a summary; gives how many failed. Leaves nothing on the machine but images.

    Raises:
        Fault: the engine does not answer.
    """
    failed = 0
    with tempfile.TemporaryDirectory(prefix="ctrl-alt-play-trial-") as folder:
        async with trial_node(Path(folder)) as node:
            for trial in trials:
                failed += not await _Way(trial, node, say).go()
    say(f"{len(trials)} templates, {len(trials) - failed} passed, {failed} failed")
    return failed


class _Way:
    """One trial, step by step."""

    def __init__(self, trial: Trial, node: TrialNode, say: Say) -> None:
        self._trial = trial
        self._template = trial.template
        self._node = node
        self._say = say
        self._id = f"trial-{re.sub('[^A-Za-z0-9]+', '-', trial.name)[:40].strip('-')}-{secrets.token_hex(3)}"
        self._step, self._began_s = "", 0.0

    async def go(self) -> bool:
        """Whether all went well."""
        self._node.listener.lines.clear()
        try:
            await self._whole_way()
        except (NotSo, Fault, BuildFailed, Invalid) as error:
            self._tell(f"FAILED: {_reason(error)}")
            for line in list(self._node.listener.lines)[-LINES_SHOWN:]:
                self._say(f"    | {line}")
            return False
        finally:
            await self._node.discard(self._id)
        return True

    async def _whole_way(self) -> None:
        async with self._at("image") as told:
            specification = self._specification()
            told.append(specification.image)
            await self._build(specification)
        async with self._at("install") as told:
            result = await self._node.do(Action.CREATE_SERVER, self._id, specification)
            told.append(str(result.get("warning") or ""))
        await self._start(specification)
        if specification.query is not None:
            async with self._at("query") as told:
                told.append(await self._ask(specification))
        async with self._at("stop") as told:
            told.append(await self._stop(specification))
        async with self._at("stopped"):
            self._expect(ServerState.STOPPED)

    def _specification(self) -> Specification:
        ports = [port for wanted in wanted_ports(self._template) for port in _ports(wanted)]
        choices = Choices(variables=self._trial.values, limits=LIMITS, ports=tuple(ports))
        recipe: Recipe = render(self._template, choices)
        readiness = recipe.readiness.model_copy(update={"timeout": self._trial.ready_timeout_s})
        crash = recipe.crash.model_copy(update={"restart": False})
        return Specification.model_validate(
            {**recipe.model_dump(), "readiness": readiness.model_dump(), "crash": crash.model_dump()}
        )

    async def _build(self, specification: Specification) -> None:
        installer = specification.installer
        for image in (specification.image, *([installer.image] if installer else [])):
            await asyncio.to_thread(build_own, image, data_folder() / "cache", lambda words: self._say(f"    {words}"))

    async def _start(self, specification: Specification) -> None:
        """Two steps: it runs, and it is ready."""

        def hear(phase: str) -> None:
            if phase == WAITING and self._step == "start":
                self._tell("")
                self._begin("ready")

        self._begin("start")
        self._node.listener.on_phase = hear
        result = await self._node.do(Action.START_SERVER, self._id, Nothing())
        self._expect(ServerState.RUNNING)
        if result.get("ready") is False:
            raise NotSo(f"nothing that it wrote within {self._trial.ready_timeout_s:g} s says that it is ready")
        self._tell("" if specification.readiness.text else "the template does not say how it shows that it is ready")

    async def _ask(self, specification: Specification) -> str:
        query, container = specification.query, self._node.fleet.find(self._id).container
        port = (query and query.port) or next((each.internal for each in specification.ports), 0)
        address, ask = container and container.address, query and QUERIES.get(query.protocol)
        if not (address and ask):
            raise NotSo("this node cannot ask the game in that protocol")
        end_s = time.monotonic() + QUERY_S
        while True:
            try:
                return _players(await ask(address, port, 3.0))
            except Exception as error:  # libraries that read what strangers send promise no kind of error
                if time.monotonic() > end_s:
                    raise NotSo(f"the game does not answer at its port {port}: {error!r}") from error
                await asyncio.sleep(0.2)

    async def _stop(self, specification: Specification) -> str:
        result = await self._node.do(Action.STOP_SERVER, self._id, StopPayload())
        rule = specification.stop
        how = ", then ".join(rule.command.splitlines()) if rule.command else rule.signal
        if result.get("forced") and rule.signal != "SIGKILL":
            raise NotSo(f"it did not end within {rule.timeout:g} s of {how}, and was killed")
        return f"by {how}, exit code {result.get('exitCode')}"

    def _expect(self, state: ServerState) -> None:
        found = self._node.fleet.find(self._id).state
        if found is not state:
            raise NotSo(f"the server is {found}, not {state}")

    @asynccontextmanager
    async def _at(self, step: str) -> AsyncIterator[list[str]]:
        self._begin(step)
        told: list[str] = []
        yield told
        self._tell(" ".join(told))

    def _begin(self, step: str) -> None:
        self._step, self._began_s = step, time.monotonic()

    def _tell(self, words: str) -> None:
        took_s = time.monotonic() - self._began_s
        self._say(f"{self._trial.name:16}  {self._step:8} {took_s:7.1f} s  {words}".rstrip())


def _ports(wanted: model.Port) -> list[Port]:
    """At a number that is free on this machine."""
    protocols: tuple[Literal["tcp", "udp"], ...] = ("tcp", "udp") if wanted.protocol == "both" else (wanted.protocol,)
    number = _free(protocols)
    return [
        Port(internal=wanted.internal or number, external=number, protocol=each, name=wanted.name) for each in protocols
    ]


def _free(protocols: Iterable[str]) -> int:
    while True:
        number = random.randrange(20000, 32000)  # noqa: S311 - anybody may guess it
        try:
            for each in protocols:
                with socket.socket(type=socket.SOCK_STREAM if each == "tcp" else socket.SOCK_DGRAM) as probe:
                    probe.bind(("", number))
        except OSError:
            continue
        return number


def _players(seen: PlayersSeen) -> str:
    return f"{seen.online} of {seen.max} players"


def _reason(error: Exception) -> str:
    match error:
        case Invalid():
            return "; ".join(f"{each.field} {each.message}" for each in error.fields)
        case Fault():
            return error.message
        case _:
            return str(error)
