"""Configuration files are set up before each start, and a start that cannot do so says what to mend."""

import os
from pathlib import Path

import pytest
from tests.fakes.household import Household

from ctrl_alt_play.agent.engine.base import Plan
from ctrl_alt_play.agent.servers.configuring import configure
from ctrl_alt_play.protocol.contents import Action, ServerState
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import ConfigurationFile, Limits, Port, Replacement, Specification

PROPERTIES = ConfigurationFile(
    path="server.properties",
    parser="properties",
    replacements=(
        Replacement(match="server-port", value="{{server.allocations.default.port}}"),
        Replacement(match="motd", value="{{ server.environment.MOTD }}!"),
        Replacement(match="secret", value="{{server.environment.AGENT_SECRET}}{{config.token}}"),
    ),
)
DEEP = ConfigurationFile(
    path="/config/deep.yml",
    parser="yaml",
    replacements=(Replacement(match="a.b", value="{{config.docker.interface}}"),),
)
SPECIFICATION = Specification(
    image="game",
    environment={"MOTD": "Ann's {{server.build.memory_limit}}"},
    limits=Limits(memory=512 * 2**20),
    ports=(Port(internal=25565, external=30001),),
    configuration=(PROPERTIES, DEEP),
)


def set_up(folder: Path, specification: Specification = SPECIFICATION) -> None:
    configure(Plan("one", "node-1", specification, folder, os.getuid(), os.getgid()), "172.18.0.1")


def test_files_are_set_up_with_what_the_server_is_and_nothing_of_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_SECRET", "the node's own")
    (tmp_path / "server.properties").write_text("# mine\nserver-port=1\nmotd=x\nsecret=s\n")
    (tmp_path / "server.properties").chmod(0o600)
    set_up(tmp_path)
    # What a variable holds is text, also where it looks like a placeholder.
    expected = "# mine\nserver-port=25565\nmotd=Ann's {{server.build.memory_limit}}!\nsecret=\n"
    assert (tmp_path / "server.properties").read_text() == expected
    assert (tmp_path / "server.properties").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "config" / "deep.yml").read_text() == "a:\n  b: 172.18.0.1\n"


def test_a_file_that_is_as_it_should_be_is_not_touched(tmp_path: Path) -> None:
    set_up(tmp_path)
    before = (tmp_path / "server.properties").stat()
    set_up(tmp_path)
    assert (tmp_path / "server.properties").stat().st_ino == before.st_ino


@pytest.mark.parametrize(("path", "content"), [("config/deep.yml", "a: ["), ("config/deep.yml", "a: 5\n")])
def test_a_broken_file_is_named_and_stays_as_it_was(tmp_path: Path, path: str, content: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / path).write_text(content)
    with pytest.raises(Fault) as refused:
        set_up(tmp_path)
    assert refused.value.code is ErrorCode.CONFIG_INVALID
    assert refused.value.message.startswith("/config/deep.yml could not be set up: line ")
    assert (tmp_path / path).read_text() == content


def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "outside.yml").write_text("a: {b: 1}\n")
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "config").symlink_to(tmp_path)
    with pytest.raises(Fault, match="outside"):
        set_up(folder)
    with pytest.raises(Fault):
        set_up(
            folder,
            SPECIFICATION.model_copy(
                update={"configuration": (DEEP.model_copy(update={"path": "../outside.yml"}),)},
            ),
        )
    assert (tmp_path / "outside.yml").read_text() == "a: {b: 1}\n"


async def test_a_start_sets_them_up_and_fails_where_it_cannot(home: Household) -> None:
    await home.do(Action.CREATE_SERVER, payload=SPECIFICATION)
    folder = home.node.folder / "servers" / "one"
    (folder / "config").mkdir()
    (folder / "config" / "deep.yml").write_text("a: [")
    ended = await home.do(Action.START_SERVER)
    assert ended.fault is not None
    assert ended.fault.code is ErrorCode.CONFIG_INVALID
    (folder / "config" / "deep.yml").unlink()
    assert (await home.do(Action.START_SERVER)).state is ServerState.RUNNING
    assert "server-port=25565" in (folder / "server.properties").read_text()
