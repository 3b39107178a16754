"""The function behind the register queue: which messages are done with, and which come again."""

from __future__ import annotations

import json

import pytest
from modelyard.db.tables import User
from modelyard.registry.inspector import InspectionCrashed, InspectorUnavailable

from functions.register_model.handler import handle
from tests.support.events import EVENTS, sample
from tests.support.sqs import sqs_event

USER = "usr_01kb0000000000000000000001"
EXPECTED = {  # message ids that come again, statuses of the versions that are made
    "announced": ([], []),  # a key of the API that nobody announced
    "dropped": ([], ["ready"]),
    "nonsense": ([1, 2], []),
    "other_bucket": ([], []),
    "several": ([2], ["ready", "ready", "ready"]),
    "test_event": ([], []),
    "unknown_user": ([], []),
}


def failures(answer):
    return [item["itemIdentifier"] for item in answer["batchItemFailures"]]


@pytest.fixture
def known_user(database):
    with database.transaction() as session:
        session.add(User(id=USER, email="known@example.com", password_hash="!", name="Known"))


def test_every_sample_has_an_expectation():
    assert {path.stem for path in (EVENTS / "register_model").glob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_sample_events(services, cloud, rows, known_user, name):
    event = sample(f"register_model/{name}")
    for file in ("my model (final)", "a", "b", "c"):
        version = cloud.put(f"uploads/{USER}/churn/{file}.joblib", file.encode())
        quoted = file.replace(" ", "+").replace("(", "%28").replace(")", "%29")
        for message in event["Records"]:
            try:
                body = json.loads(message["body"])
            except ValueError:
                continue
            for record in body.get("Records", []):
                if record["s3"]["object"]["key"].endswith(f"/{quoted}.joblib"):
                    record["s3"]["object"]["versionId"] = version
            message["body"] = json.dumps(body)
    again, statuses = EXPECTED[name]
    assert failures(handle(event, services)) == [f"00000000-0000-4000-8000-00000000000{i}" for i in again]
    assert [version.status for version in rows.versions()] == statuses


def body(cloud, user, name="m.joblib", content=b"a model"):
    key = f"uploads/{user.id}/churn/{name}"
    version = cloud.put(key, content)
    described = {"key": key, "versionId": version}
    record = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "modelyard-test-data"}, "object": described},
    }
    return {"Records": [record]}


def test_the_files_fault_is_done_with(services, cloud, user, inspector, rows):
    inspector.answer = inspector.refuse
    assert failures(handle(sqs_event(body(cloud, user)), services)) == []
    assert rows.versions()[0].status == "failed"


def test_the_platforms_fault_comes_again_and_only_that(services, cloud, user, inspector, rows):
    def moody(inspection, content):
        if inspection.filename == "b.joblib":
            raise InspectorUnavailable
        return inspector.accept(inspection, content)

    inspector.answer = moody
    event = sqs_event(*[body(cloud, user, f"{name}.joblib") for name in "abc"])
    assert failures(handle(event, services)) == ["message-1"]
    assert sorted(version.status for version in rows.versions()) == ["inspecting", "ready", "ready"]


def test_the_last_delivery_of_a_file_that_kills_its_inspector_fails_the_version(
    services, cloud, user, inspector, rows
):
    def crash(*_):
        raise InspectionCrashed

    inspector.answer = crash
    message = body(cloud, user)
    for count in (1, 2):
        assert failures(handle(sqs_event(message, receive_count=count), services)) == ["message-0"]
    assert failures(handle(sqs_event(message, receive_count=3), services)) == []
    assert rows.versions()[0].reason["rule"] == "inspection_crashed"
