"""Our signatures are botocore's, byte for byte, and credentials are fetched again in time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from modelyard.kit.sigv4 import (
    EMPTY_SHA256,
    Credentials,
    CredentialSource,
    NoCredentials,
    Signer,
    encode_path,
    encode_query,
)

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _still_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.auth

    monkeypatch.setattr(
        botocore.auth, "get_current_datetime", lambda remove_tzinfo=True: NOW.replace(tzinfo=None)
    )


def signer(service: str, token: str | None) -> Signer:
    return Signer(
        service, "eu-central-1", lambda: Credentials("AKID", "secret/key+", token), lambda: NOW.timestamp()
    )


@pytest.mark.parametrize("token", [None, "a/session+token=="])
@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", "/models/a b/ü+~v1.onnx", {}, b""),
        ("GET", "/x", {"versionId": "a/b=c d", "a": "1"}, b""),
        ("POST", "/2015-03-31/functions/arn%3Aaws/invocations", {}, b'{"a": 1}'),
    ],
)
@pytest.mark.parametrize("service", ["s3", "lambda", "secretsmanager"])
def test_headers_equal_botocores(
    service: str, method: str, path: str, query: dict[str, str], body: bytes, token: str | None
) -> None:
    import hashlib

    encoded = path if "%" in path else encode_path(path)
    host = f"{service}.eu-central-1.amazonaws.com"
    digest = hashlib.sha256(body).hexdigest() if body else EMPTY_SHA256
    extra = {"Content-Type": "application/json", "X-Amz-Tenant-Id": "  usr_1   x "}
    ours = signer(service, token).headers(method, host, encoded, query, digest, extra)

    from botocore.auth import S3SigV4Auth

    auth = (S3SigV4Auth if service == "s3" else SigV4Auth)(
        BotoCredentials("AKID", "secret/key+", token), service, "eu-central-1"
    )
    request = AWSRequest(method, f"https://{host}{encoded}", headers=extra, data=body, params=query)
    request.headers["X-Amz-Content-SHA256"] = digest
    request.context["payload_signing_enabled"] = True
    auth.add_auth(request)
    assert ours["authorization"] == request.headers["Authorization"]


@pytest.mark.parametrize("token", [None, "a/session+token=="])
def test_presigned_urls_equal_botocores(token: str | None) -> None:
    host, path = "bucket.s3.eu-central-1.amazonaws.com", encode_path("/models/ü b/v1+2")
    ours = signer("s3", token).presigned_query("GET", host, path, {"versionId": "3"}, seconds=300)
    auth = S3SigV4QueryAuth(BotoCredentials("AKID", "secret/key+", token), "s3", "eu-central-1", expires=300)
    request = AWSRequest("GET", f"https://{host}{path}", params={"versionId": "3"})
    auth.add_auth(request)
    assert parse_qs(ours) == parse_qs(urlsplit(request.url).query)


def test_queries_are_in_canonical_order() -> None:
    assert encode_query({"b": "2", "a": "1 /~"}) == "a=1%20%2F~&b=2"


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class TestCredentials:
    def test_of_the_environment(self) -> None:
        environment = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
        source = CredentialSource(environment)
        assert source.get() == Credentials("a", "b", "c")
        environment["AWS_SESSION_TOKEN"] = ""  # read at every use
        assert source.get().token is None

    def test_none(self) -> None:
        with pytest.raises(NoCredentials, match="AWS_ACCESS_KEY_ID"):
            CredentialSource({}).get()

    def container(self, environment: dict[str, str]) -> tuple[CredentialSource, Clock, list[Any]]:
        clock, calls = Clock(), []

        def fetch(url: str, headers: Any) -> bytes:
            calls.append((url, dict(headers)))
            expires = datetime.fromtimestamp(clock.now + 900, UTC).isoformat().replace("+00:00", "Z")
            return json.dumps(
                {
                    "AccessKeyId": f"key{len(calls)}",
                    "SecretAccessKey": "s",
                    "Token": "t",
                    "Expiration": expires,
                }
            ).encode()

        return CredentialSource(environment, fetch=fetch, now=clock), clock, calls

    def test_of_the_container_are_refreshed_before_they_expire(self) -> None:
        source, clock, calls = self.container(
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.1.1/creds",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": "let me in",
            }
        )
        assert [source.get().access_key, source.get().access_key] == ["key1", "key1"]
        assert calls == [("http://169.254.1.1/creds", {"Authorization": "let me in"})]
        clock.now += 601  # less than five minutes left
        assert source.get().access_key == "key2"

    def test_the_relative_address(self) -> None:
        source, _, calls = self.container({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/creds"})
        source.get()
        assert calls == [("http://169.254.170.2/creds", {})]

    def test_an_outage_leaves_those_at_hand_in_use_until_they_end(self) -> None:
        source, clock, calls = self.container({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://x/"})
        source.get()

        def broken(url: str, headers: Any) -> bytes:
            raise OSError

        source._fetch = broken
        clock.now += 800
        assert source.get().access_key == "key1"
        clock.now += 101
        with pytest.raises(OSError):
            source.get()
        assert len(calls) == 1

    def test_over_http(self) -> None:
        from tests.support.aws import AwsStub

        with AwsStub() as aws:
            aws.objects["creds"] = (
                b'{"AccessKeyId":"a","SecretAccessKey":"b","Token":"c","Expiration":"2099-01-01T00:00:00Z"}'
            )
            source = CredentialSource({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{aws.url}/creds"})
            assert source.get().access_key == "a"
