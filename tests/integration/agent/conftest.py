"""What the tests of the whole agent share: a panel that is not ours, and an agent that is a process."""

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from tests.foreign.panel import Agent, ForeignPanel
from tests.integration.agent.processes import OPENARENA, AgentProcess, Docker


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Docker:
    OPENARENA.build(tmp_path_factory.mktemp("games"), print)
    return Docker()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def panel() -> AsyncIterator[ForeignPanel]:
    async with ForeignPanel() as panel:
        yield panel


@pytest.fixture(scope="module")
def process(docker: Docker, panel: ForeignPanel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentProcess]:
    """One agent for a module's tests; its containers go with it."""
    process = AgentProcess(tmp_path_factory.mktemp("agent"), panel.url, f"test-{secrets.token_hex(4)}")
    process.start()
    try:
        yield process
    finally:
        process.close()
        docker.remove_all(process.node_id)


@pytest_asyncio.fixture(loop_scope="module")
async def agent(panel: ForeignPanel, process: AgentProcess) -> Agent:
    """The connection of the agent that runs."""
    return await panel.agent()


def unique(name: str) -> str:
    """A name for a server or a command that no other test has."""
    return f"{name}-{secrets.token_hex(3)}"
