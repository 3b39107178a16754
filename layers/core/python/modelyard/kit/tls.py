"""The one TLS context of a process: reading the system's certificates takes longer than many a handshake."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


@cache
def client_context() -> ssl.SSLContext:
    """Verifies servers against the system's certificates; imports `ssl` only for those who encrypt."""
    import ssl

    return ssl.create_default_context()
