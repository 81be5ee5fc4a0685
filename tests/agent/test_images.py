"""The images of a node: what is listed, pulled, removed and pruned, and what never is."""

import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.agent.stations import Station, created, welcomed
from tests.fakes.engine import Game
from tests.fakes.household import SPECIFICATION, Household, household
from tests.fakes.until import until

from ctrl_alt_play.agent import images as agent_images
from ctrl_alt_play.agent.engine.base import Login
from ctrl_alt_play.agent.images import Images
from ctrl_alt_play.agent.pulled import Pulled
from ctrl_alt_play.agent.registries import Registries
from ctrl_alt_play.clock import SystemClock
from ctrl_alt_play.protocol.contents import Action
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.images import ImagePull, NodeImage, PullState, RegistryLogin, RegistryLogins, registry_of
from ctrl_alt_play.protocol.specification import Installer

OURS = RegistryLogin(host="registry.example.org", username="games", password="a-very-secret-word")


def files_with(folder: Path, text: str) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]


class Shelf:
    """The images of a household, and what is told of pulls."""

    def __init__(self, home: Household, folder: Path) -> None:
        home.engine.games["setup"] = Game(says=(), says_last=(), ends_at_once_with=0)
        self.home = home
        self.folder = folder
        self.told: list[ImagePull] = []
        self.begin()

    def begin(self) -> None:
        """As an agent that begins again does."""
        self.registries = Registries(self.folder / "registries.json")
        self.pulled = Pulled(self.folder / "pulled.json")
        engine = self.home.engine
        engine.login_for, engine.on_pulled = self.registries.login_for, self.pulled.note
        clock = SystemClock()
        self.images = Images(engine, self.home.fleet, self.registries, self.pulled, clock, self.told.append)

    async def ended(self, image: str) -> ImagePull:
        self.told.clear()
        self.images.pull(image)
        return await until(lambda: next((each for each in self.told if each.state is not PullState.PULLING), None))

    async def by_name(self, name: str) -> NodeImage:
        (found,) = [each for each in (await self.images.list()).images if name in each.names]
        return found

    async def ids(self) -> set[str]:
        return {each.id for each in (await self.images.list()).images}


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    async with household(tmp_path) as home:
        made = Shelf(home, tmp_path)
        yield made
        await made.images.close()


# Listed


async def test_an_image_tells_which_servers_use_it_also_one_that_has_no_container(shelf: Shelf) -> None:
    home = shelf.home
    home.engine.images |= {"other", "setup"}
    await home.running()
    installer = Installer(image="setup", script="true")
    await home.do(Action.CREATE_SERVER, "two", SPECIFICATION.model_copy(update={"installer": installer}))
    await home.engine.remove("two")
    home.engine.strangers["website"] = "id-of-other"
    assert (await shelf.by_name("game")).servers == ("one", "two")
    assert (await shelf.by_name("setup")).servers == ("two",)
    other = await shelf.by_name("other")
    assert (other.servers, other.others, other.is_pulled) == ((), ("website",), False)


async def test_only_the_largest_are_listed_and_how_many_are_not(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_images, "MOST_IMAGES", 2)
    shelf.home.engine.images |= {"a", "b"}
    found = await shelf.images.list()
    assert (len(found.images), found.more) == (2, 1)


# Pulled


async def test_the_newest_is_pulled_with_progress_and_used_from_the_next_start_on(shelf: Shelf) -> None:
    home = shelf.home
    await home.running()
    home.engine.registry["game"] = "new-game"
    home.engine.pulls["game"] = [("download", 40.0), ("unpack", None)]
    ended = await shelf.ended("game")
    assert [(each.phase, each.percent) for each in shelf.told[1:3]] == [("download", 40.0), ("unpack", None)]
    assert shelf.told[1].message
    assert (ended.state, ended.message) == (PullState.DONE, "It was pulled. Servers use it from their next start on.")
    assert home.engine.boxes["one"].image_id == "id-of-game"
    await home.do(Action.STOP_SERVER)
    await home.do(Action.START_SERVER)
    assert home.engine.boxes["one"].image_id == "new-game"
    assert (await shelf.ended("game")).message == "It was the newest already."


async def test_where_a_pull_fails_the_image_that_is_here_stays_and_that_is_said(shelf: Shelf) -> None:
    ended = await shelf.ended("game")
    assert ended.state is PullState.FAILED
    assert ended.message.endswith("could not be pulled. The one that is on this node stays, and is used.")
    await shelf.home.running()
    missing = await shelf.ended("missing")
    assert missing.message == "The image missing is not on this node and could not be pulled."


async def test_a_pull_that_is_under_way_is_not_begun_twice_and_too_many_are_refused(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_images, "MOST_PULLS", 1)
    async with shelf.home.engine.holding("pull_image") as hold:
        shelf.images.pull("game")
        await hold.arrived.wait()
        assert shelf.images.pull("game").state is PullState.PULLING
        with pytest.raises(Fault) as refused:
            shelf.images.pull("other")
        assert refused.value.code is ErrorCode.INSUFFICIENT_RESOURCES
    await until(lambda: shelf.told[-1].state is PullState.FAILED)
    assert len(shelf.told) == 2


# Removed


async def test_an_image_that_somebody_uses_is_not_removed_but_told_by_whom(shelf: Shelf) -> None:
    home = shelf.home
    await home.running()
    home.engine.images |= {"other", "mine"}
    home.engine.strangers["website"] = "id-of-other"
    assert (await shelf.images.remove("game")).servers == ("one",)
    assert (await shelf.images.remove("id-of-other")).others == ("website",)
    assert (await shelf.images.remove("id-of-mine")).servers == ()
    assert await shelf.ids() == {"id-of-game", "id-of-other"}
    with pytest.raises(Fault) as refused:
        await shelf.images.remove("mine")
    assert refused.value.code is ErrorCode.IMAGE_NOT_FOUND


# Pruned


async def test_pruning_takes_what_this_agent_pulled_and_nobody_uses(shelf: Shelf) -> None:
    """What servers used before a newer one came, and what was pulled and is not needed; not what somebody else brought."""
    home = shelf.home
    home.engine.images.clear()
    home.engine.registry |= {"game": "old-game", "spare": "a-spare", "setup": "a-setup"}
    for name in home.engine.registry:
        await shelf.ended(name)
    await home.running(
        specification=SPECIFICATION.model_copy(update={"installer": Installer(image="setup", script="true")})
    )
    home.engine.registry["game"] = "new-game"
    await shelf.ended("game")
    home.engine.images.add("by hand")
    home.engine.untagged.add("somebody's build")
    shelf.begin()
    pruned = await shelf.images.prune(everything=False)
    assert (pruned.removed, pruned.freed, pruned.more) == (1, 10 * 2**20, False)
    await home.do(Action.STOP_SERVER)
    await home.do(Action.START_SERVER)
    assert (await shelf.images.prune(everything=False)).removed == 1
    assert await shelf.ids() == {"new-game", "a-setup", "id-of-by hand", "somebody's build"}
    assert json.loads((shelf.folder / "pulled.json").read_text()) == ["a-setup", "new-game"]


async def test_pruning_everything_takes_what_nobody_uses_whoever_brought_it(shelf: Shelf) -> None:
    home = shelf.home
    await home.running()
    home.engine.images |= {"by hand", "website"}
    home.engine.untagged.add("a build")
    home.engine.strangers["website"] = "id-of-website"
    assert (await shelf.images.prune(everything=True)).removed == 2
    assert await shelf.ids() == {"id-of-game", "id-of-website"}


async def test_a_prune_whose_time_is_up_says_that_there_is_more(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.home.engine.images |= {"a", "b"}
    monkeypatch.setattr(agent_images, "PRUNE_S", 0.0)
    assert (await shelf.images.prune(everything=True)).more
    assert len(await shelf.ids()) == 3


async def test_an_engine_that_cannot_say_what_it_holds_has_freed_nobody_knows_how_much(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_images, "MEASURE_S", 0.01)
    async with shelf.home.engine.holding("image_bytes"):
        assert (await shelf.images.prune(everything=True)).freed is None


# Registries


@pytest.mark.parametrize(
    ("image", "host"),
    [
        ("quake", "docker.io"),
        ("games/quake:1", "docker.io"),
        ("docker.io/games/quake", "docker.io"),
        ("index.docker.io/games/quake", "docker.io"),
        ("registry.example.org/quake", "registry.example.org"),
        ("registry:5000/quake:1", "registry:5000"),
        ("localhost/quake", "localhost"),
        ("[::1]:5000/quake@sha256:" + "0" * 64, "[::1]:5000"),
        ("quake:1.2", "docker.io"),
    ],
)
def test_a_registry_is_what_docker_takes_for_one(image: str, host: str) -> None:
    assert registry_of(image) == host


async def test_each_pull_is_made_as_whom_its_registry_knows_also_after_a_restart(shelf: Shelf) -> None:
    hub = RegistryLogin(host="index.docker.io", username="hub", password="another-secret")
    await shelf.registries.keep(RegistryLogins(registries=(OURS, hub)))
    shelf.begin()
    for image in ("registry.example.org/quake:1", "quake", "elsewhere.example.org/quake"):
        with pytest.raises(Fault):
            await shelf.home.engine.ensure_image(image)
    assert [login for _, login in shelf.home.engine.logins] == [
        Login("games", "a-very-secret-word"),
        Login("hub", "another-secret"),
        None,
    ]
    await shelf.registries.keep(RegistryLogins())
    assert shelf.registries.login_for("quake") is None
    assert "secret" not in (shelf.folder / "registries.json").read_text()


async def test_the_file_is_for_nobody_else_and_one_that_is_broken_is_as_none(shelf: Shelf) -> None:
    await shelf.registries.keep(RegistryLogins(registries=(OURS,)))
    file = shelf.folder / "registries.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for broken in ("{", '{"registries": 7}', "[]"):
        file.write_text(broken)
        shelf.begin()
        assert shelf.registries.login_for("registry.example.org/quake") is None


def test_a_password_is_not_in_what_is_printed_of_a_login() -> None:
    assert "secret" not in f"{OURS!r}{OURS}{RegistryLogins(registries=(OURS,))!r}{Login('a', 'secret')!r}"


async def test_a_panel_of_part_2_tells_registries_and_no_other_does(
    station: Station, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told = {"registries": [{"host": OURS.host, "username": OURS.username, "password": OURS.password}]}
    stranger = await station.panel.agent()
    assert (await stranger.command("k0", "keep_registries", **told))["error"]["code"] == "UNKNOWN_ACTION"
    assert not (tmp_path / "registries.json").exists()
    await stranger.close()
    agent = await welcomed(station)
    answer = await agent.command("k1", "keep_registries", **told)
    assert (answer["success"], answer["data"]) == (True, {})
    assert station.home.engine.login_for is not None
    assert station.home.engine.login_for("registry.example.org/quake") == Login(OURS.username, OURS.password)
    await created(agent)
    assert OURS.password not in str(agent.heard)
    assert OURS.password not in "".join(capfd.readouterr())
    assert not [file.name for file in files_with(tmp_path, OURS.password) if file.name != "registries.json"]


async def test_pulls_are_told_to_the_panel_and_again_to_one_that_comes_back(station: Station) -> None:
    agent = await welcomed(station)
    station.home.engine.registry["game"] = "new-game"
    answer = await agent.command("p1", "pull_image", image="game")
    assert answer["data"]["state"] == "pulling"
    await agent.expect(type="event", event="image_pull", data={"image": "game", "state": "done"})
    await agent.close()
    agent = await welcomed(station)
    await agent.expect(type="event", event="image_pull", data={"image": "game", "state": "done"})
    listed = await agent.command("l1", "list_images")
    assert [(image["id"], image["isPulled"]) for image in listed["data"]["images"]] == [
        ("id-of-game", False),
        ("new-game", True),
    ]
