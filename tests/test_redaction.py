"""What of a secret is left in an event: nothing."""

import time
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ctrl_alt_play.redaction import BLOT, LONGEST_TEXT, Redaction

SECRET = "s3cr3t-of-this-node"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def after(**event: Any) -> dict[str, Any]:
    redaction = Redaction()
    redaction.learn([SECRET])
    return dict(redaction(None, "info", event))


@pytest.mark.parametrize(
    "name",
    ["secret", "agent_secret", "Password", "password_hash", "access_token", "Authorization", "cookie", "key", "api-key", "signing_key"],
)  # fmt: skip
def test_a_field_that_is_named_like_a_secret_shows_nothing(name: str) -> None:
    assert after(**{name: "whatever"})[name] == BLOT
    assert after(environment={name: "whatever"})["environment"] == {name: BLOT}
    assert after(several=[{name: ["whatever"]}])["several"] == [{name: BLOT}]


def test_a_field_that_only_says_whether_there_is_a_secret_is_shown() -> None:
    assert after(has_secret=True, token=None) == {"has_secret": True, "token": None}


@pytest.mark.parametrize(
    "text",
    [
        f"the secret is {SECRET}",
        f"Authorization: Bearer {SECRET}",
        "connected with bearer abcdefghijkl",
        "Authorization: Basic dXNlcjpwYXNz",
        "Cookie: session=abcdefgh; theme=dark",
        f"a token {TOKEN} was refused",
        "postgresql://panel:pa55word@db/panel cannot be reached",
        "started with AGENT_SECRET=hunter2 and more",
        "login failed: password='correct horse battery'",
        """invalid: {"username": "anna", "password": "correct horse battery"}""",
        "rcon_password=hunter2",
    ],
)
def test_what_looks_like_a_secret_is_blotted_out_of_any_text(text: str) -> None:
    shown = after(event=text, nested={"deep": [text]})
    for secret in (SECRET, TOKEN, "abcdefghijkl", "dXNlcjpwYXNz", "abcdefgh", "pa55word", "hunter2", "correct horse"):
        assert secret not in str(shown)
    assert BLOT in shown["event"]


@pytest.mark.parametrize(
    "text",
    [
        "JWT_SECRET: give at least 32 characters",
        "check NODE_ID and AGENT_SECRET against the panel's node page",
        "http://localhost:3000/api/nodes",
        "the node is disabled or its secret renewed",
        "key=value of no weight",
    ],
)
def test_sentences_about_secrets_stay_as_they_are(text: str) -> None:
    assert after(reason=text)["reason"] == text


def test_a_known_secret_is_found_as_it_looks_in_an_address_and_in_a_programs_text() -> None:
    redaction = Redaction()
    redaction.learn(["sl/ash qu'ote\\"])
    shown = redaction.text("sl%2Fash%20qu%27ote%5C " + repr("sl/ash qu'ote\\"))
    assert "ash" not in shown


def test_a_secret_of_few_characters_is_not_looked_for() -> None:
    redaction = Redaction()
    redaction.learn(["a", ""])
    assert redaction.text("a plain text") == "a plain text"


def test_values_become_what_json_knows() -> None:
    class Colour(StrEnum):
        RED = "red"

    class Code(IntEnum):
        LOST = 1006

    shown = after(
        path=Path("/x"), colour=Colour.RED, blob=b"\xff", secret_is=SecretStr(SECRET), many={1: {2}}, code=Code.LOST
    )
    assert shown == {
        "path": "/x", "colour": "red", "blob": "\\xff", "secret_is": BLOT, "many": {"1": [2]}, "code": 1006
    }  # fmt: skip


def test_a_text_without_end_is_cut_in_its_middle() -> None:
    shown = after(text="beginning " + "x" * 100_000 + " end")["text"]
    assert len(shown) < LONGEST_TEXT + 10
    assert (shown[:9], shown[-3:]) == ("beginning", "end")


@pytest.mark.parametrize("piece", ["x", "eyJ", "://", "secret", "bearer ", "cookie:", "'\"", "a-"])
def test_looking_takes_time_in_proportion_to_the_text(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    began = time.process_time()
    Redaction().text(text)
    assert time.process_time() - began < 2
