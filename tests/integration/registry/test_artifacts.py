"""What the store makes of S3's answers."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from modelyard.kit.errors import Unavailable
from modelyard.registry.artifacts import ArtifactStore, ObjectMissing, ObjectTooLarge, ObjectVersion

BUCKET = "modelyard-test-data"


class Denying:
    """S3 as a role sees it that may list only some prefixes: what is missing is denied."""

    def __init__(self, s3, code="403"):
        self._s3 = s3
        self._code = code

    def __getattr__(self, name):
        return getattr(self._s3, name)

    def head_object(self, **_):
        raise ClientError({"Error": {"Code": self._code}}, "HeadObject")


def test_the_newest_version_and_a_named_one(store, cloud):
    first, second = cloud.put("uploads/a", b"1"), cloud.put("uploads/a", b"22")
    assert store.head("uploads/a") == ObjectVersion("uploads/a", second, 2)
    assert store.head("uploads/a", first) == ObjectVersion("uploads/a", first, 1)


@pytest.mark.parametrize("version", [None, "never-given-out", "null"])
def test_what_is_missing(store, version):
    with pytest.raises(ObjectMissing):
        store.head("uploads/nothing", version)


def test_denied_and_not_listed_is_missing(cloud):
    cloud.put("uploads/a/longer", b"1")
    with pytest.raises(ObjectMissing):
        ArtifactStore(Denying(cloud.s3), BUCKET).head("uploads/a")


@pytest.mark.parametrize("code", ["403", "SlowDown", "500"])
def test_denied_although_it_is_there_is_the_platforms_fault(cloud, code):
    cloud.put("uploads/a", b"1")
    with pytest.raises(Unavailable):
        ArtifactStore(Denying(cloud.s3, code), BUCKET).head("uploads/a")


def test_more_bytes_than_were_promised_are_not_read(store, cloud, tmp_path):
    version = cloud.put("uploads/a", b"four")
    with pytest.raises(ObjectTooLarge):
        store.download(ObjectVersion("uploads/a", version, 3), tmp_path / "file")


def test_a_download_is_what_was_stored(store, cloud, tmp_path):
    content = b"x" * 3_000_000
    source = ObjectVersion("uploads/a", cloud.put("uploads/a", content), len(content))
    digest = store.download(source, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content
    assert digest == store.sha256(source)


def test_a_connection_lost_is_the_platforms_fault(cloud):
    class Slow:
        def get_object(self, **_):
            raise ReadTimeoutError(endpoint_url="https://s3")

    with pytest.raises(Unavailable):
        ArtifactStore(Slow(), BUCKET).sha256(ObjectVersion("uploads/a", "v", 1))
