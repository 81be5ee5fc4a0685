"""Signing in, and the care of accounts."""

import asyncio
from typing import Any

import jwt
from tests.panel.support import PASSWORD, PanelUnderTest, Person, unique


async def account(admin: Person, **more: Any) -> dict[str, Any]:
    new = {"username": unique("user"), "password": PASSWORD, **more}
    created: dict[str, Any] = await admin.post("/api/users", new, status=201)
    return created


async def signed_in(panel: PanelUnderTest, username: str, password: str = PASSWORD, status: int = 200) -> Any:
    visitor = await panel.visitor()
    return await visitor.post("/api/auth/login", {"username": username, "password": password}, status)


async def test_signing_in_gives_a_token_that_says_who_one_is(panel: PanelUnderTest, admin: Person) -> None:
    user = await account(admin)
    token = await signed_in(panel, user["username"].upper())
    assert (token["token_type"], token["expires_in"]) == ("bearer", 12 * 3600)
    async with panel.client(token["access_token"]) as api:
        assert (await api.get("/api/auth/me")).json() == user


async def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(panel: PanelUnderTest, admin: Person) -> None:
    user = await account(admin)
    wrong = await signed_in(panel, user["username"], "not the password", 401)
    unknown = await signed_in(panel, "nobody-of-that-name", "not the password", 401)
    del wrong["request_id"], unknown["request_id"]
    assert wrong == unknown


async def test_after_ten_failures_a_name_waits_and_other_names_do_not(own_panel: PanelUnderTest) -> None:
    user, other = await account(own_panel.admin), await account(own_panel.admin)
    attempts = [signed_in(own_panel, user["username"], "wrong", 401) for _ in range(10)]
    await asyncio.gather(*attempts)
    assert (await signed_in(own_panel, user["username"], PASSWORD, 429))["code"] == "TOO_MANY_ATTEMPTS"
    await signed_in(own_panel, other["username"])
    own_panel.clock.ahead_s += 61
    await signed_in(own_panel, user["username"])


async def test_a_new_password_ends_the_tokens_of_the_old_one(panel: PanelUnderTest, admin: Person) -> None:
    user = await account(admin)
    token = (await signed_in(panel, user["username"]))["access_token"]
    await admin.patch(f"/api/users/{user['id']}", {"password": "another good password"})
    async with panel.client(token) as api:
        assert (await api.get("/api/auth/me")).status_code == 401
    await signed_in(panel, user["username"], PASSWORD, 401)
    await signed_in(panel, user["username"], "another good password")


async def test_tokens_of_deleted_users_other_keys_and_other_uses_are_worth_nothing(
    panel: PanelUnderTest, admin: Person
) -> None:
    user = await account(admin)
    good = (await signed_in(panel, user["username"]))["access_token"]
    key = panel.config.signing_key()
    claims = jwt.decode(good, key, algorithms=["HS256"], audience="ctrl-alt-play:api")
    bad = [
        jwt.encode(claims, "x" * 48, algorithm="HS256"),
        jwt.encode({**claims, "aud": "ctrl-alt-play:streams"}, key, algorithm="HS256"),
        jwt.encode({name: claims[name] for name in claims if name != "aud"}, key, algorithm="HS256"),
        jwt.encode({name: claims[name] for name in claims if name != "exp"}, key, algorithm="HS256"),
        jwt.encode({**claims, "exp": 1}, key, algorithm="HS256"),
        jwt.encode({**claims, "ver": 7}, key, algorithm="HS256"),
        jwt.encode(claims, None, algorithm="none"),
        "nonsense",
    ]
    await admin.delete(f"/api/users/{user['id']}")
    for token in [good, *bad]:
        async with panel.client(token) as api:
            refused = await api.get("/api/auth/me")
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"] == "Bearer"


async def test_names_are_single_whatever_their_case(panel: PanelUnderTest, admin: Person) -> None:
    user = await account(admin)
    again = {"username": user["username"].upper(), "password": PASSWORD}
    assert (await admin.post("/api/users", again, 409))["code"] == "USERNAME_TAKEN"
    other = await account(admin)
    await admin.patch(f"/api/users/{other['id']}", {"username": user["username"]}, 409)


async def test_two_that_make_the_same_name_at_once_get_one_account(panel: PanelUnderTest, admin: Person) -> None:
    new = {"username": unique("twin"), "password": PASSWORD}
    answers = await asyncio.gather(*(admin.api.post("/api/users", json=new) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_the_last_administrator_stays(own_panel: PanelUnderTest) -> None:
    admin = own_panel.admin
    refused = await admin.delete(f"/api/users/{admin.id}", 409)
    assert refused["code"] == "LAST_ADMIN"
    assert (await admin.patch(f"/api/users/{admin.id}", {"is_admin": False}, 409))["code"] == "LAST_ADMIN"


async def test_administrators_that_demote_each_other_at_once_leave_one(own_panel: PanelUnderTest) -> None:
    other = await account(own_panel.admin, is_admin=True)
    demotions = [
        own_panel.admin.api.patch(f"/api/users/{user_id}", json={"is_admin": False})
        for user_id in (own_panel.admin.id, other["id"])
    ]
    answers = await asyncio.gather(*demotions)
    assert sorted(answer.status_code for answer in answers) in ([200, 403], [200, 409])


async def test_a_user_who_owns_servers_is_not_deleted(panel: PanelUnderTest, owner: Person) -> None:
    agent = await panel.connected(await panel.agent())
    await panel.server(agent, owner)
    problem = await panel.admin.delete(f"/api/users/{owner.id}", 409)
    assert problem["code"] == "USER_OWNS_SERVERS"


async def test_users_come_in_pages(own_panel: PanelUnderTest) -> None:
    made = {(await account(own_panel.admin))["username"] for _ in range(5)}
    found: list[str] = []
    page = await own_panel.admin.get("/api/users", limit=2)
    found += [user["username"] for user in page["items"]]
    while page["next_cursor"]:
        page = await own_panel.admin.get("/api/users", limit=2, cursor=page["next_cursor"])
        found += [user["username"] for user in page["items"]]
    assert found == sorted({*made, "admin"})


async def test_all_fields_that_are_wrong_are_named(admin: Person) -> None:
    problem = await admin.post("/api/users", {"username": "no spaces", "password": "short", "extra": 1}, 422)
    assert {wrong["field"] for wrong in problem["fields"]} == {"username", "password", "extra"}
