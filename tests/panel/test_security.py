"""Limits on guessing."""

import pytest
from tests.panel.support import HeldClock

from ctrl_alt_play.panel import security
from ctrl_alt_play.panel.errors import TooManyAttempts
from ctrl_alt_play.panel.security import Attempts


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


def test_a_token_that_was_read_before_ends_all_the_same() -> None:
    clock = FakeClock()
    tokens = Tokens("k" * 32, clock)
    token = tokens.mint("someone", 3, timedelta(minutes=1))
    assert tokens.read(token) == tokens.read(token)
    assert (tokens.read(token).user_id, tokens.read(token).token_version) == ("someone", 3)
