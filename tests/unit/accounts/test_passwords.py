from __future__ import annotations

import time

import pytest
from modelyard.accounts.passwords import ROUNDS, Passwords, reason_against


@pytest.mark.parametrize(
    ("password", "complaint"),
    [
        ("short", "at least 8"),
        ("x" * 73, "at most 72 bytes"),
        ("é" * 37, "at most 72 bytes"),
        ("with\0nothing", "NUL"),
        ("\ud800" * 30, "at most 72 bytes"),
    ],
)
def test_what_cannot_be_a_password_says_why(password, complaint):
    reason = reason_against(password)
    assert reason is not None
    assert complaint in reason
    assert password not in reason


@pytest.mark.parametrize("password", ["x" * 72, "é" * 36, "correct horse", "' OR 1=1 --", "пароль123"])
def test_a_password_matches_itself_and_nothing_else(password):
    passwords = Passwords(rounds=4)
    hashed = passwords.hash(password)
    assert passwords.matches(password, hashed)
    assert not passwords.matches(password[:-1], hashed)
    assert not passwords.matches(password[:-1] + "?", hashed)


def test_a_longer_password_never_matches_its_beginning():
    passwords = Passwords(rounds=4)
    hashed = passwords.hash("x" * 72)
    assert not passwords.matches("x" * 73, hashed)
    assert not passwords.matches("x" * 5000, hashed)


def test_nobody_has_no_password():
    passwords = Passwords(rounds=4)
    for given in ("nobody's password", "cannot be anybody's", "", "\ud800"):
        assert not passwords.matches(given, None)


def test_hashes_have_twelve_rounds():
    hashed = Passwords().hash("correct horse")
    assert hashed.startswith(f"$2b${ROUNDS}$")
    assert ROUNDS == 12
    assert not Passwords().is_weak(hashed)
    assert Passwords().is_weak(Passwords(rounds=4).hash("correct horse"))


def test_an_unknown_account_takes_as_long_as_a_wrong_password():
    passwords = Passwords(rounds=10)
    hashed = passwords.hash("correct horse")
    passwords.matches("warm up", None)

    def fastest(given: str, against: str | None) -> float:
        times = []
        for _ in range(5):
            started = time.perf_counter()
            passwords.matches(given, against)
            times.append(time.perf_counter() - started)
        return min(times)

    known, unknown, impossible = (
        fastest("wrong horse", hashed),
        fastest("wrong horse", None),
        fastest("x" * 500, hashed),
    )
    assert 0.5 < unknown / known < 2
    assert 0.5 < impossible / known < 2
