"""The history of servers and nodes, as people read it."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from tests.foreign.agent import ForeignAgent
from tests.panel.support import PanelUnderTest, Person

from ctrl_alt_play.panel.models import Event

HAPPENED = datetime(2026, 1, 1, 12, tzinfo=UTC)
_seq = itertools.count(1)

CRASH = {
    "serverId": "…",
    "cause": "out_of_memory",
    "summary": "It used more memory than its limit of 512 MiB.",
    "exitCode": 137,
    "signal": "SIGKILL",
    "uptime": 12.5,
    "lastLines": ["loading", "out of memory"],
    "changes": ["The image was games/quake:1 and is games/quake:2."],
    "crashes": 2,
    "restartAt": "2026-01-01T12:00:10Z",
    "crashedAt": "2026-01-01T12:00:00Z",
}


async def happened(panel: PanelUnderTest, node_id: str, server_id: str, kind: str, data: dict[str, Any]) -> None:
    async with panel.app.state.database.writing() as session:
        seq = next(_seq)
        session.add(
            Event(
                node_id=node_id,
                spool_id="spool",
                seq=seq,
                missing=seq % 2,
                server_id=server_id,
                kind=kind,
                data={**data, "serverId": server_id},
                happened_at=HAPPENED,
                received_at=HAPPENED + timedelta(minutes=1),
            )
        )


@pytest_asyncio.fixture(loop_scope="session")
async def agent(panel: PanelUnderTest) -> ForeignAgent:
    return await panel.connected(await panel.agent())


@pytest_asyncio.fixture(loop_scope="session")
async def owned(panel: PanelUnderTest, agent: ForeignAgent, owner: Person) -> str:
    """A server that started, and crashed twice."""
    server_id = await panel.server(agent, owner)
    await happened(
        panel, agent.node_id, server_id, "server_status_changed", {"currentStatus": "running", "ready": True}
    )
    await happened(panel, agent.node_id, server_id, "server_crashed", {"cause": "exit_code", "exitCode": 1})
    await happened(panel, agent.node_id, server_id, "server_crashed", CRASH)
    return server_id


async def test_an_owner_reads_what_happened_with_the_latest_first(owner: Person, owned: str) -> None:
    found = (await owner.get(f"/api/servers/{owned}/events"))["items"]
    assert [event["kind"] for event in found] == ["server_crashed", "server_crashed", "server_status_changed"]
    assert (found[2]["data"]["current_status"], found[2]["data"]["ready"]) == ("running", True)
    assert (found[0]["happened_at"], found[0]["received_at"]) == ("2026-01-01T12:00:00Z", "2026-01-01T12:01:00Z")


async def test_events_come_in_pages_and_by_kind(owner: Person, owned: str) -> None:
    path = f"/api/servers/{owned}/events"
    first = await owner.get(path, limit=2)
    rest = await owner.get(path, limit=2, cursor=first["next_cursor"])
    assert len({event["id"] for event in (*first["items"], *rest["items"])}) == 3
    assert rest["next_cursor"] is None
    started = await owner.get(path, kind="server_status_changed")
    assert [event["kind"] for event in started["items"]] == ["server_status_changed"]
    either = await owner.get(path, kind=["server_status_changed", "server_crashed"])
    assert len(either["items"]) == 3


async def test_events_of_a_time_are_those_that_happened_then(owner: Person, owned: str) -> None:
    async def found(**span: str) -> int:
        return len((await owner.get(f"/api/servers/{owned}/events", **span))["items"])

    assert await found(since="2026-01-01T12:00:00Z", until="2026-01-01T12:00:01Z") == 3
    assert await found(until="2026-01-01T12:00:00Z") == 0
    assert await found(since="2026-01-01T12:00:30Z") == 0


@pytest.mark.parametrize("cursor", ["nonsense", "WyJhIl0", "WyItMSJd", "WyI5OTk5OTk5OTk5OTk5OTk5OTk5OTkiXQ"])
async def test_a_cursor_that_is_no_number_of_ours_is_refused(owner: Person, owned: str, cursor: str) -> None:
    problem = await owner.get(f"/api/servers/{owned}/events", 422, cursor=cursor)
    assert [wrong["field"] for wrong in problem["fields"]] == ["cursor"]


async def test_a_crash_report_tells_why_in_fields_of_its_own(owner: Person, owned: str) -> None:
    newest, older = (await owner.get(f"/api/servers/{owned}/crashes"))["items"]
    assert {name: newest[name] for name in ("cause", "exit_code", "signal", "uptime_s", "crashes")} == {
        "cause": "out_of_memory",
        "exit_code": 137,
        "signal": "SIGKILL",
        "uptime_s": 12.5,
        "crashes": 2,
    }
    assert newest["last_lines"] == ["loading", "out of memory"]
    assert newest["changes"] == CRASH["changes"]
    assert (newest["restart_at"], newest["crashed_at"]) == ("2026-01-01T12:00:10Z", "2026-01-01T12:00:00Z")
    assert (older["cause"], older["exit_code"], older["summary"], older["restart_at"]) == ("exit_code", 1, "", None)
    assert older["crashed_at"] == older["happened_at"]


async def test_a_report_that_makes_no_sense_is_shown_as_far_as_it_does(
    panel: PanelUnderTest, agent: ForeignAgent, owner: Person, owned: str
) -> None:
    await happened(
        panel, agent.node_id, owned, "server_crashed", {"cause": "meteor", "exitCode": "many", "lastLines": 7}
    )
    await happened(panel, agent.node_id, owned, "moon_landing", {"smallSteps": 1})
    report = (await owner.get(f"/api/servers/{owned}/crashes", limit=1))["items"][0]
    assert (report["cause"], report["exit_code"], report["last_lines"]) == ("exit_code", None, [])
    unknown = (await owner.get(f"/api/servers/{owned}/events", limit=1))["items"][0]
    assert (unknown["kind"], unknown["data"]["smallSteps"]) == ("moon_landing", 1)


async def test_what_another_node_says_of_a_server_is_no_part_of_its_history(
    panel: PanelUnderTest, owner: Person, owned: str
) -> None:
    elsewhere = await panel.agent()
    await happened(panel, elsewhere.node_id, owned, "server_crashed", CRASH)
    assert len((await owner.get(f"/api/servers/{owned}/events"))["items"]) == 3
    assert len((await owner.get(f"/api/servers/{owned}/crashes"))["items"]) == 2


async def test_administrators_read_what_happened_on_a_node(
    panel: PanelUnderTest, agent: ForeignAgent, admin: Person, owner: Person, owned: str
) -> None:
    path = f"/api/nodes/{agent.node_id}/events"
    found = (await admin.get(path))["items"]
    assert [event["server_id"] for event in found] == [owned] * 3
    assert [event["missing"] for event in found] == [found[0]["missing"], 1 - found[0]["missing"], found[0]["missing"]]
    assert len((await admin.get(path, kind="server_crashed", limit=1))["items"]) == 1
    await owner.get(path, 403)
    await admin.get("/api/nodes/nowhere/events", 404)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "yesterday"])
async def test_a_time_that_no_clock_shows_is_refused(owner: Person, owned: str, time: str) -> None:
    problem = await owner.get(f"/api/servers/{owned}/events", 422, since=time)
    assert ["since" in wrong["field"] for wrong in problem["fields"]] == [True]
