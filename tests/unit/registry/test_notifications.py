"""S3's notifications, read and repeated."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st
from modelyard.registry.notifications import Arrival, NotANotification, arrivals, notification


def record(key="uploads/u/m/f", *, event="ObjectCreated:Post", bucket="data", **described):
    return {
        "eventName": event,
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "versionId": "v1"} | described},
    }


def body(*records):
    return json.dumps({"Records": list(records)})


def test_keys_come_quoted():
    found = arrivals(body(record("uploads/u/m/a+b%2Bc%C3%A9.pkl")), bucket="data")
    assert found == [Arrival("uploads/u/m/a b+cé.pkl", "v1")]


def test_one_message_may_hold_several():
    assert len(arrivals(body(record("a"), record("b"), record("c")), bucket="data")) == 3


def test_an_unversioned_bucket_has_the_version_null():
    assert arrivals(body(record(versionId=None)), bucket="data")[0].s3_version == "null"


@pytest.mark.parametrize(
    "message",
    [
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "data"}),
        body(record(event="ObjectRemoved:Delete")),
        body(record(event="s3:ObjectRestore:Post")),
        body(record(bucket="somebody-elses")),
        body(),
    ],
)
def test_nothing_arrived(message):
    assert arrivals(message, bucket="data") == []


@pytest.mark.parametrize(
    "message",
    [
        "",
        "x",
        "[]",
        "7",
        "null",
        "{}",
        '{"Records": 1}',
        '{"Records": [{}]}',
        '{"Records": [{"eventName": "ObjectCreated:Put"}]}',
    ],
)
def test_nonsense_is_told_from_nothing(message):
    with pytest.raises(NotANotification):
        arrivals(message, bucket="data")


@given(st.text(min_size=1).filter(lambda text: text.isprintable()), st.text("abc.-_", min_size=1))
def test_what_the_sweep_repeats_is_read_as_it_was(key, version):
    arrival = Arrival(key, version)
    assert arrivals(notification(arrival, bucket="data"), bucket="data") == [arrival]
