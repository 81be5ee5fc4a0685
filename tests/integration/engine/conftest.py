"""What the contract's tests share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.fakes.engine import FakeEngine
from tests.integration.agent.processes import Docker
from tests.integration.engine.bench import NODE, OPENARENA, Bench

from ctrl_alt_play.agent.engine.docker import DockerEngine


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> None:
    OPENARENA.build(tmp_path_factory.mktemp("games"), print)


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.docker)])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "fake":
        fake = FakeEngine()
        fake.images.add(OPENARENA.image)
        yield Bench(fake, tmp_path)
        await fake.close()
        return
    request.getfixturevalue("image")
    engine = DockerEngine()
    docker = Docker()
    try:
        yield Bench(engine, tmp_path, docker)
    finally:
        await engine.close()
        docker.remove_all(NODE)


@pytest.fixture
def real(bench: Bench) -> Docker:
    if bench.docker is None:
        pytest.skip("a fake has no kernel")
    return bench.docker
