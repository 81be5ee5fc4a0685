"""Games are told the time zone of their node."""

from pathlib import Path

import pytest

from ctrl_alt_play.agent.servers import node


def test_the_machine_s_time_zone_is_known_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(node, "LOCAL_TIME", tmp_path / "localtime")
    assert node.machine_timezone() == "UTC"
    (tmp_path / "localtime").symlink_to("/usr/share/zoneinfo/Europe/Berlin")
    assert node.machine_timezone() == "Europe/Berlin"
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert node.machine_timezone() == "Asia/Tokyo"
