"""What a server's specification may say, and what people are told when it may not."""

from typing import Any

import pytest

from ctrl_alt_play.protocol.errors import ErrorCode, Fault
from ctrl_alt_play.protocol.messages import read
from ctrl_alt_play.protocol.specification import Limits, Specification, StopRule


def specification(**fields: Any) -> Specification:
    return read(Specification, {"image": "example.org/games/quake:1"} | fields)


def test_an_image_is_enough() -> None:
    found = specification()
    assert (found.startup, found.environment, found.ports) == ("", {}, ())
    assert (found.limits, found.stop) == (Limits(), StopRule())
    assert (found.stop.signal, found.stop.timeout) == ("SIGTERM", 30)


@pytest.mark.parametrize("field", ["environment", "limits", "ports", "startup", "stop"])
def test_null_is_the_default(field: str) -> None:
    assert specification(**{field: None}) == specification()


@pytest.mark.parametrize("field", ["memory", "swap", "disk", "cpu", "io"])
def test_a_limit_of_null_is_none(field: str) -> None:
    assert specification(limits={field: None}).limits == Limits()


def test_what_is_not_known_is_ignored() -> None:
    assert specification(eggs="spam", limits={"threads": "0-3"}) == specification()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"image": " "}, "image: Value error, name an image"),
        ({"image": "two words"}, "image: Value error, name an image"),
        ({"image": ""}, "image: "),
        ({"image": None}, "image: "),
        ({"limits": {"memory": 1024}}, "limits.memory: Value error, Docker gives a container at least 6 MiB"),
        ({"limits": {"memory": -1}}, "limits.memory: "),
        ({"limits": {"cpu": -1}}, "limits.cpu: "),
        ({"limits": {"swap": -2}}, "limits.swap: "),
        ({"limits": {"io": 5}}, "limits.io: "),
        ({"limits": []}, "limits: "),
        ({"ports": [{"internal": 0, "external": 1}]}, "ports.0.internal: "),
        ({"ports": [{"internal": 1, "external": 65536}]}, "ports.0.external: "),
        ({"ports": [{"internal": 1, "external": 1, "protocol": "sctp"}]}, "ports.0.protocol: "),
        ({"ports": [{"internal": 1, "external": 1, "address": "evil host"}]}, "ports.0.address: "),
        ({"ports": [{"internal": 1, "external": 1}] * 65}, "ports: "),
        ({"environment": {"A=B": "x"}}, "environment.A=B"),
        ({"environment": {"A": "nul\x00"}}, "environment.A: "),
        ({"environment": {"A": []}}, "environment.A: "),
        ({"startup": "x" * 8193}, "startup: "),
        ({"stop": {"signal": "SIGNONSENSE"}}, "stop.signal: Value error, unknown signal 'SIGNONSENSE'"),
        ({"stop": {"command": "two\n\nlines"}}, "stop.command: "),
        ({"stop": {"command": "two\r\nlines"}}, "stop.command: "),
        ({"stop": {"timeout": 3601}}, "stop.timeout: "),
    ],
)
def test_a_refusal_names_the_field_and_the_reason(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Fault) as refused:
        specification(**fields)
    assert refused.value.code is ErrorCode.INVALID_PAYLOAD
    assert said in refused.value.message


def test_a_refusal_names_every_field_that_is_wrong() -> None:
    with pytest.raises(Fault) as refused:
        specification(image="", startup=[], limits={"cpu": "all"})
    for field in ("image", "startup", "limits.cpu"):
        assert f"{field}: " in refused.value.message


def test_a_refusal_is_never_longer_than_a_page() -> None:
    with pytest.raises(Fault) as refused:
        specification(environment={f"=name{number}": "x" for number in range(500)})
    assert len(refused.value.message) <= 2000


@pytest.mark.parametrize(
    ("given", "signal"),
    [
        ("SIGINT", "SIGINT"),
        ("int", "SIGINT"),
        (" sigterm ", "SIGTERM"),
        ("RTMIN+3", "SIGRTMIN+3"),
        ("SIGRTMAX-14", "SIGRTMAX-14"),
        ("poll", "SIGPOLL"),
    ],
)
def test_a_signal_is_known_by_its_name(given: str, signal: str) -> None:
    assert specification(stop={"signal": given}).stop.signal == signal


@pytest.mark.parametrize("given", ["9", "", "SIG", "SIGSIGINT", "RTMIN+16", "TERM;rm", 15])
def test_a_signal_that_docker_does_not_know_is_refused(given: object) -> None:
    with pytest.raises(Fault, match="signal"):
        specification(stop={"signal": given})


def test_environments_hold_text() -> None:
    environment = {"N": 1, "F": 1.5, "T": True, "X": None, "S": "a=b\nc"}
    assert specification(environment=environment).environment == {
        "N": "1",
        "F": "1.5",
        "T": "true",
        "X": "",
        "S": "a=b\nc",
    }


def test_a_specification_survives_the_journal() -> None:
    found = specification(
        startup="run", environment={"A": "1"}, limits={"memory": 2**29, "swap": -1, "cpu": 150, "io": 500},
        ports=[{"internal": 1, "external": 2, "protocol": "udp", "address": "127.0.0.1"}], stop={"command": "quit", "timeout": 5},
    )  # fmt: skip
    assert Specification.model_validate_json(found.model_dump_json(by_alias=True)) == found
