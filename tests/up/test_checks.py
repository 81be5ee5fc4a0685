"""What `up` finds before it starts anything, and the sentences it says."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctrl_alt_play.panel.config import load
from ctrl_alt_play.up.checks import check_port, free_port, own_data
from ctrl_alt_play.up.main import from_elsewhere
from ctrl_alt_play.up.say import Trouble


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_taken_port_is_named_with_its_holder_and_the_setting_that_changes_it(taken_port: int) -> None:
    with pytest.raises(Trouble) as trouble:
        check_port(taken_port, "PORT", "the web page")
    assert f"Port {taken_port}" in str(trouble.value)
    assert f"process {os.getpid()}" in str(trouble.value)
    assert "PORT=" in str(trouble.value)


def test_a_free_port_passes(taken_port: int) -> None:
    check_port(free_port(taken_port), "PORT", "the web page")
    assert free_port(taken_port) != taken_port


def test_a_second_run_on_the_same_data_is_refused(tmp_path: Path) -> None:
    lock = own_data(tmp_path)
    with pytest.raises(Trouble, match="runs already"):
        own_data(tmp_path)
    os.close(lock)
    os.close(own_data(tmp_path))


def test_a_full_disk_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="is full"):
        own_data(tmp_path, least_free_bytes=2**62)


def test_a_folder_that_cannot_be_made_is_said_with_the_setting_that_changes_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Trouble, match="CTRL_ALT_PLAY_DATA"):
        own_data(tmp_path / "file" / "data")


def test_no_other_machine_is_sent_to_a_panel_that_listens_to_this_one_alone(tmp_path: Path) -> None:
    assert "HOST is 127.0.0.1" in from_elsewhere(load(data=tmp_path, host="127.0.0.1"))
    assert "from other machines: http://" in from_elsewhere(load(data=tmp_path, host="0.0.0.0"))
