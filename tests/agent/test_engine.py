"""Docker's documents and streams as the seam's words: what needs no Docker to be known."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from hypothesis import given
from hypothesis import strategies as st

from ctrl_alt_play.agent.engine.base import Chunk, ContainerState, Plan
from ctrl_alt_play.agent.engine.container import (
    LABEL_FINGERPRINT,
    LABEL_SPECIFICATION,
    MOST_LABEL_BYTES,
    container_body,
    fingerprint,
)
from ctrl_alt_play.agent.engine.docker import DockerEngine
from ctrl_alt_play.agent.engine.documents import container_of
from ctrl_alt_play.agent.engine.environment import environment
from ctrl_alt_play.agent.engine.faults import fault_of
from ctrl_alt_play.agent.engine.pull import Pull
from ctrl_alt_play.agent.engine.streams import frames, lines
from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.specification import (
    CrashPolicy,
    Hold,
    Launch,
    Limits,
    Port,
    Probe,
    Readiness,
    Specification,
    StopRule,
)

SPECIFICATION = Specification(
    image="game", startup="run", environment={"A": "1", "B": "2"}, ports=(Port(internal=1, external=1),)
)
PLAN = Plan("quake", "node", SPECIFICATION, Path("/data/quake"), 20000, 20000)


def other(**changes: Any) -> Plan:
    return replace(PLAN, specification=SPECIFICATION.model_copy(update=changes))


# Fingerprints


@pytest.mark.parametrize(
    "plan",
    [
        other(revision=7),
        other(hold=Hold.SUSPENDED),
        other(stop=StopRule(command="quit")),
        other(readiness=Readiness(text=("Done",), probe=Probe())),
        other(crash=CrashPolicy(limit=1)),
        other(environment={"B": "2", "A": "1"}),
    ],
)
def test_what_the_agent_alone_goes_by_makes_no_other_container(plan: Plan) -> None:
    assert fingerprint(plan) == fingerprint(PLAN)


@pytest.mark.parametrize(
    "plan",
    [
        other(image="another"),
        other(startup="walk"),
        other(startup=""),
        other(environment={"A": "1", "B": "3"}),
        other(environment={"A": "1"}),
        other(limits=Limits(memory=2**30)),
        other(ports=()),
        other(ports=(Port(internal=1, external=2),)),
        replace(PLAN, uid=20001),
        replace(PLAN, folder=Path("/data/other")),
    ],
)
def test_what_makes_another_container_has_another_fingerprint(plan: Plan) -> None:
    assert fingerprint(plan) != fingerprint(PLAN)


def test_labels_tell_the_fingerprint_and_the_specification() -> None:
    labels = container_body(PLAN)["Labels"]
    assert labels[LABEL_FINGERPRINT] == fingerprint(PLAN)
    assert json.loads(labels[LABEL_SPECIFICATION])["environment"] == {"A": "1", "B": "2"}


def test_a_specification_that_is_too_long_for_a_label_is_left_out() -> None:
    assert LABEL_SPECIFICATION not in container_body(other(environment={"A": "x" * MOST_LABEL_BYTES}))["Labels"]


# What a game finds


def test_what_the_field_s_games_expect_is_in_the_environment_and_no_variable_replaces_it() -> None:
    variables = {
        "SERVER_PORT": "7",
        "SERVER_MEMORY": "8",
        "SERVER_IP": "9",
        "STARTUP": "x",
        "P_SERVER_UUID": "y",
        "B": "{{A}}",
    }
    plan = other(environment=variables, limits=Limits(memory=512 * 2**20), startup="./run {{ server.build.memory }}")
    assert environment(replace(plan, timezone="Europe/Berlin")) == {
        "B": "{{A}}",
        "HOME": "/home/container",
        "TZ": "Europe/Berlin",
        "P_SERVER_ALLOCATION_LIMIT": "0",
        "P_SERVER_LOCATION": "node",
        "P_SERVER_UUID": "quake",
        "SERVER_IP": "0.0.0.0",
        "SERVER_MEMORY": "512",
        "SERVER_PORT": "1",
        "STARTUP": "./run {{SERVER_MEMORY}}",
    }


def test_a_home_and_a_time_zone_of_its_own_stay_and_without_ports_none_is_told() -> None:
    found = environment(other(environment={"HOME": "/h", "TZ": "UTC"}, ports=()))
    assert (found["HOME"], found["TZ"]) == ("/h", "UTC")
    assert "SERVER_PORT" not in found


def test_the_node_fills_in_the_command_unless_the_image_does() -> None:
    plan = other(startup="./run -p {{SERVER_PORT}} '{{A}}'")
    assert container_body(plan)["Cmd"] == ["./run", "-p", "1", "1"]
    of_image = other(startup="./run -p {{SERVER_PORT}}", launch=Launch.IMAGE)
    assert "Cmd" not in container_body(of_image)
    assert "STARTUP=./run -p {{SERVER_PORT}}" in container_body(of_image)["Env"]


def test_a_command_that_cannot_be_read_is_said() -> None:
    with pytest.raises(Fault, match="quotation") as refused:
        container_body(other(startup="./run 'x"))
    assert refused.value.code is ErrorCode.CONFIG_INVALID
    with pytest.raises(Fault, match="stands for nothing"):
        container_body(other(startup="./run {{config.token}}"))


# Containers


def inspected(status: str = "running", **label: str) -> dict[str, Any]:
    body = container_body(PLAN)
    return {
        "Id": "c1",
        "Image": "sha256:1",
        "State": {
            "Status": status,
            "Pid": 12 if status == "running" else 0,
            "ExitCode": 3,
            "OOMKilled": False,
            "Error": "",
            "StartedAt": "2026-11-21T09:00:00.123456789Z",
            "FinishedAt": "2026-11-21T09:05:00.5Z",
        },
        "Config": {"Image": "game", "User": body["User"], "Labels": body["Labels"] | label},
        "NetworkSettings": {"Networks": {"ctrl-alt-play": {"IPAddress": "172.18.0.2" if status == "running" else ""}}},
    }


def test_a_running_container_is_read() -> None:
    found = container_of(inspected(), "ctrl-alt-play")
    assert (found.state, found.pid, found.exit_code, found.finished_at) == (ContainerState.RUNNING, 12, None, None)
    assert (found.address, found.uid, found.image, found.image_id) == ("172.18.0.2", 20000, "game", "sha256:1")
    assert (found.fingerprint, found.specification) == (fingerprint(PLAN), SPECIFICATION)
    assert container_of(inspected(), "another network").address is None


def test_an_exited_container_is_read() -> None:
    found = container_of(inspected("exited"), "ctrl-alt-play")
    assert (found.state, found.exit_code, found.started_at, found.address) == (ContainerState.EXITED, 3, None, None)
    assert found.finished_at is not None
    assert found.finished_at.isoformat() == "2026-11-21T09:05:00.500000+00:00"


def test_a_container_that_never_ran_has_never_finished() -> None:
    document = inspected("dead")
    document["State"]["FinishedAt"] = "0001-01-01T00:00:00Z"
    assert container_of(document, "ctrl-alt-play").finished_at is None


@pytest.mark.parametrize("label", ["", "{", "[]", '{"image": ""}', '{"startup": "x"}', "\x00"])
def test_a_label_that_tells_no_specification_tells_nothing(label: str) -> None:
    found = container_of(inspected(**{LABEL_SPECIFICATION: label}), "ctrl-alt-play")
    assert found.specification is None


def test_a_container_of_the_agent_before_has_no_specification_and_another_fingerprint() -> None:
    document = inspected()
    del document["Config"]["Labels"][LABEL_SPECIFICATION]
    document["Config"]["Labels"][LABEL_FINGERPRINT] = "of part 1"
    document["Config"]["User"] = ""
    document["NetworkSettings"] = None
    found = container_of(document, "ctrl-alt-play")
    assert (found.specification, found.fingerprint, found.uid, found.address) == (None, "of part 1", None, None)


# Streams


@given(st.lists(st.binary().filter(lambda line: b"\n" not in line)), st.integers(1, 50))
async def test_lines_of_any_length_come_as_they_were_sent(sent: list[bytes], cut: int) -> None:
    data = b"".join(line + b"\n" for line in sent)
    pieces = [data[start : start + cut] for start in range(0, len(data), cut)]
    assert [line async for line in lines(Pieces(pieces))] == sent  # type: ignore[arg-type]  # all of a reader that is used


async def test_the_last_line_needs_no_end() -> None:
    assert [line async for line in lines(Pieces([b"a\nb"]))] == [b"a", b"b"]  # type: ignore[arg-type]


class Pieces:
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def iter_any(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


async def test_frames_tell_their_stream_and_end_where_they_are_cut_off() -> None:
    data = b"\x01\x00\x00\x00\x00\x00\x00\x02hi\x02\x00\x00\x00\x00\x00\x00\x01!\x01\x00\x00\x00\x00\x00\x00\x09cut"
    assert [chunk async for chunk in frames(reader_of(data))] == [Chunk("stdout", b"hi"), Chunk("stderr", b"!")]
    assert [chunk async for chunk in frames(reader_of(b""))] == []


def reader_of(data: bytes) -> StreamReader:
    loop = asyncio.get_running_loop()
    reader = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    reader.feed_data(data)
    reader.feed_eof()
    return reader


# Pulls


def layer(id_: str, status: str, current: int | None = None, total: int | None = None) -> dict[str, Any]:
    detail = {name: value for name, value in (("current", current), ("total", total)) if value is not None}
    return {"status": status, "progressDetail": detail, "progress": "[=>  ]", "id": id_}


RECORDED = [
    {"status": "Pulling from games/quake", "id": "1"},
    layer("old", "Already exists"),
    layer("aaa", "Pulling fs layer"),
    layer("bbb", "Pulling fs layer"),
    layer("bbb", "Waiting"),
    layer("aaa", "Downloading", 100, 300),
    layer("aaa", "Downloading", 300, 300),
    layer("aaa", "Verifying Checksum"),
    layer("aaa", "Download complete"),
    layer("aaa", "Extracting", 60, 300),
    layer("bbb", "Downloading", 50, 100),
    layer("bbb", "Download complete"),
    layer("aaa", "Extracting", 300, 300),
    layer("aaa", "Pull complete"),
    layer("bbb", "Extracting", 50, 100),
    layer("bbb", "Pull complete"),
    {"status": "Digest: sha256:1"},
    {"status": "Status: Downloaded newer image for games/quake:1"},
]


def heard(documents: list[dict[str, Any]]) -> list[tuple[str, float | None]]:
    told: list[tuple[str, float | None]] = []
    pull = Pull(lambda phase, percent, _: told.append((phase, percent)))
    for document in documents:
        pull.take(document)
    return told


def test_a_pull_is_told_in_percent_of_what_is_downloaded_and_then_unpacked() -> None:
    assert heard(RECORDED) == [
        ("download", None),
        ("download", 16.0),
        ("download", 50.0),
        ("download", 87.0),
        ("unpack", 15.0),
        ("unpack", 75.0),
        ("unpack", 87.0),
        ("unpack", 100.0),
    ]


def test_a_pull_without_sizes_has_phases_alone() -> None:
    """As from an engine on containerd's image store, which counts seconds."""
    documents = [
        layer("aaa", "Pulling fs layer"),
        layer("aaa", "Download complete"),
        {"id": "aaa", "status": "Extracting", "progressDetail": {"current": 1, "units": "s"}},
        layer("aaa", "Pull complete"),
    ]
    assert heard(documents) == [("download", None), ("unpack", None)]


def test_a_pull_is_said_in_a_sentence_with_its_bytes() -> None:
    said: list[str] = []
    pull = Pull(lambda _phase, _percent, message: said.append(message))
    mib = 2**20
    for document in (
        layer("aaa", "Pulling fs layer"),
        layer("bbb", "Pulling fs layer"),
        layer("aaa", "Downloading", 12 * mib, 80 * mib),
        layer("bbb", "Downloading", mib // 2, mib),
        layer("aaa", "Download complete"),
        layer("bbb", "Download complete"),
        layer("aaa", "Extracting", 40 * mib, 80 * mib),
    ):
        pull.take(document)
    assert said == [
        "Downloading the image.",
        "Downloading the image: 12 MiB of more than 80 MiB.",
        "Downloading the image: 12.5 MiB of 81 MiB.",
        "Downloading the image: 80.5 MiB of 81 MiB.",
        "Unpacking the image: 0 B of 81 MiB.",
        "Unpacking the image: 40 MiB of 81 MiB.",
    ]


def test_nobody_needs_to_listen() -> None:
    pull = Pull(None)
    for document in RECORDED:
        pull.take(document)


STATUSES = ["Pulling fs layer", "Waiting", "Downloading", "Verifying Checksum", "Download complete", "Extracting",
            "Pull complete", "Already exists", "Retrying in 5 seconds", "Downloading"]  # fmt: skip


@given(
    st.lists(
        st.builds(
            layer,
            st.sampled_from("abc"),
            st.sampled_from(STATUSES),
            st.none() | st.integers(0, 1000),
            st.none() | st.integers(0, 1000),
        )
    )
)
def test_a_pull_never_goes_back(documents: list[dict[str, Any]]) -> None:
    told = heard(documents)
    numbers = [(phase == "unpack", -1.0 if percent is None else percent) for phase, percent in told]
    assert numbers == sorted(set(numbers))
    assert all(percent is None or 0 <= percent <= 100 for _, percent in told)


class Registry:
    """An engine that has no image before it was pulled; it streams `documents`, and then has it if `is_whole`."""

    def __init__(self, documents: list[dict[str, Any]], *, is_whole: bool = True) -> None:
        self._documents = documents
        self._is_whole = is_whole
        self._is_here = False

    async def version(self, _: web.Request) -> web.Response:
        return web.json_response({"ApiVersion": "1.41"})

    async def inspect(self, _: web.Request) -> web.Response:
        missing = web.json_response({"message": "No such image: game:1"}, status=404)
        return web.json_response({"Id": "sha256:1"}) if self._is_here else missing

    async def pull(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for document in self._documents:
            await response.write(json.dumps(document).encode() + b"\r\n")
        self._is_here = self._is_whole
        return response


@asynccontextmanager
async def engine_of(registry: Registry, folder: Path) -> AsyncIterator[DockerEngine]:
    app = web.Application()
    app.router.add_get("/version", registry.version)
    app.router.add_get("/{version}/images/{name}/json", registry.inspect)
    app.router.add_post("/{version}/images/create", registry.pull)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(folder / "docker.sock")).start()
    engine = DockerEngine(f"unix://{folder}/docker.sock")
    try:
        yield engine
    finally:
        await engine.close()
        await runner.cleanup()


async def test_a_pull_is_heard_of_once(tmp_path: Path) -> None:
    told: list[tuple[str, float | None]] = []
    async with engine_of(Registry(RECORDED), tmp_path) as engine:
        await engine.ensure_image("game:1", lambda phase, percent, _: told.append((phase, percent)))
        assert told == heard(RECORDED)
        await engine.ensure_image("game:1", lambda phase, percent, _: told.append((phase, percent)))
        assert told == heard(RECORDED)


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ([{"error": "denied", "errorDetail": {"message": "denied"}}], ErrorCode.IMAGE_NOT_FOUND),
        ([{"error": "write: no space left on device"}], ErrorCode.INSUFFICIENT_RESOURCES),
        ([], ErrorCode.DOCKER_UNAVAILABLE),
    ],
    ids=["denied", "disk full", "broken off"],
)
async def test_a_pull_that_ends_badly_is_a_fault(tmp_path: Path, ending: list[dict[str, Any]], code: ErrorCode) -> None:
    async with engine_of(Registry([*RECORDED[:6], *ending], is_whole=False), tmp_path) as engine:
        with pytest.raises(Fault) as raised:
            await engine.ensure_image("game:1")
    assert raised.value.code is code


async def test_an_image_that_came_by_another_way_while_its_pull_failed_is_used_and_that_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    denied = {"error": "denied", "errorDetail": {"message": "denied"}}
    async with engine_of(Registry([*RECORDED[:6], denied]), tmp_path) as engine:
        await engine.ensure_image("game:1", lambda _phase, _percent, message: said.append(message))
        assert said[-1].startswith("The image game:1 could not be pulled: Docker: denied.")
        assert said[-1].endswith("It has come to this node meanwhile, and is used.")
        with pytest.raises(Fault):
            await engine.pull_image("game:1")


def test_an_image_without_a_command_is_said_with_what_to_do() -> None:
    fault = fault_of(400, "No command specified")
    assert fault.code is ErrorCode.CONFIG_INVALID
    assert (
        fault.message == "Docker: No command specified. The image has no command of its own: give the server a startup."
    )
