"""Limits on guessing, and tokens."""

from datetime import timedelta

import pytest
from tests.panel.support import HeldClock

from ctrl_alt_play.panel import security
from ctrl_alt_play.panel.errors import TooManyAttempts, Unauthenticated
from ctrl_alt_play.panel.security import Attempts, Tokens


def test_attempts_count_from_their_beginning_and_good_ones_do_not_stay() -> None:
    attempts = Attempts(HeldClock(), limit=2)
    attempts.begin("here")
    attempts.begin("here")
    with pytest.raises(TooManyAttempts):
        attempts.begin("here")
    attempts.succeeded("here")
    attempts.begin("here")
    attempts.begin("elsewhere")


def test_a_minute_later_attempts_are_forgotten() -> None:
    clock = HeldClock()
    attempts = Attempts(clock, limit=1)
    attempts.begin("here")
    clock.ahead_s += 61
    attempts.begin("here")


def test_the_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "ADDRESSES_KEPT", 10)
    attempts = Attempts(HeldClock())
    for number in range(100):
        attempts.begin(number)
    assert len(attempts._seen) == 10


def test_a_token_says_the_same_each_time_it_is_read() -> None:
    clock = HeldClock()
    tokens = Tokens("k" * 32, clock)
    token = tokens.mint("someone", 3, timedelta(minutes=1))
    assert tokens.read(token) == tokens.read(token)
    assert (tokens.read(token).user_id, tokens.read(token).token_version) == ("someone", 3)


def test_a_token_that_was_read_before_ends_at_its_time() -> None:
    clock = HeldClock()
    tokens = Tokens("k" * 32, clock)
    token = tokens.mint("someone", 1, timedelta(minutes=1))
    tokens.read(token)
    clock.ahead_s += 61
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.read(token)


def test_the_tokens_that_are_known_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "TOKENS_KEPT", 2)
    tokens = Tokens("k" * 32, HeldClock())
    minted = [tokens.mint(name, 1) for name in ("one", "two", "three")]
    assert [tokens.read(token).user_id for token in (*minted, *minted)] == ["one", "two", "three"] * 2
