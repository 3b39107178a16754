"""The deployment command: what it makes of URLs and secrets, and what it says when a tool is missing."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tools import deploy
from tools.deploy import bring_services, database_secret, put_secret, redis_secret

AWS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://owner:p%40ss@db.example.com:6543/models?sslmode=require",
            {
                "host": "db.example.com",
                "port": 6543,
                "username": "owner",
                "password": "p@ss",
                "dbname": "models",
                "sslmode": "require",
            },
        ),
        (
            "postgres://owner:x@db",
            {"host": "db", "port": 5432, "username": "owner", "password": "x", "dbname": "modelyard"},
        ),
    ],
)
def test_a_database_url_becomes_a_secret(url: str, expected: dict[str, Any]):
    assert database_secret(url) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rediss://:t%2Fok@cache:6380", {"host": "cache", "port": 6380, "tls": True, "password": "t/ok"}),
        ("redis://cache", {"host": "cache", "port": 6379, "tls": False}),
    ],
)
def test_a_redis_url_becomes_a_secret(url: str, expected: dict[str, Any]):
    assert redis_secret(url) == expected


@pytest.mark.parametrize("url", ["mysql://a:b@c", "postgresql://", "postgresql://host/db", "nonsense"])
def test_other_database_urls_say_what_is_expected(url: str):
    with pytest.raises(ValueError, match="postgresql://user:password@host"):
        database_secret(url)


@pytest.mark.parametrize("url", ["http://cache", "redis://"])
def test_other_redis_urls_say_what_is_expected(url: str):
    with pytest.raises(ValueError, match="redis://:password@host"):
        redis_secret(url)


def test_bringing_services_twice_keeps_the_password_of_the_application():
    owner, cache = database_secret("postgres://o:x@db"), redis_secret("redis://cache")
    with mock_aws():
        client = boto3.client("secretsmanager", region_name="us-east-1")

        def read(name: str) -> dict[str, Any]:
            found: dict[str, Any] = json.loads(client.get_secret_value(SecretId=name)["SecretString"])
            return found

        bring_services("x", AWS, owner=owner, redis=cache)
        first = read("modelyard/x/database")
        bring_services("x", AWS, owner={**owner, "host": "other"}, redis=cache)
        second = read("modelyard/x/database")

        assert read("modelyard/x/database-owner") == {**owner, "host": "other"}
        assert read("modelyard/x/redis") == cache
    assert first["username"] == "modelyard_app"
    assert len(first["password"]) >= 24
    assert second == {**first, "host": "other"}


def test_a_secret_that_has_not_changed_gets_no_new_version():
    with mock_aws():
        client = boto3.client("secretsmanager", region_name="us-east-1")
        for _ in range(2):
            put_secret(client, "s", {"b": 1, "a": 2})

        assert len(client.list_secret_version_ids(SecretId="s")["Versions"]) == 1


@pytest.mark.parametrize("arguments", [["--stage", "x", "--postgres", "postgres://o:x@db"], []])
def test_half_a_command_explains_itself(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("sys.argv", ["deploy", *arguments])

    with pytest.raises(SystemExit) as end:
        deploy.main()

    assert end.value.code == 2
    assert "--" in capsys.readouterr().err
