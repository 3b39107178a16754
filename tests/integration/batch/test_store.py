"""Files of jobs in S3: large ones in parts, whole or not at all; deletions that stay in their folder."""

from __future__ import annotations

import pytest
from botocore.exceptions import EndpointConnectionError
from modelyard.batch.store import FileChanged, FileMissing, JobStore, job_prefix
from modelyard.kit.errors import Unavailable

from tests.support.batch import BUCKET

KEY = "jobs/usr_1/job_1/results.csv"


@pytest.fixture
def store(cloud):
    return JobStore(cloud.s3, BUCKET)


def test_a_small_result_is_one_put(store, cloud):
    assert store.write(KEY, iter([b"a", b"b"]), "text/csv") == 2

    assert cloud.read(KEY) == b"ab"
    assert cloud.s3.head_object(Bucket=BUCKET, Key=KEY)["ContentType"] == "text/csv"


def test_a_large_result_goes_up_in_parts(store, cloud):
    pieces = [bytes([number]) * 3_000_000 for number in range(7)]

    assert store.write(KEY, iter(pieces), "text/csv") == 21_000_000

    assert cloud.read(KEY) == b"".join(pieces)
    assert store.head(KEY).size == 21_000_000
    assert cloud.s3.head_object(Bucket=BUCKET, Key=KEY)["ETag"].endswith('-3"')


def test_a_result_that_breaks_off_leaves_nothing(store, cloud):
    def pieces():
        yield b"x" * 9_000_000
        raise FileMissing("a chunk is gone")

    with pytest.raises(FileMissing):
        store.write(KEY, pieces(), "text/csv")

    assert store.head(KEY) is None
    assert cloud.s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []


def test_reading_by_range_and_of_a_pinned_content(store, cloud):
    cloud.put(KEY, b"0123456789")
    etag = store.head(KEY).etag

    assert store.get(KEY, etag=etag, first=2, end=5) == b"234"
    assert store.get(KEY, first=7) == b"789"
    assert b"".join(store.stream(KEY, etag=etag)) == b"0123456789"
    cloud.put(KEY, b"other")
    with pytest.raises(FileChanged):
        store.get(KEY, etag=etag)
    with pytest.raises(FileMissing):
        store.get("jobs/usr_1/job_2/none")


@pytest.mark.parametrize("prefix", ["", "jobs/", "jobs/usr_1/", "models/a/b/", "jobs//x/"])
def test_only_a_folder_of_one_job_can_be_deleted(store, prefix):
    with pytest.raises(ValueError, match="own folder"):
        store.delete_prefix(prefix)


def test_deleting_a_job_leaves_its_neighbours(store, cloud):
    for name in ("job_1/a", "job_1/chunks/b", "job_12/a"):
        cloud.put(f"jobs/usr_1/{name}", b"x")

    assert store.delete_prefix(job_prefix("usr_1", "job_1")) == 2
    assert cloud.keys("jobs/") == ["jobs/usr_1/job_12/a"]


class Refusing:
    def delete_objects(self, **_):
        return {"Errors": [{"Code": "AccessDenied"}]}

    def head_object(self, **_):
        raise EndpointConnectionError(endpoint_url="http://s3")


def test_what_storage_refuses_is_said(cloud):
    store = JobStore(Refusing(), BUCKET)

    with pytest.raises(Unavailable):
        store.delete(KEY)
    with pytest.raises(Unavailable):
        store.head(KEY)


def test_a_bucket_that_is_gone_is_an_outage(cloud):
    with pytest.raises(Unavailable):
        JobStore(cloud.s3, "no-such-bucket-anywhere").put(KEY, b"x")
    with pytest.raises(Unavailable):
        JobStore(cloud.s3, "no-such-bucket-anywhere").get(KEY)
