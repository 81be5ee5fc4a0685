"""What is there after a first start, and after a second."""

from datetime import timedelta
from pathlib import Path

from tests.foreign.agent import ForeignAgent
from tests.panel.support import PanelUnderTest, make_config

from ctrl_alt_play.panel.bootstrap import bootstrap


async def test_the_owners_password_is_told_once(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    first = await bootstrap(config, "local", "This machine")
    again = await bootstrap(config, "local", "This machine")
    assert first.owner_username == again.owner_username == "admin"
    assert len(first.owner_password or "") >= 20
    assert again.owner_password is None


async def test_a_node_keeps_the_secret_that_the_caller_knows_and_else_gets_a_new_one(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    first = await bootstrap(config, "local", "This machine")
    known = await bootstrap(config, "local", "This machine", first.node_secret)
    lost = await bootstrap(config, "local", "This machine")
    wrong = await bootstrap(config, "local", "This machine", "not the secret")
    assert known.node_secret == first.node_secret
    assert len({first.node_secret, lost.node_secret, wrong.node_secret}) == 3


async def test_what_it_gives_opens_the_panel(own_panel: PanelUnderTest) -> None:
    made = await bootstrap(own_panel.config, "second", "Another", token_lifetime=timedelta(minutes=5))
    async with own_panel.client(made.access_token) as api:
        assert (await api.get("/api/auth/me")).json()["is_admin"] is True
    await own_panel.connected(ForeignAgent(own_panel.agents_url, "second", made.node_secret))
    password = own_panel.bootstrapped.owner_password
    visitor = await own_panel.visitor()
    await visitor.post("/api/auth/login", {"username": "admin", "password": password}, 200)


async def test_its_token_lasts_as_long_as_was_asked(own_panel: PanelUnderTest) -> None:
    made = await bootstrap(own_panel.config, "first", "The first node", token_lifetime=timedelta(seconds=-1))
    async with own_panel.client(made.access_token) as api:
        assert (await api.get("/api/auth/me")).status_code == 401


async def test_printing_it_tells_no_secret(tmp_path: Path) -> None:
    made = await bootstrap(make_config(tmp_path), "local", "This machine")
    shown = repr(made)
    assert not any(secret in shown for secret in (made.owner_password or "", made.node_secret, made.access_token))
