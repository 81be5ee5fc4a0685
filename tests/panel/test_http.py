"""What all answers have in common."""

import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from tests.panel.support import PanelUnderTest, Person, make_config

TYPE = "application/problem+json"


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    document = answer.json()
    assert answer.status_code == document["status"] == status
    assert answer.headers["content-type"] == TYPE
    assert answer.headers["x-request-id"] == document["request_id"]
    assert {"type", "title", "detail"} <= set(document)
    return bool(document["code"] == code)


async def test_an_address_that_is_not_there_is_a_problem(admin: Person) -> None:
    assert is_problem(await admin.api.get("/api/nothing"), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "path", ["/api/servers/%00", "/api/servers?name=%00", "/api/operations/%00", "/api/nodes/%00/events"]
)
async def test_an_address_that_no_database_could_keep_is_not_there(admin: Person, path: str) -> None:
    assert is_problem(await admin.api.get(path), 404, "NOT_FOUND")


async def test_a_method_that_is_not_taken_is_a_problem(admin: Person) -> None:
    answer = await admin.api.put("/api/servers")
    assert is_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"]


async def test_a_body_that_is_not_json_is_a_problem(admin: Person) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await admin.api.post("/api/nodes", content=b"{not json", headers=headers)
    assert is_problem(answer, 422, "INVALID_REQUEST")


async def test_a_failure_of_ours_is_a_problem_that_tells_nothing_of_its_inside(
    panel: PanelUnderTest, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr("ctrl_alt_play.panel.accounts.service.get", fail)
    answer = await admin.api.get("/api/auth/me")
    assert is_problem(answer, 500, "INTERNAL")
    assert "inside" not in answer.text


async def test_what_is_logged_for_a_request_carries_the_id_that_its_answer_has(
    panel: PanelUnderTest, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ctrl_alt_play.panel.accounts.service.get", fail)
    with capture_logs(processors=[merge_contextvars]) as events:
        failed = await admin.api.get("/api/auth/me")
        missing = await admin.api.get("/api/nothing")
    ids = {answer.headers["x-request-id"] for answer in (failed, missing)}
    assert len(ids) == 2
    assert {event["request_id"] for event in events if event["event"] == "request_answered"} == ids
    (error,) = [event for event in events if event["event"] == "request_failed"]
    assert error["request_id"] == failed.headers["x-request-id"]


async def test_what_is_logged_for_an_order_carries_the_request_and_the_operation(
    panel: PanelUnderTest, admin: Person
) -> None:
    agent = await panel.connected(await panel.agent())
    server_id = await panel.server(agent)
    with capture_logs(processors=[merge_contextvars]) as events:
        answer = await admin.api.post(f"/api/servers/{server_id}/start")
    (sent,) = [event for event in events if event["event"] == "operation_sent"]
    assert sent["operation_id"] == answer.json()["id"]
    assert sent["request_id"] == answer.headers["x-request-id"]
    assert (sent["server_id"], sent["node_id"]) == (server_id, agent.node_id)


async def test_a_body_over_one_mebibyte_is_refused_also_when_it_does_not_say_its_size(admin: Person) -> None:
    announced = await admin.api.post("/api/nodes", content=b"x" * (1024 * 1024 + 1))
    assert is_problem(announced, 413, "BODY_TOO_LARGE")

    async def pieces():  # type: ignore[no-untyped-def]  # noqa: ANN202
        for _ in range(20):
            yield b"x" * 65536

    headers = {"Content-Type": "application/json"}
    unannounced = await admin.api.post("/api/nodes", content=pieces(), headers=headers)
    assert is_problem(unannounced, 413, "BODY_TOO_LARGE")


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/docs/assets/swagger-ui.css", "/api/health"])
async def test_every_answer_carries_the_requests_id(panel: PanelUnderTest, path: str) -> None:
    async with panel.client() as api:
        assert (await api.get(path)).headers["x-request-id"]


async def test_the_documentation_asks_nothing_of_third_parties(panel: PanelUnderTest) -> None:
    async with panel.client() as api:
        page = (await api.get("/docs")).text
        assert "http://" not in page
        assert "https://" not in page
        for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
            assert f"/docs/assets/{asset}" in page
            assert (await api.get(f"/docs/assets/{asset}")).status_code == 200


async def test_health_is_public_and_counts_the_agents(panel: PanelUnderTest) -> None:
    async with panel.client() as api:
        before = (await api.get("/api/health")).json()
        await panel.connected(await panel.agent())
        after = (await api.get("/api/health")).json()
    assert (before["status"], before["database"]) == ("ok", "ok")
    assert before["version"]
    assert after["connected_agents"] == before["connected_agents"] + 1


async def test_health_says_so_when_the_database_is_away(panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away() -> bool:
        return False

    monkeypatch.setattr(panel.app.state.database, "is_reachable", away)
    async with panel.client() as api:
        answer = await api.get("/api/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "degraded")


async def test_a_database_that_others_hold_too_long_is_a_matter_of_trying_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrl_alt_play.panel.db.BUSY_TIMEOUT_MS", 50)
    async with PanelUnderTest(make_config(tmp_path)) as panel:
        file = make_url(panel.config.database).database or ""
        with closing(sqlite3.connect(file, isolation_level=None)) as another:
            another.execute("BEGIN IMMEDIATE")
            with capture_logs() as logs:
                answer = await panel.admin.api.post("/api/nodes", json={"id": "late", "name": "Late"})
            another.execute("ROLLBACK")
        assert is_problem(answer, 503, "DATABASE_BUSY")
        assert int(answer.headers["retry-after"]) > 0
        told = [entry for entry in logs if entry["log_level"] != "debug"]
        assert [(entry["event"], "exc_info" in entry) for entry in told] == [("database_busy", False)]
        await panel.admin.post("/api/nodes", {"id": "late", "name": "Late"}, 201)


async def test_a_read_that_meets_a_lock_is_a_matter_of_trying_again_too(
    panel: PanelUnderTest, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def be_locked(*_: object) -> None:
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise OperationalError("SELECT", {}, error)

    monkeypatch.setattr("ctrl_alt_play.panel.nodes.service.get", be_locked)
    assert is_problem(await admin.api.get("/api/nodes/first"), 503, "DATABASE_BUSY")
