"""A crash is explained: by its cause, the game's last lines, and what changed since the last run that went well."""

import asyncio
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.integration.defects.conftest import MakePuppet
from tests.integration.installation import Installation, free_port
from tests.waiting import until

from ctrl_alt_play.agent.journal import Journal
from ctrl_alt_play.agent.records import Entry
from ctrl_alt_play.agent.servers.changes import GoodRun

pytestmark = [pytest.mark.docker, pytest.mark.timeout(60)]
MIB = 1024**2


@dataclass(frozen=True)
class Case:
    line: str
    """What the game does that ends it."""
    cause: str
    exit_code: int
    summary: str
    signal: str | None = None


CASES = {
    "exit code": Case("exit 3", "exit_code", 3, "It ended with exit code 3."),
    "signal": Case("kill -SEGV $$", "signal", 139, "It was ended by SIGSEGV.", "SIGSEGV"),
    "out of memory": Case(
        "x=0123456789; while :; do x=$x$x; done",
        "out_of_memory",
        137,
        "It ran out of memory (limit 48 MiB) and was killed.",
        "SIGKILL",
    ),
    "disk full": Case(
        "busybox dd if=/dev/zero of=/dev/full; exit 4",
        "disk_full",
        4,
        "“dd: error writing '/dev/full': No space left on device” It then ended with exit code 4.",
    ),
    "port taken": Case(
        "busybox httpd -p 7777; busybox httpd -p 7777; exit 5",
        "port_taken",
        5,
        "It says that its port is taken: “httpd: bind: Address already in use” It then ended with exit code 5.",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_crash_is_reported_with_its_cause_and_the_games_last_lines(puppet: MakePuppet, case: Case) -> None:
    game = puppet(crash={"restart": False}, limits={"memory": 48 * MIB})
    game.does("start")
    report = game.crashes_by(f"echo last words; {case.line}")
    told = (report["cause"], report["exit_code"], report["signal"])
    assert told == (case.cause, case.exit_code, case.signal)
    assert case.summary in report["summary"]
    assert report["last_lines"][:2] == ["ready", "last words"]
    assert 0 <= report["uptime_s"] < 10
    view = game.view()
    assert (view["status"], view["exit_code"]) == ("CRASHED", case.exit_code)
    assert report["summary"].rstrip(".") in view["detail"]


def test_a_port_that_another_program_took_meanwhile_is_reported(puppet: MakePuppet) -> None:
    port = free_port()
    game = puppet(ports=[{"internal": 7777, "external": port}], crash={"backoff": [0.5, 60]})
    game.does("start")
    game.types("exit 3")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        until(lambda: is_bound(other, port), "the port is free")
        other.listen()
        until(lambda: len(game.crashes()) == 2, "the start that failed is reported")
    report = game.crashes()[0]
    assert (report["cause"], report["crashes"]) == ("port_taken", 2)
    assert report["summary"].startswith("It could not be started: ")


def test_an_image_that_is_missing_at_the_nodes_own_start_is_reported(puppet: MakePuppet) -> None:
    game = puppet(crash={"backoff": [0, 60]})
    game.does("start")
    image = f"nowhere.invalid/{secrets.token_hex(4)}:1"
    game.is_changed(image=image)
    game.types("exit 3")
    until(lambda: len(game.crashes()) == 2, "the start that failed is reported", 20)
    report = game.crashes()[0]
    assert report["cause"] == "image_missing"
    assert report["summary"].startswith("It could not be started: ")
    assert image in report["summary"]


def test_a_report_tells_what_changed_since_the_last_good_run_and_no_secret(
    installation: Installation, puppet: MakePuppet
) -> None:
    game = puppet(crash={"restart": False}, limits={"memory": 48 * MIB})
    ran_well(installation, game.id)
    game.is_changed(limits={"memory": 32 * MIB}, environment={"RCON_PASSWORD": "swordfish"}, stop={"signal": "SIGINT"})
    game.does("start")
    assert game.crashes_by("exit 3")["changes"] == [
        "The limit of memory was changed from 48 MiB to 32 MiB.",
        "The rule for stopping was changed.",
        "Environment variable added: RCON_PASSWORD.",
    ]


def ran_well(installation: Installation, server_id: str) -> None:
    """Makes the agent remember a good run of the server as it is. One takes a minute; so it is written to the journal."""
    installation.end(installation.agent)
    asyncio.run(_remember_good_run(installation.folder / "agent" / "journal.db", server_id))
    installation.start_agent()
    installation.wait_for_node()


async def _remember_good_run(file: Path, server_id: str) -> None:
    journal = await Journal.open(file)
    try:
        (record,) = [each for each in await journal.servers() if each.id == server_id]
        good: dict[str, Any] = {"good_run": GoodRun(specification=record.specification).model_dump_json(by_alias=True)}
        assert await journal.written(Entry(memory=(server_id, record.memory.model_copy(update=good))))
    finally:
        await journal.close()


def is_bound(to: socket.socket, port: int) -> bool:
    try:
        to.bind(("0.0.0.0", port))
    except OSError:
        return False
    return True
