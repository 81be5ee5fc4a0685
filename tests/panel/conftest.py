"""A real panel on free ports, people who use it, and agents that dial it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from tests.panel.support import PanelUnderTest, Person, make_config

HERE = Path(__file__).parent


structlog.configure([structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One loop for all tests here, so that they can share one panel."""
    for item in items:
        if HERE in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(autouse=True, scope="session")
def _plain_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PORT", "WEBSOCKET_PORT", "HOST", "PUBLIC_URL", "DATABASE_URL", "JWT_SECRET", "AGENT_SECRET"):
            patch.delenv(name, raising=False)
        for name in ("CTRL_ALT_PLAY_DATA", "CTRL_ALT_PLAY_PANEL_CONFIG"):
            patch.delenv(name, raising=False)
        yield


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_panel(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PanelUnderTest]:
    async with PanelUnderTest(make_config(tmp_path_factory.mktemp("panel"))) as panel:
        yield panel


@pytest_asyncio.fixture(loop_scope="session")
async def panel(shared_panel: PanelUnderTest) -> AsyncIterator[PanelUnderTest]:
    """Shared: each test makes nodes and servers of its own, whose agents go when it ends."""
    yield shared_panel
    await shared_panel.dismiss_agents()


@pytest.fixture
def admin(panel: PanelUnderTest) -> Person:
    return panel.admin


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def owner(shared_panel: PanelUnderTest) -> Person:
    return await shared_panel.person("olga")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stranger(shared_panel: PanelUnderTest) -> Person:
    return await shared_panel.person("steve")


@pytest_asyncio.fixture(loop_scope="session")
async def own_panel(tmp_path: Path) -> AsyncIterator[PanelUnderTest]:
    """Not shared: for tests that stop it, hold its clock, or fill its tables."""
    async with PanelUnderTest(make_config(tmp_path)) as panel:
        yield panel
