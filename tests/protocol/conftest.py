"""Sessions with a clock that is held."""

import pytest
from tests.fakes.clock import HeldClock

from ctrl_alt_play.protocol.agent_session import AgentSession, Answers
from ctrl_alt_play.protocol.panel_session import PanelSession


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def agent(clock: HeldClock) -> AgentSession:
    return AgentSession("node-1", clock, Answers())


@pytest.fixture
def panel(clock: HeldClock) -> PanelSession:
    return PanelSession("node-1", clock)
