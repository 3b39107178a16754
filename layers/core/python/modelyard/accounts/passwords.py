"""Passwords: bcrypt, 12 rounds. bcrypt reads 72 bytes, so longer ones are refused and never cut."""

from __future__ import annotations

from functools import cached_property

import bcrypt

ROUNDS = 12
SHORTEST = 8  # characters
LONGEST = 72  # bytes of UTF-8

# The hash of a random text that was thrown away. Made beforehand: made on first use, it would tell by its
# time.
_NOBODY = "$2b$12$K5PKURitchxyoxtlrQz3d.J6ckQsh16oN1qHcLyj8.uNSbVBKcdwi"


def reason_against(password: str) -> str | None:
    """Why this password cannot be taken, in words for its owner; `None` if it can."""
    if len(password) < SHORTEST:
        return f"A password has at least {SHORTEST} characters."
    if "\0" in password:
        return "A password cannot contain a NUL character."
    if len(password.encode("utf-8", "surrogatepass")) > LONGEST:
        return f"A password has at most {LONGEST} bytes in UTF-8; what comes after them would be ignored."
    return None


class Passwords:
    """Hashes and checks. An unknown account costs as much time as a wrong password."""

    def __init__(self, *, rounds: int = ROUNDS) -> None:
        self._rounds = rounds

    def hash(self, password: str) -> str:
        assert reason_against(password) is None
        return bcrypt.hashpw(password.encode(), bcrypt.gensalt(self._rounds)).decode()

    def matches(self, password: str, hashed: str | None) -> bool:
        """Whether `password` belongs to `hashed`; without one the work is done all the same, and the
        answer is no.
        """
        given = password.encode("utf-8", "surrogatepass")
        if reason_against(password) is not None:
            given, hashed = b"cannot be anybody's", None
        good = bcrypt.checkpw(given, (hashed or self._nobody).encode())
        return good and hashed is not None

    def is_weak(self, hashed: str) -> bool:
        """Whether the hash was made with fewer rounds than today's and should be made again at the next
        login.
        """
        return int(hashed.split("$")[2]) < self._rounds

    @cached_property
    def _nobody(self) -> str:
        if self._rounds == ROUNDS:
            return _NOBODY
        return bcrypt.hashpw(b"nobody's password", bcrypt.gensalt(self._rounds)).decode()
