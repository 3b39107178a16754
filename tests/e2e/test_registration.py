"""From a file to a served version: through the presigned form, as multipart, and dropped into the bucket."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Cloud, Served
from tests.support.account import Account, expect, send_form
from tests.support.estimators import dumped, forest


def test_a_presigned_upload_becomes_a_ready_version(iris_model: Served):
    version = iris_model.version

    assert (version["version"], version["runtime"], version["format"]) == ("v1", "onnx", "joblib")
    assert version["reason"] is None
    assert version["size"] == len(dumped(forest()))
    assert version["sha256"] == hashlib.sha256(dumped(forest())).hexdigest()
    assert version["signature"]["outputs"]


def test_a_multipart_upload_becomes_a_ready_version(people_model: Served):
    version = people_model.version

    assert (version["version"], version["runtime"]) == ("v1", "onnx")
    assert [column["name"] for column in version["signature"]["columns"]] == ["age", "income", "city", "plan"]


def test_the_example_of_a_version_predicts(people_model: Served):
    answer = people_model.owner.predict(people_model.model_id, people_model.version["example"])

    assert len(expect(answer, 200)["predictions"]) >= 1


def test_a_registered_model_is_listed(iris_model: Served):
    owner = iris_model.owner

    (model,) = expect(owner.api.get("/models"), 200)["items"]

    assert (model["model_id"], model["name"], model["default_version"]) == (iris_model.model_id, "iris", "v1")
    assert expect(owner.api.get(f"/models/{iris_model.model_id}"), 200)["latest_status"] == "ready"


def test_a_file_dropped_into_the_bucket_registers_as_the_next_version(
    cloud: Cloud, account: Callable[[], Account]
):
    user = account()
    first = user.upload_multipart("dropped", dumped(forest()))
    user.ready(first)

    key = f"uploads/{user.user_id}/dropped/retrained.joblib"
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key=key, Body=dumped(forest()))

    versions = f"/models/{first['model_id']}/versions"
    page = user.poll(
        versions, lambda body: {v["status"] for v in body["items"]} == {"ready"} and len(body["items"]) == 2
    )
    newest = page["items"][0]
    assert (newest["version"], newest["filename"]) == ("v2", "retrained.joblib")
    assert expect(user.api.get(f"/models/{first['model_id']}"), 200)["default_version"] == "v1"
    answer = user.predict(first["model_id"], {"inputs": [[5.1, 3.5, 1.4, 0.2]]}, version="v2")
    assert expect(answer, 200)["model_version"] == "v2"


def test_the_same_delivery_twice_makes_one_version(cloud: Cloud, account: Callable[[], Account]):
    user = account()
    created = user.upload("twice", dumped(forest()))
    user.ready(created)
    (key, version_id) = cloud.rows(
        "select upload_key, upload_s3_version from model_versions where id = %s", created["version_id"]
    )[0]
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Post",
        "s3": {"bucket": {"name": cloud.bucket}, "object": {"key": key, "size": 1, "versionId": version_id}},
    }
    sqs = cloud.client("sqs")
    queue = sqs.get_queue_url(QueueName="modelyard-local-register")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"Records": [record]}))

    empty = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")

    def drained(_: object) -> bool:
        found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=list(empty))["Attributes"]
        return all(found[name] == "0" for name in empty)

    page = user.poll(f"/models/{created['model_id']}/versions", drained, seconds=60)
    assert [version["status"] for version in page["items"]] == ["ready"]


def test_a_file_smaller_than_declared_does_not_become_ready(account: Callable[[], Account]):
    user = account()
    content = dumped(forest())
    created = user.announce("smaller", "model.joblib", len(content) + 1)

    sent = send_form(created["upload"], content)

    assert sent.status_code == 204
    version = user.wait(created)
    assert version["status"] == "failed"
    assert "size" in version["reason"]["rule"]


@pytest.mark.parametrize(
    ("order", "pointer"),
    [
        ({"name": "../other", "filename": "m.joblib", "size": 10}, "/name"),
        ({"name": "m", "filename": "m.joblib", "size": 0}, "/size"),
        ({"name": "m", "filename": "m.joblib", "size": "10"}, "/size"),
        ({"filename": "m.joblib", "size": 10}, "/name"),
    ],
)
def test_an_order_that_cannot_work_says_which_field(
    iris_model: Served, order: dict[str, object], pointer: str
):
    answer = iris_model.owner.api.post("/models/upload", json=order)

    assert pointer in {error["pointer"] for error in expect(answer, 422)["errors"]}


def test_a_file_over_the_limit_of_multipart_is_sent_to_the_presigned_way(account: Callable[[], Account]):
    user = account()

    answer = user.api.post(
        "/models/upload", data={"name": "big"}, files={"file": ("m.joblib", b"x" * 8_000_000)}
    )

    assert answer.status_code == 413
    assert "presigned" in answer.json()["detail"]
