"""A template's way on a real engine, rule by rule: how it is launched, shows that it is ready, and is stopped; and what is said where it fails."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.until import until
from tests.integration.installation import docker
from tests.integration.trying import BUSYBOX, small, step, tried

from ctrl_alt_play.games.own import build_own

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
WAITS = "sleep 1000"
TYPED = 'echo ready; while read -r line; do echo "heard $line"; if [ "$line" = end ]; then exit 7; fi; done'
TRAPS = "trap 'echo heard; exit 7' {0}; echo ready; while :; do sleep 0.1; done"
HOSTILE = "$(echo pwned) `echo pwned` '; echo pwned; \" \\ *"
YOLK = """#!/bin/sh
cd /home/container || exit 1
PARSED=$(echo "${STARTUP}" | sed -e 's/{{/${/g' -e 's/}}/}/g' | eval echo "$(cat -)")
echo "container~ $PARSED"
exec ${PARSED}
"""
"""As the field's images do it."""


@pytest.fixture(autouse=True)
def _busybox(own_data: Path) -> None:
    build_own(BUSYBOX, own_data, print)


@pytest.fixture(scope="module")
def yolk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, name = tmp_path_factory.mktemp("yolk"), "ctrl-alt-play/yolk:test"
    (folder / "entrypoint.sh").write_text(YOLK)
    (folder / "Dockerfile").write_text(f'FROM {BUSYBOX}\nCOPY entrypoint.sh /\nCMD ["/bin/sh", "/entrypoint.sh"]\n')
    docker("build", "--quiet", "--tag", name, str(folder))
    yield name
    docker("image", "rm", "--force", name)


@pytest.mark.parametrize(
    ("startup", "stop", "said_of_stop"),
    [
        (TYPED, "save\nend", "by save\nend, exit code 7"),
        (TYPED, "end", "by end, exit code 7"),
        (TRAPS.format("INT"), "^C", "by SIGINT, exit code 7"),
        (TRAPS.format("INT"), "^^C", "by SIGINT, exit code 7"),
        (TRAPS.format("TERM"), "", "by SIGTERM, exit code 7"),
        (TRAPS.format("QUIT"), "^SIGQUIT", "by SIGQUIT, exit code 7"),
        (TRAPS.format("INT TERM"), "^SIGKILL", "by SIGKILL, exit code 137"),
        (f"sh -c 'echo ready; exec {WAITS}' $NOTHING", "^C", "by SIGINT, exit code 130"),
    ],
)
async def test_each_stop_rule_reaches_the_game(startup: str, stop: str, said_of_stop: str) -> None:
    failed, said = await tried("small", small(startup, stop=stop))
    assert failed == 0, said
    assert step(said, "stop") == said_of_stop.replace("\n", ", then ")


@pytest.mark.parametrize(
    "done",
    [
        "ready",
        ["never", "x re"],
        "regex:^x\\s+re[a-z]+y$",
        {"done": "x ready", "strip_ansi": True},
    ],
)
async def test_each_way_of_readiness_is_seen(done: object) -> None:
    colour = "\\033[1m" if isinstance(done, dict) else ""
    failed, said = await tried("small", small(f"printf 'x {colour}ready\\n'; exec {WAITS}", done=done))
    assert failed == 0, said
    assert step(said, "ready") == ""


async def test_values_are_only_values_whoever_launches(yolk: str) -> None:
    """Where the image replaces them, blanks and quotes are the image's."""
    shell = "echo \"[{{A}}]\" '[{{A}}]' ; echo memory {{SERVER_MEMORY}} port {{server.build.default.port}} tz ${TZ}; sleep 1000"
    program = "/bin/busybox echo '[{{A}}]' \"[{{A}}]\" end"
    for startup in (shell, program):
        _, said = await tried("small", small(startup, done="pwned]", variables={"A": HOSTILE}), 2)
        console = "\n".join(said)
        assert f"| [{HOSTILE}] [{HOSTILE}]" in console
        assert "| pwned" not in console
    _, said = await tried(
        "small", small("echo {{ A }} is at {{server.build.default.ip}}", image=yolk, variables={"A": "a  $(id)"}), 2
    )
    assert "    | container~ echo a $(id) is at 0.0.0.0" in said
    assert "    | a $(id) is at 0.0.0.0" in said


async def test_what_never_becomes_ready_is_said_with_its_last_words() -> None:
    failed, said = await tried("small", small(f"echo hello; exec {WAITS}", done="never"), 1)
    assert failed == 1
    assert step(said, "ready") == "FAILED: nothing that it wrote within 1 s says that it is ready"
    assert said[-2:] == ["    | hello", "1 templates, 0 passed, 1 failed"]


async def test_what_ends_at_once_and_what_does_not_end_is_said() -> None:
    _, said = await tried("small", small("echo sorry; exit 3"))
    assert "exit code 3" in (step(said, "start") or step(said, "ready") or "")
    _, said = await tried("small", small("trap '' INT; echo ready; while :; do sleep 0.1; done"))
    assert step(said, "stop") == "FAILED: it did not end within 5 s of SIGINT, and was killed"


def installing(script: str) -> dict[str, dict[str, str]]:
    return {"installation": {"container": BUSYBOX, "entrypoint": "sh", "script": script}}


async def test_how_an_installation_went_is_said() -> None:
    waits = f"cat here; echo ready; exec {WAITS}"
    failed, said = await tried("small", small(waits, scripts=installing("echo 'I am here' > /mnt/server/here")))
    assert (failed, step(said, "install")) == (0, ""), said
    _, said = await tried("small", small(waits, scripts=installing("true")))
    assert "left no file" in (step(said, "install") or "")
    _, said = await tried("small", small(waits, scripts=installing("echo no room; exit 9")))
    assert (step(said, "install") or "").startswith("FAILED: The installer failed with exit code 9")


async def test_one_that_is_interrupted_leaves_nothing() -> None:
    def names() -> str:
        return docker("ps", "--all", "--format", "{{.Names}}", "--filter", "name=trial-cut-")

    trying = asyncio.create_task(tried("cut", small(WAITS, scripts=installing("touch x; sleep 1000"))))
    await until(lambda: asyncio.to_thread(names), 30)
    trying.cancel()
    await asyncio.wait({trying})
    assert not names()


async def test_what_cannot_be_chosen_is_said_and_nothing_is_left() -> None:
    needs = [{"env_variable": "A", "default_value": "", "rules": ["required"]}]
    text = small("true").replace('"variables": []', f'"variables": {needs}'.replace("'", '"'))
    _, said = await tried("needy", text)
    assert step(said, "image") == "FAILED: variables.A is required"
    assert not docker("ps", "--all", "--quiet", "--filter", "name=ctrl-alt-play-trial-needy-")
