"""Logins of registries: taken and never given, sealed in the database, told to every node of part 2 and to no other."""

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text
from tests.fakes.part2_agent import Part2Agent
from tests.panel.support import PanelUnderTest, Person, make_config, until

from ctrl_alt_play.panel.registries import service
from ctrl_alt_play.panel.sealing import Seal, derived_key

PASSWORD = "a-very-secret-word"
NEW = {"host": "registry.example.org:5000", "username": "games", "password": PASSWORD}


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def _no_registries(admin: Person) -> AsyncIterator[None]:
    async def remove_all() -> None:
        for registry in (await admin.get("/api/registries"))["items"]:
            await admin.delete(f"/api/registries/{registry['id']}")

    await remove_all()
    yield
    await remove_all()


def told(agent: Part2Agent) -> list[Any]:
    """What it was told last."""
    commands = agent.commands("keep_registries")
    return [(one["host"], one["username"], one["password"]) for one in commands[-1]["payload"]["registries"]]


async def keeps(agent: Part2Agent, *registries: tuple[str, str, str]) -> None:
    await until(lambda: agent.commands("keep_registries") and told(agent) == list(registries))


# People


async def test_a_password_is_taken_and_never_given(
    panel: PanelUnderTest, admin: Person, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [added := await admin.post("/api/registries", NEW, 201)]
    path = f"/api/registries/{added['id']}"
    assert (added["host"], added["username"], added["is_usable"]) == (NEW["host"], "games", True)
    answers.append(await admin.patch(path, {"username": "others"}))
    answers.append(await admin.get("/api/registries"))
    assert [each["username"] for each in answers[-1]["items"]] == ["others"]
    answers.append(await admin.patch(path, {"password": f"{PASSWORD}\n"}, 422))
    answers.append(await admin.post("/api/registries", {**NEW, "host": "a b", "more": PASSWORD}, 422))
    answers.append(await admin.post("/api/registries", NEW, 409))
    async with panel.app.state.database.reading() as session:
        kept = (await session.execute(text("SELECT * FROM registries"))).all()
    assert PASSWORD not in f"{json.dumps(answers)}{kept}{caplog.text}"
    assert PASSWORD.encode() not in kept[0].sealed_password


@pytest.mark.parametrize(
    ("given", "host"),
    [
        (" Registry.Example.org ", "registry.example.org"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("localhost", "localhost"),
        ("registry:5000", "registry:5000"),
        ("[2001:db8::1]:5000", "[2001:db8::1]:5000"),
        ("games", None),
        ("a b.example.org", None),
        ("user@example.org", None),
        ("", None),
    ],
)
async def test_a_host_is_what_stands_before_the_first_slash(admin: Person, given: str, host: str | None) -> None:
    answer = await admin.post("/api/registries", {**NEW, "host": given}, 201 if host else 422)
    assert answer["host"] == host if host else answer["fields"][0]["field"] == "host"


async def test_what_is_not_there_is_told_as_such(admin: Person) -> None:
    await admin.patch("/api/registries/none", {"username": "a"}, 404)
    await admin.delete("/api/registries/none", 404)


# Nodes


async def test_nodes_are_told_at_their_coming_and_of_each_change_and_forget_what_is_removed(
    panel: PanelUnderTest, admin: Person
) -> None:
    first = await panel.connected(await panel.part2_agent())
    await keeps(first)
    added = await admin.post("/api/registries", NEW, 201)
    await keeps(first, (NEW["host"], "games", PASSWORD))
    second = await panel.connected(await panel.part2_agent())
    await keeps(second, (NEW["host"], "games", PASSWORD))
    await second.go()
    await panel.sees_node(second, online=False)
    await admin.patch(f"/api/registries/{added['id']}", {"password": "another-secret"})
    await keeps(first, (NEW["host"], "games", "another-secret"))
    await admin.delete(f"/api/registries/{added['id']}")
    await keeps(first)
    await panel.connected(second)
    await keeps(second)


async def test_a_node_that_did_not_take_it_in_is_told_again(
    panel: PanelUnderTest, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PAUSE_S", 0.05)
    agent = await panel.connected(await panel.part2_agent())
    await keeps(agent)
    agent.refusals["keep_registries"] = ("INTERNAL", "The disk is full.")
    before = len(agent.commands("keep_registries"))
    await admin.post("/api/registries", NEW, 201)
    await until(lambda: len(agent.commands("keep_registries")) > before + 1)
    del agent.refusals["keep_registries"]
    await keeps(agent, (NEW["host"], "games", PASSWORD))
    again = len(agent.commands("keep_registries"))
    await admin.post("/api/registries", {**NEW, "host": "docker.io"}, 201)
    await until(lambda: len(told(agent)) == 2)
    assert len(agent.commands("keep_registries")) == again + 1


async def test_a_node_that_does_not_answer_keeps_no_other_waiting(panel: PanelUnderTest, admin: Person) -> None:
    silent = await panel.connected(await panel.part2_agent(unanswered={"keep_registries"}))
    agent = await panel.connected(await panel.part2_agent())
    await keeps(agent)
    for host in ("one.example.org", "two.example.org"):
        await admin.post("/api/registries", {**NEW, "host": host}, 201)
        await until(lambda host=host: told(agent)[-1:] == [(host, "games", PASSWORD)])
    assert told(silent) == []


async def test_an_agent_of_part_1_is_told_nothing(panel: PanelUnderTest, admin: Person) -> None:
    await admin.post("/api/registries", NEW, 201)
    old, new = await panel.connected(await panel.agent()), await panel.connected(await panel.part2_agent())
    await keeps(new, (NEW["host"], "games", PASSWORD))
    await admin.post("/api/registries", {**NEW, "host": "docker.io"}, 201)
    await until(lambda: len(told(new)) == 2)
    assert PASSWORD not in str(old.received)


# The seal


def test_a_sealed_secret_opens_only_with_its_key_and_as_what_it_was_sealed() -> None:
    sealed = Seal("one key" * 9).close("secret", "registry.example.org")
    assert Seal("one key" * 9).open(sealed, "registry.example.org") == "secret"
    assert Seal("one key" * 9).open(sealed, "evil.example.org") is None
    assert Seal("another" * 9).open(sealed, "registry.example.org") is None
    assert Seal("one key" * 9).close("secret", "registry.example.org") != sealed


def test_a_key_is_derived_as_rfc_5869_has_it() -> None:
    """Its third test case, of which a key is the first 32 bytes."""
    expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    assert derived_key(b"\x0b" * 22, b"").hex() == expected


async def test_after_another_signing_key_a_password_has_to_be_given_again(tmp_path: Any) -> None:
    first = make_config(tmp_path, jwt_secret="a" * 40)
    async with PanelUnderTest(first) as panel:
        added = await panel.admin.post("/api/registries", NEW, 201)
    async with PanelUnderTest(make_config(tmp_path, jwt_secret="b" * 40)) as panel:
        (kept,) = (await panel.admin.get("/api/registries"))["items"]
        assert (kept["id"], kept["is_usable"]) == (added["id"], False)
        agent = await panel.connected(await panel.part2_agent())
        await keeps(agent)
        assert (await panel.admin.patch(f"/api/registries/{kept['id']}", {"password": "new-secret"}))["is_usable"]
        await keeps(agent, (NEW["host"], "games", "new-secret"))
