"""Pulls from a real registry that wants a password."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.integration.engine.bench import fault_of
from tests.integration.installation import docker
from tests.integration.registry import PASSWORD, USERNAME, Registry, archive, registry

from ctrl_alt_play.agent.engine.base import Login
from ctrl_alt_play.agent.engine.docker import DockerEngine
from ctrl_alt_play.protocol.errors import ErrorCode

pytestmark = pytest.mark.docker


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Registry]:
    with registry(tmp_path) as made:
        yield made


class Puller:
    """An engine, as whom it asks registries, and which images it says that it pulled."""

    def __init__(self) -> None:
        self.login: Login | None = Login(USERNAME, PASSWORD)
        self.asked: list[str] = []
        self.pulled: list[str] = []
        self.engine = DockerEngine(None, self._login_for, self._note)

    def _login_for(self, image: str) -> Login | None:
        self.asked.append(image)
        return self.login

    async def _note(self, image_id: str) -> None:
        self.pulled.append(image_id)


@pytest.fixture
async def puller() -> AsyncIterator[Puller]:
    made = Puller()
    yield made
    await made.engine.close()


async def test_an_image_is_pulled_with_a_password_and_told_in_bytes_and_only_when_it_is_missing(
    store: Registry, puller: Puller, tmp_path: Path
) -> None:
    image = store.push("game:1", archive(tmp_path, os.urandom(3 * 2**20)))
    told: list[tuple[str, float | None, str]] = []
    await puller.engine.ensure_image(image, lambda *step: told.append(step))
    id_ = await puller.engine.image_id(image)
    assert puller.pulled == [id_]
    assert puller.asked == [image]
    assert [step for step in told if step[0] == "unpack"][-1][1:] == (100.0, "Unpacking the image: 3 MiB of 3 MiB.")
    store.stop()
    await puller.engine.ensure_image(image)
    assert puller.asked == [image]


async def test_the_newest_replaces_what_the_name_meant_and_the_old_one_can_be_removed(
    store: Registry, puller: Puller, tmp_path: Path
) -> None:
    image = store.push("game:1", archive(tmp_path, b"old"))
    old = await puller.engine.pull_image(image)
    assert await puller.engine.pull_image(image) == old
    store.push("game:1", archive(tmp_path, b"new"))
    new = await puller.engine.pull_image(image)
    assert new != old
    listed = {each.id: each for each in await puller.engine.list_images()}
    assert listed[new].names == (image,)
    assert [name.partition("@")[0] for name in listed[old].names] in ([], [image.rpartition(":")[0]])
    await puller.engine.remove_image(listed[old])
    await puller.engine.remove_image(listed[old])
    left = [each.id for each in await puller.engine.list_images()]
    assert (old in left, new in left) == (False, True)


async def test_an_image_is_pulled_by_its_digest(store: Registry, puller: Puller, tmp_path: Path) -> None:
    image = store.push("game:1", archive(tmp_path, b"pinned"))
    id_ = await puller.engine.pull_image(image)
    (digest,) = docker("image", "inspect", "--format", '{{join .RepoDigests " "}}', image).split()
    docker("image", "rm", image)
    await puller.engine.ensure_image(digest)
    assert await puller.engine.image_id(digest) == id_
    (listed,) = [each for each in await puller.engine.list_images() if each.id == id_]
    assert listed.names == (digest,)
    await puller.engine.remove_image(listed)
    assert await puller.engine.image_id(digest) is None


async def test_what_a_registry_has_not_or_gives_to_nobody_else_is_said_in_a_sentence(
    store: Registry, puller: Puller, tmp_path: Path
) -> None:
    image = store.push("game:1", archive(tmp_path, b"content"))
    missing = await fault_of(puller.engine.ensure_image(f"{store.host}/game:none"))
    assert missing.code is ErrorCode.IMAGE_NOT_FOUND
    assert "manifest unknown" in missing.message
    puller.login = Login(USERNAME, "a-wrong-password")
    wrong = await fault_of(puller.engine.ensure_image(image))
    assert wrong.code is ErrorCode.IMAGE_NOT_FOUND
    assert f"{store.host} refuses the user name or password that it was asked with" in wrong.message
    assert "a-wrong-password" not in f"{wrong.message}{wrong.details}"
    puller.login = None
    nobody = await fault_of(puller.engine.ensure_image(image))
    assert f"{store.host} wants a user name and password: add them under Registries" in nobody.message


async def test_a_registry_that_is_away_is_the_error_and_what_is_here_stays(
    store: Registry, puller: Puller, tmp_path: Path
) -> None:
    image = store.push("game:1", archive(tmp_path, b"content"))
    id_ = await puller.engine.pull_image(image)
    store.stop()
    away = await fault_of(puller.engine.pull_image(image))
    assert away.code is ErrorCode.IMAGE_NOT_FOUND
    assert "connection refused" in away.message
    assert await puller.engine.image_id(image) == id_
    await puller.engine.ensure_image(image)
    assert (await fault_of(puller.engine.ensure_image(f"{store.host}/other:1"))).code is ErrorCode.IMAGE_NOT_FOUND


async def test_a_password_is_nowhere_in_what_docker_tells_of_the_image_or_its_container(
    store: Registry, puller: Puller, tmp_path: Path
) -> None:
    image = store.push("game:1", archive(tmp_path, b"content"))
    await puller.engine.pull_image(image)
    container = docker("create", image, "none")
    try:
        assert PASSWORD not in docker("inspect", image, container)
        assert PASSWORD not in docker("history", "--no-trunc", image)
    finally:
        docker("rm", container)
