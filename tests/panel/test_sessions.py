"""Signing in from a page: the cookie, who may use it from where, and until when."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select
from tests.panel.support import PASSWORD, PanelUnderTest, Person, make_config, unique, until
from tests.panel.test_permissions import PUBLIC, paths
from tests.panel.test_postgresql import postgresql as postgresql  # noqa: PLC0414 - a fixture
from tests.panel.test_postgresql import pytestmark as needs_postgresql

from ctrl_alt_play.panel.browsers import COOKIE
from ctrl_alt_play.panel.db import Database
from ctrl_alt_play.panel.models import User, UserSession
from ctrl_alt_play.panel.sessions import LONGEST, MOST_A_USER, SEEN_EVERY_S, UNSEEN

ANOTHER = "another good password"


async def account(panel: PanelUnderTest) -> str:
    """The name of a user without a session."""
    username = unique("page")
    await panel.admin.post("/api/users", {"username": username, "password": PASSWORD}, 201)
    return username


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(panel: PanelUnderTest) -> Person:
    return await panel.at_page(await account(panel))


def secret_of(person: Person) -> str:
    return str(person.api.cookies[COOKIE])


async def sessions_of(person: Person) -> list[dict[str, Any]]:
    return list((await person.get("/api/auth/sessions"))["items"])


async def row_of(panel: PanelUnderTest, session_id: str) -> UserSession:
    async with panel.app.state.database.reading() as session:
        found = await session.get(UserSession, session_id)
        assert found is not None
        return found


async def test_signing_in_from_a_page_sets_a_cookie_that_no_script_and_no_other_site_can_use(
    panel: PanelUnderTest,
) -> None:
    username, browser = await account(panel), await panel.browser()
    credentials = {"username": username, "password": PASSWORD}
    answer = await browser.api.post("/api/auth/sessions", json=credentials)
    assert answer.status_code == 201
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert set(attributes) == {"HttpOnly", "Max-Age=7776000", "Path=/", "SameSite=strict"}
    assert await browser.get("/api/auth/me") == answer.json()
    assert secret_of(browser) not in answer.text
    assert cookie == f"{COOKIE}={secret_of(browser)}"


async def test_the_panel_keeps_no_secret(panel: PanelUnderTest, visitor: Person) -> None:
    (mine,) = await sessions_of(visitor)
    kept = await row_of(panel, mine["id"])
    assert kept.secret_hash == hashlib.sha256(secret_of(visitor).encode()).hexdigest()
    assert len(secret_of(visitor)) >= 43


async def test_over_https_the_cookie_is_this_hosts_alone(panel: PanelUnderTest) -> None:
    browser = await panel.browser(**{"X-Forwarded-Proto": "https"})
    credentials = {"username": await account(panel), "password": PASSWORD}
    answer = await browser.api.post("/api/auth/sessions", json=credentials)
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    name, _, secret = cookie.partition("=")
    assert name == f"__Host-{COOKIE}"
    assert {"Secure", "Path=/"} <= set(attributes)
    for sent, status in ((name, 200), (COOKIE, 401)):
        answer = await browser.api.get("/api/auth/me", headers={"Cookie": f"{sent}={secret}"})
        assert answer.status_code == status


async def test_a_public_address_of_https_makes_it_so_behind_any_proxy(tmp_path: Path) -> None:
    async with PanelUnderTest(make_config(tmp_path, public_url="https://Panel.example.org/")) as panel:
        credentials = {"username": await account(panel), "password": PASSWORD}
        browser = await panel.browser(Origin="https://panel.example.org")
        answer = await browser.api.post("/api/auth/sessions", json=credentials)
        assert answer.status_code == 201
        assert answer.headers["set-cookie"].startswith(f"__Host-{COOKIE}=")
        cookie = answer.headers["set-cookie"].split(";")[0]
        assert (await browser.api.delete("/api/auth/sessions", headers={"Cookie": cookie})).status_code == 204


async def test_wrong_credentials_are_counted_together_with_those_for_tokens(own_panel: PanelUnderTest) -> None:
    username, browser = await account(own_panel), await own_panel.browser()
    wrong = {"username": username, "password": "wrong"}
    for path in ("/api/auth/sessions", "/api/auth/login") * 5:
        refused = await browser.post(path, wrong, 401)
        assert refused["code"] == "WRONG_CREDENTIALS"
    right = {"username": username, "password": PASSWORD}
    for path in ("/api/auth/sessions", "/api/auth/login"):
        assert (await browser.post(path, right, 429))["code"] == "TOO_MANY_ATTEMPTS"


HERE = "{here}"
FROM = [
    ({"Sec-Fetch-Site": "same-origin"}, True),
    ({"Sec-Fetch-Site": "none"}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "http://proxied.example"}, True),
    ({"Origin": f"http://{HERE}"}, True),
    ({"Origin": f"https://{HERE}"}, True),
    ({"Sec-Fetch-Site": "cross-site", "Origin": f"http://{HERE}"}, False),
    ({"Sec-Fetch-Site": "same-site", "Origin": f"http://{HERE}"}, False),
    ({"Sec-Fetch-Site": ""}, False),
    ({"Origin": "http://evil.example"}, False),
    ({"Origin": f"http://{HERE}.evil.example"}, False),
    ({"Origin": "http://127.0.0.1"}, False),
    ({"Origin": "null"}, False),
    ({"Origin": "null", "Host": ""}, False),
    ({"Origin": "http://evil.example", "X-Forwarded-Host": "evil.example"}, False),
    ({}, False),
]


@pytest.mark.parametrize(("headers", "is_ours"), FROM, ids=str)
async def test_what_a_page_changes_is_taken_from_our_own_alone(
    panel: PanelUnderTest, visitor: Person, headers: dict[str, str], is_ours: bool
) -> None:
    sent = {name: value.format(here=f"127.0.0.1:{panel.people_port}") for name, value in headers.items()}
    del visitor.api.headers["Origin"]
    credentials = {"username": visitor.username, "password": PASSWORD}
    for method, path, body, status in (
        ("POST", "/api/auth/sessions", credentials, 201),
        ("DELETE", "/api/auth/sessions/nothing", None, 404),
    ):
        answer = await visitor.api.request(method, path, json=body, headers=sent)
        if is_ours:
            assert answer.status_code == status, answer.text
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "CROSS_ORIGIN")
    assert (await visitor.api.get("/api/auth/me", headers=sent)).status_code == 200


async def test_no_route_that_changes_something_takes_the_cookie_from_another_page(
    panel: PanelUnderTest, visitor: Person
) -> None:
    ids = dict.fromkeys(("server_id", "node_id", "user_id", "operation_id", "orphan_id"), "any")
    tried = 0
    for method, path, _ in paths(panel.app, **ids, session_id="current"):
        if method not in {"GET", "HEAD"} and (method, path) not in PUBLIC:
            answer = await visitor.api.request(method, path, headers={"Sec-Fetch-Site": "same-site"})
            assert (answer.status_code, answer.json()["code"]) == (403, "CROSS_ORIGIN"), f"{method} {path}"
            tried += 1
    assert tried >= 20
    await visitor.get("/api/auth/me")


async def test_an_access_token_needs_no_page_and_comes_before_the_cookie(
    panel: PanelUnderTest, visitor: Person
) -> None:
    sent = {**panel.admin.api.headers, "Sec-Fetch-Site": "cross-site"}
    assert (await visitor.api.get("/api/auth/me", headers=sent)).json()["id"] == panel.admin.id
    assert (await visitor.api.delete("/api/auth/sessions/nothing", headers=sent)).status_code == 404
    behind_a_proxy = {"Authorization": "Basic dXNlcjpwYXNz"}
    assert (await visitor.api.get("/api/auth/me", headers=behind_a_proxy)).json()["id"] == visitor.id


async def test_ones_own_sessions_are_listed_with_where_they_are_from(panel: PanelUnderTest, visitor: Person) -> None:
    other = await panel.at_page(visitor.username, **{"User-Agent": "Phone \u202e/".encode() + b"x" * 300})
    both = await sessions_of(visitor)
    assert [each["is_current"] for each in both].count(True) == 1
    (phone,) = [each for each in both if not each["is_current"]]
    assert (phone["address"], len(phone["user_agent"])) == ("127.0.0.1", 200)
    assert phone["user_agent"].startswith("Phone ")
    assert phone["user_agent"].isprintable()
    ends = datetime.fromisoformat(phone["expires_at"]) - datetime.fromisoformat(phone["seen_at"])
    assert ends == UNSEEN
    assert {each["id"] for each in both} == {each["id"] for each in await sessions_of(other)}


async def test_anothers_session_does_not_exist(panel: PanelUnderTest, visitor: Person, stranger: Person) -> None:
    (theirs,) = await sessions_of(visitor)
    for someone in (stranger, panel.admin):
        await someone.delete(f"/api/auth/sessions/{theirs['id']}", 404)
        await someone.delete("/api/auth/sessions")
        assert theirs["id"] not in {each["id"] for each in await sessions_of(someone)}
    await visitor.get("/api/auth/me")


async def test_a_session_that_was_ended_is_refused_at_once_also_by_another_panel(own_panel: PanelUnderTest) -> None:
    visitor = await own_panel.at_page(await account(own_panel))
    other = await own_panel.at_page(visitor.username)
    async with PanelUnderTest(own_panel.config) as another:
        elsewhere = await another.browser()
        elsewhere.api.cookies.set(COOKIE, secret_of(other))
        await elsewhere.get("/api/auth/me")
        (ended,) = [each for each in await sessions_of(visitor) if not each["is_current"]]
        await visitor.delete(f"/api/auth/sessions/{ended['id']}")
        for person in (other, elsewhere):
            assert (await person.get("/api/auth/me", 401))["code"] == "UNAUTHENTICATED"
    await visitor.delete(f"/api/auth/sessions/{ended['id']}", 404)
    await visitor.get("/api/auth/me")


async def test_signing_out_ends_the_session_and_clears_the_cookie(panel: PanelUnderTest, visitor: Person) -> None:
    secret = secret_of(visitor)
    await visitor.delete("/api/auth/sessions/current")
    assert COOKIE not in visitor.api.cookies
    visitor.api.cookies.set(COOKIE, secret)
    await visitor.get("/api/auth/me", 401)
    await panel.admin.delete("/api/auth/sessions/current", 404)


async def test_all_others_are_ended_at_once(panel: PanelUnderTest, visitor: Person) -> None:
    others = [await panel.at_page(visitor.username) for _ in range(3)]
    await visitor.delete("/api/auth/sessions")
    for other in others:
        await other.get("/api/auth/me", 401)
    assert len(await sessions_of(visitor)) == 1


async def test_a_new_password_of_ones_own_leaves_the_current_session_alone(
    panel: PanelUnderTest, visitor: Person
) -> None:
    other = await panel.at_page(visitor.username)
    credentials = {"username": visitor.username, "password": PASSWORD}
    token = (await other.post("/api/auth/login", credentials, 200))["access_token"]
    changed = await visitor.patch("/api/auth/me", {"current_password": PASSWORD, "new_password": ANOTHER})
    assert changed == await visitor.get("/api/auth/me")
    assert [each["is_current"] for each in await sessions_of(visitor)] == [True]
    await other.get("/api/auth/me", 401)
    async with panel.client(token) as api:
        assert (await api.get("/api/auth/me")).status_code == 401
    await panel.at_page(visitor.username, ANOTHER)
    await other.post("/api/auth/sessions", credentials, 401)


async def test_a_new_password_needs_the_one_of_now_which_is_not_guessed_at_will(own_panel: PanelUnderTest) -> None:
    visitor = await own_panel.at_page(await account(own_panel))
    wrong = {"current_password": "wrong", "new_password": ANOTHER}
    answers = await asyncio.gather(*(visitor.patch("/api/auth/me", wrong, 403) for _ in range(10)))
    assert {answer["code"] for answer in answers} == {"WRONG_CREDENTIALS"}
    right = {"current_password": PASSWORD, "new_password": ANOTHER}
    assert (await visitor.patch("/api/auth/me", right, 429))["code"] == "TOO_MANY_ATTEMPTS"
    await visitor.post("/api/auth/sessions", {"username": visitor.username, "password": PASSWORD}, 429)
    own_panel.clock.ahead_s += 61
    short = await visitor.patch("/api/auth/me", {"current_password": PASSWORD, "new_password": "short"}, 422)
    assert [each["field"] for each in short["fields"]] == ["new_password"]
    await visitor.patch("/api/auth/me", right)


async def test_of_two_new_passwords_at_once_one_is_refused(panel: PanelUnderTest, visitor: Person) -> None:
    changes = [{"current_password": PASSWORD, "new_password": f"{ANOTHER} {number}"} for number in range(2)]
    answers = await asyncio.gather(*(visitor.api.patch("/api/auth/me", json=change) for change in changes))
    assert sorted(answer.status_code for answer in answers) == [200, 403]


async def test_an_administrators_new_password_or_removal_ends_all_sessions(
    panel: PanelUnderTest, visitor: Person
) -> None:
    await panel.admin.patch(f"/api/users/{visitor.id}", {"password": ANOTHER})
    await visitor.get("/api/auth/me", 401)
    again = await panel.at_page(visitor.username, ANOTHER)
    assert len(await sessions_of(again)) == 1
    await panel.admin.delete(f"/api/users/{visitor.id}")
    await again.get("/api/auth/me", 401)
    async with panel.app.state.database.reading() as session:
        assert not (await session.scalars(select(UserSession).where(UserSession.user_id == visitor.id))).all()


async def test_a_session_begun_while_the_password_was_changed_is_worth_nothing(
    panel: PanelUnderTest, visitor: Person
) -> None:
    async with panel.app.state.database.reading() as session:
        before = await session.get(User, visitor.id)
    await visitor.patch("/api/auth/me", {"current_password": PASSWORD, "new_password": ANOTHER})
    late = await panel.browser()
    late.api.cookies.set(COOKIE, await panel.app.state.accounts.begin_session(before, "::1", ""))
    await late.get("/api/auth/me", 401)
    assert len(await sessions_of(visitor)) == 1


async def test_a_session_lasts_as_long_as_it_is_used_and_no_longer_than_ninety_days(own_panel: PanelUnderTest) -> None:
    visitor = await own_panel.at_page(await account(own_panel))
    (begun,) = await sessions_of(visitor)
    days, clock = timedelta(days=1).total_seconds(), own_panel.clock

    async def is_seen() -> bool:
        ahead = datetime.fromisoformat((await sessions_of(visitor))[0]["seen_at"]) - datetime.now(UTC)
        return ahead.total_seconds() > clock.ahead_s - 60

    for day in (29, 58, 87):
        clock.ahead_s = day * days
        await visitor.get("/api/auth/me")
        await until(is_seen)
    (now,) = await sessions_of(visitor)
    assert datetime.fromisoformat(now["expires_at"]) == datetime.fromisoformat(begun["created_at"]) + LONGEST
    clock.ahead_s = 91 * days
    await visitor.get("/api/auth/me", 401)


async def test_a_session_that_nobody_uses_ends_after_thirty_days(own_panel: PanelUnderTest) -> None:
    visitor = await own_panel.at_page(await account(own_panel))
    own_panel.clock.ahead_s = UNSEEN.total_seconds() + 1
    await visitor.get("/api/auth/me", 401)
    again = await own_panel.at_page(visitor.username)
    async with own_panel.app.state.database.reading() as session:
        kept = (await session.scalars(select(UserSession))).all()
    assert [each.id for each in kept] == [each["id"] for each in await sessions_of(again)]


async def test_no_request_writes_when_it_was_seen(own_panel: PanelUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = await own_panel.at_page(await account(own_panel))
    (mine,) = await sessions_of(visitor)
    sessions = own_panel.app.state.sessions
    asked: list[str] = []
    row = Database.row

    async def counted(self: Database, question: str, **parameters: Any) -> Any:
        asked.append(question)
        return await row(self, question, **parameters)

    monkeypatch.setattr(Database, "row", counted)
    await visitor.get("/api/servers")
    assert len([question for question in asked if "sessions" in question]) == 1
    assert sessions.seen._values == {}
    own_panel.clock.ahead_s = SEEN_EVERY_S + 1
    before = (await row_of(own_panel, mine["id"])).seen_at
    await asyncio.gather(*(visitor.get("/api/auth/me") for _ in range(5)))
    assert len(sessions.seen._values) <= 1

    async def is_written() -> bool:
        return (await row_of(own_panel, mine["id"])).seen_at >= before + SEEN_EVERY_S

    await until(is_written)


async def test_a_user_has_a_bounded_number_of_sessions(own_panel: PanelUnderTest) -> None:
    first = await own_panel.at_page(await account(own_panel))
    async with own_panel.app.state.database.reading() as session:
        user = await session.get(User, first.id)
    for _ in range(MOST_A_USER - 1):
        own_panel.clock.ahead_s += 1
        await own_panel.app.state.accounts.begin_session(user, "::1", "")
    assert len(await sessions_of(first)) == MOST_A_USER
    own_panel.clock.ahead_s += 1
    last = await own_panel.at_page(first.username)
    await first.get("/api/auth/me", 401)
    assert len(await sessions_of(last)) == MOST_A_USER


@needs_postgresql
async def test_sessions_on_postgresql(postgresql: str, tmp_path: Path) -> None:
    async with PanelUnderTest(make_config(tmp_path, database_url=postgresql)) as panel:
        visitor = await panel.at_page(await account(panel))
        others = [await panel.at_page(visitor.username) for _ in range(3)]
        panel.clock.ahead_s = SEEN_EVERY_S + 1

        async def is_seen() -> bool:
            seen = {each["is_current"]: each["seen_at"] for each in await sessions_of(visitor)}
            return bool(seen[True] > seen[False])

        await until(is_seen)
        await others[0].delete("/api/auth/sessions/current")
        await visitor.patch("/api/auth/me", {"current_password": PASSWORD, "new_password": ANOTHER})
        for other in others:
            await other.get("/api/auth/me", 401)
        changes = [{"current_password": ANOTHER, "new_password": f"{ANOTHER} {number}"} for number in range(2)]
        answers = await asyncio.gather(*(visitor.api.patch("/api/auth/me", json=change) for change in changes))
        assert sorted(answer.status_code for answer in answers) == [200, 403]
        assert len(await sessions_of(visitor)) == 1
