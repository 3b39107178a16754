"""The few AWS calls of the hot path over `http.client`: botocore alone would cost more than a cold start may.

Honours `AWS_ENDPOINT_URL` (and `AWS_ENDPOINT_URL_S3`, …), `AWS_REGION`, `AWS_USE_DUALSTACK_ENDPOINT`, session
tokens and expiring credentials. Connections are kept, every call has a deadline. All else uses boto3.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from modelyard.kit.sigv4 import (
    EMPTY_SHA256,
    CredentialSource,
    Signer,
    encode_path,
    encode_query,
)
from modelyard.kit.tls import client_context

_CHUNK = 1 << 20
_TRIES = 3
_CONNECT_SECONDS = 3.0
_MOST_ERROR_BYTES = 64 << 10
_RETRIED = frozenset({429, 500, 502, 503, 504})


class AwsError(OSError):
    """AWS answered with an error, or not at all (status 0). `code` is AWS's own word for it."""

    def __init__(self, service: str, status: int, code: str) -> None:
        super().__init__(f"{service}: {code or 'error'} ({status})")
        self.status = status
        self.code = code


class Service:
    """One service's endpoint in one region. Safe for threads: each has its own connection."""

    def __init__(
        self,
        name: str,
        *,
        credentials: CredentialSource | None = None,
        environment: Mapping[str, str] = os.environ,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
        source = credentials or CredentialSource(environment)
        self.signer = Signer(name, region, source.get, now)
        self.custom = environment.get(f"AWS_ENDPOINT_URL_{name.upper()}") or environment.get(
            "AWS_ENDPOINT_URL"
        )
        dualstack = environment.get("AWS_USE_DUALSTACK_ENDPOINT", "").lower() == "true"
        self.url = (self.custom or f"https://{_hostname(name, region, dualstack)}").rstrip("/")
        self._local = threading.local()

    def request(
        self,
        method: str,
        host_prefix: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        seconds: float,
    ) -> http.client.HTTPResponse:
        """The answer, whose body is still to be read; raises `AwsError` for a status of 400 and above.

        What AWS asks to be repeated is repeated, as long as `seconds` allow.
        """
        deadline = time.monotonic() + seconds
        pause = 0.05
        for left in range(_TRIES - 1, -1, -1):
            try:
                return self._once(method, host_prefix, path, query or {}, headers or {}, body, deadline)
            except AwsError as error:
                retry = error.status in _RETRIED or error.code in _THROTTLED
                if not left or not retry or time.monotonic() + pause >= deadline:
                    raise
            time.sleep(pause)
            pause *= 4
        raise AssertionError("unreachable")

    def _once(
        self,
        method: str,
        host_prefix: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        deadline: float,
    ) -> http.client.HTTPResponse:
        base = urlsplit(self.url)
        host = host_prefix + base.netloc
        full_path = base.path + path
        digest = hashlib.sha256(body).hexdigest() if body else EMPTY_SHA256
        signed = self.signer.headers(method, host, full_path, query, digest, headers)
        target = full_path + (f"?{encode_query(query)}" if query else "")
        answer = self._send(base.scheme, host, method, target, signed, body, deadline)
        if answer.status < 400:
            return answer
        code = _error_code(answer)
        raise AwsError(self.name, answer.status, code)

    def _send(
        self,
        scheme: str,
        host: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        deadline: float,
    ) -> http.client.HTTPResponse:
        connections = self._connections()
        for fresh in (False, True):
            connection = None if fresh else connections.pop(host, None)
            reused = connection is not None
            if connection is None:
                connection = _connection(scheme, host)
            try:
                return self._exchange(connection, method, target, headers, body, deadline, host)
            except (ConnectionError, http.client.HTTPException) as error:
                connection.close()
                if (
                    not reused
                ):  # a kept connection may have been closed meanwhile; a new one was really refused
                    raise AwsError(self.name, 0, type(error).__name__) from error
            except OSError as error:
                connection.close()
                raise AwsError(self.name, 0, type(error).__name__) from error
        raise AssertionError("unreachable")

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        deadline: float,
        host: str,
    ) -> http.client.HTTPResponse:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline")
        if connection.sock is None:
            connection.timeout = min(left, _CONNECT_SECONDS)
            connection.connect()
        connection.sock.settimeout(max(0.001, deadline - time.monotonic()))
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body or method in ("POST", "PUT"):
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        # Until this answer is read http.client refuses a second request, which then gets a new connection.
        self._connections()[host] = connection
        return answer

    def _connections(self) -> dict[str, http.client.HTTPConnection]:
        kept: dict[str, http.client.HTTPConnection] | None = getattr(self._local, "connections", None)
        if kept is None:
            kept = self._local.connections = {}
        return kept


class S3Objects:
    """Reading objects of one bucket."""

    def __init__(self, service: Service, bucket: str, *, seconds: float = 30.0) -> None:
        self._service = service
        self._seconds = seconds
        # One address form for all: custom endpoints and names with dots need the path form.
        virtual = service.custom is None and "." not in bucket
        self._prefix = f"{bucket}." if virtual else ""
        self._base = "/" if virtual else f"/{encode_path(bucket)}/"

    def get(self, key: str) -> Iterator[bytes]:
        """The object in chunks of 1 MiB; `KeyError` where there is none, `AwsError` otherwise."""
        try:
            answer = self._service.request("GET", self._prefix, self._path(key), seconds=self._seconds)
        except AwsError as error:
            if error.status == 404:
                raise KeyError(key) from error
            raise
        return self._chunks(answer)

    def presigned_get(self, key: str, *, seconds: int = 300) -> str:
        base = urlsplit(self._service.url)
        host, path = self._prefix + base.netloc, base.path + self._path(key)
        query = self._service.signer.presigned_query("GET", host, path, {}, seconds=seconds)
        return f"{base.scheme}://{host}{path}?{query}"

    def _path(self, key: str) -> str:
        return self._base + encode_path(key)

    def _chunks(self, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        try:
            while chunk := answer.read(_CHUNK):
                yield chunk
        except http.client.HTTPException as error:  # the connection ended before the object did
            raise AwsError("s3", 0, type(error).__name__) from error


class Lambda:
    """Invoking functions and waiting for their answers."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def invoke(self, function: str, payload: bytes, *, tenant: str | None, seconds: float) -> bytes:
        """The answer's payload. `AwsError` with code `FunctionError` where the function itself failed."""
        path = f"/2015-03-31/functions/{encode_path(function).replace('/', '%2F')}/invocations"
        headers = {"content-type": "application/json", "x-amz-invocation-type": "RequestResponse"}
        if tenant is not None:
            headers["x-amz-tenant-id"] = tenant
        answer = self._service.request("POST", "", path, headers=headers, body=payload, seconds=seconds)
        body = _read(self._service.name, answer)
        if answer.headers.get("x-amz-function-error"):
            raise AwsError("lambda", answer.status, _function_error(body))
        return body


class SecretsManager:
    def __init__(self, service: Service, *, seconds: float = 5.0) -> None:
        self._service = service
        self._seconds = seconds

    def get(self, name: str) -> str:
        """The current `SecretString`, by name or ARN."""
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": "secretsmanager.GetSecretValue",
        }
        body = json.dumps({"SecretId": name}).encode()
        answer = self._service.request("POST", "", "/", headers=headers, body=body, seconds=self._seconds)
        return str(json.loads(_read(self._service.name, answer))["SecretString"])


_THROTTLED = frozenset(
    {"ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}
)


def _connection(scheme: str, host: str) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, timeout=_CONNECT_SECONDS, context=client_context())
    return http.client.HTTPConnection(host, timeout=_CONNECT_SECONDS)


def _hostname(service: str, region: str, dualstack: bool) -> str:
    china = region.startswith("cn-")
    if not dualstack:
        host = f"{service}.{region}.amazonaws.com"
    elif service == "s3":
        host = f"s3.dualstack.{region}.amazonaws.com"
    else:
        return f"{service}.{region}.api.amazonwebservices.com.cn" if china else f"{service}.{region}.api.aws"
    return f"{host}.cn" if china else host


def _read(service: str, answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise AwsError(service, 0, type(error).__name__) from error


def _error_code(answer: http.client.HTTPResponse) -> str:
    """AWS's word for the error: a header, a JSON `__type` or `Code`, or the XML element `Code`."""
    try:
        body = answer.read(_MOST_ERROR_BYTES)
        answer.read()
    except (OSError, http.client.HTTPException):
        return ""
    named = answer.headers.get("x-amzn-errortype")
    if named:
        return str(named).partition(":")[0]
    if body.lstrip().startswith(b"{"):
        try:
            data: dict[str, Any] = json.loads(body)
        except ValueError:
            return ""
        return str(data.get("__type") or data.get("Code") or data.get("code") or "").rpartition("#")[2]
    _, found, rest = body.partition(b"<Code>")
    return rest.partition(b"</Code>")[0].decode("utf-8", "replace")[:64] if found else ""


def _function_error(body: bytes) -> str:
    try:
        return f"FunctionError:{json.loads(body).get('errorType', '')}"
    except (ValueError, AttributeError):
        return "FunctionError:"
