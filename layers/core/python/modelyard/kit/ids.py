"""Prefixed, sortable identifiers: `mdl_01k9…` is 48 bits of milliseconds and 80 random bits."""

from __future__ import annotations

import os
import re
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base32: no i, l, o, u
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]  # ten bits at a time
_SHIFTS = range(120, -1, -10)
_ID = re.compile(r"^[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}\Z")


def new_id(prefix: str) -> str:
    """A new id such as `usr_…`; ids made later sort later (to the millisecond)."""
    number = (int(time.time() * 1000) << 80) | int.from_bytes(os.urandom(10), "big")
    digits = [_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS]
    return f"{prefix}_{''.join(digits)}"


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` could be an id of this kind; never asks a database."""
    return text.startswith(prefix + "_") and _ID.match(text) is not None
