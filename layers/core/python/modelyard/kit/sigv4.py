"""Signatures of AWS requests (version 4) and the credentials they are made with, without botocore."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

_REFRESH_BEFORE = 300.0  # seconds before credentials expire in which new ones are fetched
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"


class NoCredentials(OSError):
    """The environment offers no credentials for AWS."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """`expires` is a moment of `time.time()`, infinite for those of the environment's own variables."""

    access_key: str
    secret_key: str
    token: str | None = None
    expires: float = float("inf")


class CredentialSource:
    """Credentials of the function's role: from its variables, or from the container endpoint under SnapStart.

    The latter expire and are fetched again in time; where that fails, those at hand are used until they end.
    """

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        *,
        fetch: Callable[[str, Mapping[str, str]], bytes] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._environment = environment
        self._fetch = fetch or _fetch
        self._now = now
        self._lock = threading.Lock()
        self._kept: Credentials | None = None

    def get(self) -> Credentials:
        env = self._environment
        access_key, secret_key = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")
        if access_key and secret_key:
            return Credentials(access_key, secret_key, env.get("AWS_SESSION_TOKEN") or None)
        with self._lock:
            kept = self._kept
            if kept is not None and self._now() < kept.expires - _REFRESH_BEFORE:
                return kept
            try:
                self._kept = self._from_container()
            except Exception:
                if kept is None or self._now() >= kept.expires:
                    raise
                return kept
            return self._kept

    def _from_container(self) -> Credentials:
        env = self._environment
        url = env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        if not url and env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
            url = "http://169.254.170.2" + env["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]
        if not url:
            raise NoCredentials("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        headers = {}
        if env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"):
            headers["Authorization"] = env["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
        data = json.loads(self._fetch(url, headers))
        return Credentials(
            data["AccessKeyId"], data["SecretAccessKey"], data.get("Token"), _epoch(str(data["Expiration"]))
        )


def _fetch(url: str, headers: Mapping[str, str]) -> bytes:
    from urllib.request import Request, urlopen  # only where credentials come from the container endpoint

    with urlopen(Request(url, headers=dict(headers)), timeout=2) as answer:  # noqa: S310  # nosec: from the platform
        body: bytes = answer.read()
    return body


def _epoch(moment: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(moment).timestamp()


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for one service in one region."""

    service: str
    region: str
    credentials: Callable[[], Credentials]
    now: Callable[[], float] = time.time

    def headers(
        self,
        method: str,
        host: str,
        path: str,
        query: Mapping[str, str],
        body_sha256: str,
        extra: Mapping[str, str],
    ) -> dict[str, str]:
        """All headers of the request, `Authorization` among them. `path` is already percent-encoded."""
        credentials = self.credentials()
        stamp = _stamp(self.now())
        headers = {name.lower(): value for name, value in extra.items()}
        headers |= {"host": host, "x-amz-date": stamp, "x-amz-content-sha256": body_sha256}
        if credentials.token:
            headers["x-amz-security-token"] = credentials.token
        signed = ";".join(sorted(headers))
        signature = self._sign(credentials, stamp, method, path, query, headers, signed, body_sha256)
        scope = f"{credentials.access_key}/{self._scope(stamp)}"
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={signature}"
        )
        return headers

    def presigned_query(
        self, method: str, host: str, path: str, query: Mapping[str, str], *, seconds: int
    ) -> str:
        """The query string that lets whoever holds it make this one request for so many seconds."""
        credentials = self.credentials()
        stamp = _stamp(self.now())
        full = {
            **query,
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{credentials.access_key}/{self._scope(stamp)}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "host",
        }
        if credentials.token:
            full["X-Amz-Security-Token"] = credentials.token
        signature = self._sign(credentials, stamp, method, path, full, {"host": host}, "host", UNSIGNED)
        return f"{encode_query(full)}&X-Amz-Signature={signature}"

    def _scope(self, stamp: str) -> str:
        return f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"

    def _sign(
        self,
        credentials: Credentials,
        stamp: str,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        signed: str,
        body_sha256: str,
    ) -> str:
        lines = [f"{name}:{' '.join(headers[name].split())}" for name in signed.split(";")]
        # S3 signs the path as sent; every other service signs it encoded once more.
        canonical_path = path if self.service == "s3" else quote(path, safe="/~")
        request = "\n".join([method, canonical_path, encode_query(query), *lines, "", signed, body_sha256])
        text = "\n".join(
            ["AWS4-HMAC-SHA256", stamp, self._scope(stamp), hashlib.sha256(request.encode()).hexdigest()]
        )
        key = f"AWS4{credentials.secret_key}".encode()
        for part in (stamp[:8], self.region, self.service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()


def encode_path(path: str) -> str:
    """Percent-encoded as AWS wants it; slashes stay."""
    return quote(path, safe="/~")


def encode_query(query: Mapping[str, str]) -> str:
    """In canonical order, which is also a good order to send."""
    return "&".join(
        sorted(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in query.items())
    )


def _stamp(epoch: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(epoch))
