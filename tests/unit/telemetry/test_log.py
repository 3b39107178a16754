"""The logger: JSON lines, no secrets, never in the way."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st
from modelyard.telemetry.log import HIDDEN, logger, redact, request_done


def written(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_is_one_json_object_in_utc(capsys):
    logger.info("version ready", model_id="mdl_1")

    (line,) = written(capsys)
    assert (line["message"], line["level"], line["model_id"]) == ("version ready", "INFO", "mdl_1")
    assert line["timestamp"].endswith("Z")
    assert line["service"]


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "new_password",
        "Authorization",
        "access_token",
        "refreshToken",
        "cookie",
        "Set-Cookie",
        "api_key",
        "X-API-Key",
        "client_secret",
        "private_key",
        "x-csrf-token",
    ],
)
def test_values_of_secret_keys_never_show(capsys, key):
    logger.info("here", **{"headers": {key: "s3cr3t-value"}, "list": [{key: ["s3cr3t-value"]}]})

    out = capsys.readouterr().out
    assert "s3cr3t-value" not in out
    assert HIDDEN in out


@pytest.mark.parametrize(
    "key", ["token_type", "credential_id", "secret_name", "secret_arn", "monkey", "keyboard"]
)
def test_names_about_secrets_that_are_none_do_show(key):
    assert redact({key: "fine"}) == {key: "fine"}


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abc.def.ghi",
        "postgresql://app:hunter2@db:5432/modelyard",
        "https://b.s3.amazonaws.com/k?X-Amz-Signature=hunter2&X-Amz-Credential=hunter2",
        "password='hunter2'",
        "token: hunter2",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.hunter2",
    ],
)
def test_secrets_inside_texts_are_seen(text):
    hidden = redact(text)

    assert "hunter2" not in hidden
    assert "abc.def" not in hidden


def test_the_text_of_an_exception_is_cleaned_too(capsys):
    try:
        raise ValueError("cannot connect to postgresql://app:hunter2@db/x")
    except ValueError:
        logger.exception("failed")

    (line,) = written(capsys)
    assert "hunter2" not in json.dumps(line)
    assert line["exception_name"] == "ValueError"
    assert "Traceback" in line["exception"]


def test_what_json_cannot_hold_is_written_all_the_same(capsys):
    class Odd:
        def __str__(self):
            return "odd"

    deep: dict = {}
    deep["deep"] = deep
    logger.info(
        "odd", big=2**70, lone="\ud800", data=b"abc", odd=Odd(), many={1, 2}, deep=deep, long="x" * 99_999
    )

    (line,) = written(capsys)
    assert line["big"] == 2**70
    assert line["data"] == "[3 bytes]"
    assert line["odd"] == "odd"
    assert "nested too deeply" in json.dumps(line["deep"])
    assert len(line["long"]) < 20_000


@given(st.recursive(st.none() | st.text() | st.integers() | st.floats() | st.binary(), st.lists))
def test_redacting_never_raises(value):
    redact({"value": value})


def test_the_line_of_a_request(capsys):
    request_done(
        endpoint="/jobs/{job_id}",
        method="GET",
        status_code=503,
        response_time_ms=1.23456,
        request_id="r",
        ip="::1",
    )

    (line,) = written(capsys)
    assert (line["level"], line["failures"], line["response_time_ms"]) == ("ERROR", 1, 1.235)
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert line["ip"] == "::1"
