"""The Grafana dashboard speaks of metrics that there are, and is shaped as Grafana wants it."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from ctrl_alt_play.agent.metrics import Metrics
from ctrl_alt_play.panel.config import load
from ctrl_alt_play.panel.main import create_app
from ctrl_alt_play.protocol.live import DiskFigures, NodeFigures

DASHBOARD = Path(__file__).parents[1] / "deploy/grafana/ctrl-alt-play.json"
_NAME = re.compile(r"\b(?:ctrl_alt_play|process)_[a-z0-9_]+")
_ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
_MEASURED_BY_AGENTS = ("ctrl_alt_play_server_", "ctrl_alt_play_node_")


def _names(families: Iterator[Metric]) -> set[str]:
    return {family.name + ending for family in families for ending in _ENDINGS.get(family.type, ("",))}


def _exported(registry: CollectorRegistry) -> set[str]:
    return _names(iter(registry.collect()))


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


@pytest.fixture
def panel_names(tmp_path: Path) -> set[str]:
    state = create_app(load(data=tmp_path)).state
    state.known.look({})
    return _exported(state.counted.registry)


def _used(dashboard: dict[str, Any]) -> set[str]:
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    variables = [str(variable["query"]) for variable in dashboard["templating"]["list"]]
    return set(_NAME.findall(" ".join(expressions + variables)))


def test_every_metric_of_the_programs_in_the_dashboard_is_exported(
    dashboard: dict[str, Any], panel_names: set[str]
) -> None:
    used = {name for name in _used(dashboard) if not name.startswith(_MEASURED_BY_AGENTS)}
    assert len(used) > 20
    assert used - panel_names - _exported(Metrics().registry) == set()


def test_every_metric_of_what_agents_measure_in_the_dashboard_is_exported(dashboard: dict[str, Any]) -> None:
    exposition = pytest.importorskip("ctrl_alt_play.agent.figures.exposition")
    disks = (DiskFigures(path="/", used=1, total=2),)
    node = NodeFigures(cores=1, memory=1, memory_total=2, load=(1, 1, 1), disks=disks, docker_disk=1, rx=1, tx=1)
    sampler = SimpleNamespace(subjects=list, players=dict, node=node, node_cpu_s=1.0)
    used = {name for name in _used(dashboard) if name.startswith(_MEASURED_BY_AGENTS)}
    assert len(used) > 10
    assert used - _names(exposition.Exposition(sampler).collect()) == set()


def test_panels_have_numbers_of_their_own_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    for one, other in itertools.combinations(places, 2):
        is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        is_below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert is_beside or is_below, (one, other)
    assert all(place["x"] + place["w"] <= 24 for place in places)
