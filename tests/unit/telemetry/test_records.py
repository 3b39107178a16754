"""The prediction record: a line that is read back as it was written, and junk that is told apart."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st
from modelyard.telemetry.records import MARKER, NotARecord, PredictionRecord, parse, rfc3339

AT = 1_795_600_000.125
RECORD = PredictionRecord(
    prediction_id="prd_01m891fjacx1adq5ac8mjpsdxp",
    user_id="usr_01m891fjacx1adq5ac8mjpsdxp",
    model_id="mdl_01m891fjacx1adq5ac8mjpsdxp",
    version_id="ver_01m891fjacx1adq5ac8mjpsdxp",
    model_version="v3",
    status_code=200,
    duration_ms=1.25,
    at=AT,
    rows=7,
    cached=True,
    runtime="onnx",
    request_id="r-1",
    endpoint="/predict/{model_id}",
    cold=True,
    routed=True,
)


def test_a_record_is_read_back_as_it_was_written():
    assert parse(RECORD.line()) == RECORD
    assert parse(RECORD.line().encode() + b"\n") == RECORD


def test_the_line_holds_the_fields_that_the_wire_promises():
    line = json.loads(RECORD.line())

    assert line["message"] == MARKER
    assert line["timestamp"] == "2026-11-25T09:46:40.125Z"
    promised = "timestamp level user_id endpoint method status_code response_time_ms model_id"
    assert set(promised.split()) | {"model_version", "request_id"} <= set(line)
    assert "\n" not in RECORD.line()


def test_the_line_is_metrics_too_without_an_id_as_dimension():
    line = json.loads(RECORD.line())
    (declared,) = line["_aws"]["CloudWatchMetrics"]

    assert declared["Dimensions"] == [["service"]]
    assert line["service"] == "predict"
    for metric in declared["Metrics"]:
        assert isinstance(line[metric["Name"]], int | float)
    assert line["_aws"]["Timestamp"] == int(AT * 1000)


@pytest.mark.parametrize(
    ("status", "level", "failures"), [(200, "INFO", 0), (422, "INFO", 0), (500, "ERROR", 1)]
)
def test_only_our_failures_are_failures(status, level, failures):
    from dataclasses import replace

    line = json.loads(replace(RECORD, status_code=status).line())

    assert (line["level"], line["failures"]) == (level, failures)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "x",
        "[]",
        "1",
        "null",
        "{}",
        '{"message": "request"}',
        "START RequestId: 1 Version: 2",
        b"\xff\xfe",
        "{",
    ],
)
def test_other_lines_are_no_records(line):
    with pytest.raises(NotARecord):
        parse(line)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("prediction_id", None),
        ("prediction_id", ""),
        ("prediction_id", "p" * 31),
        ("prediction_id", "a\0b"),
        ("user_id", 7),
        ("model_id", []),
        ("status_code", "200"),
        ("status_code", True),
        ("status_code", 99),
        ("status_code", 600),
        ("rows", -1),
        ("rows", 2**31),
        ("rows", 1.5),
        ("response_time_ms", None),
        ("response_time_ms", -1),
        ("response_time_ms", "1"),
        ("timestamp", None),
        ("timestamp", "yesterday"),
        ("timestamp", "2026-11-25T09:46:40"),
        ("timestamp", "0001-01-01T00:00:00Z"),
        ("timestamp", "9999-12-31T23:59:59Z"),
        ("request_id", {}),
    ],
)
def test_a_record_that_cannot_be_stored_is_none(key, value):
    line = json.loads(RECORD.line()) | {key: value}

    with pytest.raises(NotARecord, match=key):
        parse(json.dumps(line))


def test_texts_fit_their_columns_and_lose_what_postgresql_refuses():
    line = json.loads(RECORD.line()) | {"request_id": "a\0" * 200, "endpoint": "é" * 999, "error": "e" * 99}

    found = parse(json.dumps(line))

    assert found.request_id == "a" * 128
    assert (len(found.endpoint), len(found.error or "")) == (256, 64)


def test_what_may_be_missing():
    line = json.loads(RECORD.line())
    for key in (
        "version_id",
        "model_version",
        "runtime",
        "error",
        "request_id",
        "endpoint",
        "method",
        "service",
        "cold",
        "routed",
    ):
        del line[key]

    found = parse(json.dumps(line))

    assert (found.version_id, found.request_id, found.method) == (None, "", "")
    assert (found.cold, found.routed) == (False, False)


@given(st.floats(min_value=1_600_000_000, max_value=7_000_000_000))
def test_times_are_written_as_others_read_them(at):
    from datetime import UTC, datetime

    assert datetime.fromisoformat(rfc3339(at)).timestamp() == pytest.approx(int(at * 1000) / 1000, abs=1e-6)
    assert rfc3339(at)[:19] == datetime.fromtimestamp(int(at), UTC).isoformat()[:19]


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_no_line_makes_the_parser_raise_anything_else(line):
    try:
        parse(line)
    except NotARecord:
        return
    raise AssertionError("random text is no record")


@given(
    st.dictionaries(st.sampled_from(list(json.loads(RECORD.line()))), st.none() | st.integers() | st.text())
)
def test_no_damage_to_a_record_makes_the_parser_raise_anything_else(damage):
    line = json.loads(RECORD.line()) | damage
    try:
        found = parse(json.dumps(line))
    except NotARecord:
        return
    assert "\0" not in found.request_id
    assert 100 <= found.status_code < 600
