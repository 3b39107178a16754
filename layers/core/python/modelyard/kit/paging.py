"""Keyset paging: signed opaque cursors, pages and their `Link` header.

A cursor carries the sort key of the last item shown, and a MAC over it and over the listing it belongs to: it
cannot be forged, nor carried over to another user's listing or to other filters.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from modelyard.kit.errors import FieldError, Invalid

T = TypeVar("T")
Position = list[str | int]
"""The sort key of an item: JSON scalars."""

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
_MAC_BYTES = 16
_MOST_CHARACTERS = 1024


class BadCursor(Invalid):
    """The cursor was not given out for this listing, or by a key that is no longer in use."""

    code, title = "bad_cursor", "The cursor is not valid"


class Cursors:
    """Signs and reads cursors with keys derived from the signing-keys secret.

    `signing_keys` returns that secret, `{"current": kid, kid: key, …}`: a rotated key keeps reading the
    cursors that it signed for as long as it stands in the secret.
    """

    def __init__(self, signing_keys: Callable[[], Mapping[str, str]]) -> None:
        self._signing_keys = signing_keys

    def encode(self, scope: str, position: Sequence[str | int]) -> str:
        """A cursor after `position` within `scope` (listing, user and filters: whatever must not change)."""
        keys = self._signing_keys()
        payload = json.dumps(list(position), separators=(",", ":"), ensure_ascii=True).encode()
        mac = _mac(keys[keys["current"]], scope, payload)
        return base64.urlsafe_b64encode(mac + payload).rstrip(b"=").decode()

    def decode(self, scope: str, cursor: str | None) -> Position | None:
        """The position in `cursor`, None where there is no cursor; raises `BadCursor`."""
        if not cursor:
            return None
        keys = self._signing_keys()
        try:
            if len(cursor) > _MOST_CHARACTERS:
                raise ValueError
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:  # binascii.Error and non-ASCII text are ValueErrors
            raise _bad_cursor() from None
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        secrets = [secret for kid, secret in keys.items() if kid != "current"]
        if not any(hmac.compare_digest(mac, _mac(secret, scope, payload)) for secret in secrets):
            raise _bad_cursor()
        position: Position = json.loads(payload)  # ours: the MAC fits
        return position


def _mac(secret: str, scope: str, payload: bytes) -> bytes:
    # A key of its own, so that no token signature can ever be mistaken for a cursor's.
    key = hmac.digest(secret.encode(), b"modelyard/cursor", "sha256")
    return hmac.new(key, scope.encode() + b"\0" + payload, hashlib.sha256).digest()[:_MAC_BYTES]


def _bad_cursor() -> BadCursor:
    detail = (
        "Use a next_cursor exactly as it was given, with the same filters, or start again without a cursor."
    )
    return BadCursor(detail, errors=[FieldError("query:cursor", "expected a cursor of this listing")])


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing; `next_cursor` is None on the last one."""

    items: list[T]
    next_cursor: str | None = None

    def link(self, url: str, params: Mapping[str, Any]) -> str | None:
        """The value of the `Link` header, None on the last page; `params` are the other parameters:
        a list is one parameter several times.
        """
        if self.next_cursor is None:
            return None
        kept = {
            name: _word(value) for name, value in params.items() if value is not None and name != "cursor"
        }
        query = urlencode(kept | {"cursor": self.next_cursor}, doseq=True)
        return f'<{url}?{query}>; rel="next"'


def _word(value: Any) -> Any:
    """Booleans as JSON has them."""
    return str(value).lower() if isinstance(value, bool) else value


def page_of(
    rows: Sequence[T],
    limit: int,
    *,
    cursors: Cursors,
    scope: str,
    position: Callable[[T], Sequence[str | int]],
) -> Page[T]:
    """A page from `limit + 1` fetched rows: the extra one only tells whether there is more."""
    items = list(rows[:limit])
    more = len(rows) > limit and bool(items)
    return Page(items, cursors.encode(scope, position(items[-1])) if more else None)
