"""Entity tags: strong ones over a representation, and the comparisons of RFC 9110."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

_TAG = re.compile(r'(?:W/)?"[^"]*"')


def etag_of(representation: Any) -> str:
    """The strong entity tag of a JSON-safe representation; equal content has an equal tag."""
    canonical = json.dumps(representation, sort_keys=True, separators=(",", ":"), default=str).encode()
    return f'"{hashlib.sha256(canonical).hexdigest()[:32]}"'


def none_match(header: str | None, etag: str) -> bool:
    """Whether `If-None-Match` lets the request through; False means 304. Compares weakly, as GET does."""
    if not header:
        return True
    if header.strip() == "*":
        return False
    return _opaque(etag) not in {_opaque(tag) for tag in _TAG.findall(header)}


def matches(header: str, etag: str) -> bool:
    """Whether `If-Match` holds. Compares strongly: a weak tag never matches."""
    if header.strip() == "*":
        return True
    return not etag.startswith("W/") and etag in _TAG.findall(header)


def _opaque(tag: str) -> str:
    return tag.removeprefix("W/")
