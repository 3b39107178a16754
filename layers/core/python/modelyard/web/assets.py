"""Files beside a handler, as a browser wants them: typed, compressed, and sent once."""

from __future__ import annotations

import gzip
import mimetypes
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import Request
from fastapi.responses import Response

from modelyard.kit.errors import NotFound
from modelyard.kit.hashing import sha256_hex

_NAME = re.compile(r"^[a-z0-9][a-z0-9.-]{0,63}$")
_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".json": "application/json"}


class NoSuchAsset(NotFound):
    code, title = "no_such_asset", "No such file"


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    packed: bytes  # gzip
    media_type: str
    etag: str


class Assets:
    """The files of one folder. Names are checked before a path is made of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read = cache(self._load)

    def answer(
        self, request: Request, name: str, *, seconds: int, policy: str = "default-src 'none'"
    ) -> Response:
        """The file `name`, to be kept for `seconds`, with `policy` as Content-Security-Policy; 304 where the
        client has it already.
        """
        asset = self._read(name)
        headers = {
            "ETag": asset.etag,
            "Cache-Control": f"public, max-age={seconds}",
            "Content-Security-Policy": policy,
            "Vary": "Accept-Encoding",
        }
        if asset.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(asset.packed, media_type=asset.media_type, headers=headers)
        return Response(asset.content, media_type=asset.media_type, headers=headers)

    def _load(self, name: str) -> Asset:
        path = self._folder / name
        if not _NAME.match(name) or not path.is_file():
            raise NoSuchAsset("There is no such file here.")
        content = path.read_bytes()
        kind = _TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Asset(content, gzip.compress(content, 6, mtime=0), kind, f'"{sha256_hex(content)[:32]}"')
