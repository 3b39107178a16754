"""Browser mode: the same tokens in cookies that scripts cannot read, and a second token that other sites
cannot know.

A write that is authenticated by cookie must come from one of our origins and carry `X-CSRF-Token`: a MAC
over the session, made with the key that signed its tokens, so that a planted cookie is of no use. On the hot
path of `predict`.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Mapping

from modelyard.accounts.tokens import ACCESS_SECONDS, REFRESH_SECONDS
from modelyard.kit.errors import Forbidden

CSRF_HEADER = "x-csrf-token"
REFRESH_PATH = "/api/auth"


class CsrfRefused(Forbidden):
    code, title = "csrf", "This write does not come from our own pages"


class BrowserCookies:
    """Names, reads and checks cookies. `secure=False` only on plain http, where browsers refuse the
    prefixes.
    """

    def __init__(self, *, secure: bool, origins: Callable[[], Collection[str]]) -> None:
        self._secure = secure
        self._origins = origins
        self.access_name = "__Host-access" if secure else "access"
        self.refresh_name = "__Secure-refresh" if secure else "refresh"
        self.csrf_name = "__Host-csrf" if secure else "csrf"

    def access(self, headers: Mapping[str, str]) -> str | None:
        """The access token in the request's cookies."""
        return _only(headers.get("cookie", ""), self.access_name)

    def refresh(self, headers: Mapping[str, str]) -> str | None:
        return _only(headers.get("cookie", ""), self.refresh_name)

    def check_write(self, headers: Mapping[str, str], expected: str) -> None:
        """Raises `CsrfRefused` unless the write comes from one of our origins and carries the session's
        token.
        """
        self.check_origin(headers)
        given = headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode()):
            raise CsrfRefused(
                f"A write with cookies takes the header X-CSRF-Token with the value of {self.csrf_name}."
            )

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """Raises `CsrfRefused` for a page of another origin. Who sends no Origin is no browser's cross-
        site write.
        """
        origin = headers.get("origin")
        if origin is None:
            if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                raise CsrfRefused("Cookies are accepted from our own pages only.")
            return
        host = headers.get("host", "")
        own = host and origin in (f"https://{host}", f"http://{host}")
        if not own and origin not in self._origins():
            raise CsrfRefused("Cookies are accepted from our own pages only.")

    def begin(self, *, access: str, refresh: str, csrf: str) -> list[str]:
        """The `Set-Cookie` values of a session. Pages may read the CSRF token and nothing else."""
        return [
            self._cookie(self.access_name, access, ACCESS_SECONDS),
            self._cookie(self.refresh_name, refresh, REFRESH_SECONDS, path=REFRESH_PATH),
            self._cookie(self.csrf_name, csrf, REFRESH_SECONDS, readable=True),
        ]

    def end(self) -> list[str]:
        return [
            self._cookie(self.access_name, "", 0),
            self._cookie(self.refresh_name, "", 0, path=REFRESH_PATH),
            self._cookie(self.csrf_name, "", 0, readable=True),
        ]

    def _cookie(self, name: str, value: str, seconds: int, *, path: str = "/", readable: bool = False) -> str:
        parts = [f"{name}={value}", f"Path={path}", f"Max-Age={seconds}", "SameSite=Lax"]
        if not readable:
            parts.append("HttpOnly")
        if self._secure:
            parts.append("Secure")
        return "; ".join(parts)


def _only(header: str, name: str) -> str | None:
    """The cookie's value; none where it comes twice, for then one of the two was planted."""
    found = [
        value.strip()
        for key, _, value in (pair.partition("=") for pair in header.split(";"))
        if key.strip() == name
    ]
    return found[0] if len(found) == 1 and found[0] else None
