"""One upload from its arrival to `ready` or `failed`, on real PostgreSQL and Redis."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager

import pytest
import redis
from botocore.exceptions import EndpointConnectionError
from modelyard.db.engine import Database
from modelyard.db.tables import User
from modelyard.intake.verdict import Limits, Refused
from modelyard.kit.errors import Unavailable
from modelyard.kit.ids import new_id
from modelyard.registry.artifacts import ArtifactStore, ObjectTooLarge
from modelyard.registry.claims import Outcome
from modelyard.registry.inspector import CompiledFile, InspectionCrashed, InspectorUnavailable
from modelyard.registry.notifications import Arrival
from modelyard.registry.repository import ModelRepository
from modelyard.registry.routes import RouteBook
from modelyard.registry.uploads import Announcement, Uploads
from modelyard.serving.route import Route, route_key
from modelyard.serving.signature import Signature
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.fakes.inspector import COMPILED
from tests.support.models import some_signature

BUCKET = "modelyard-test-data"
CONTENT = b"a model"


@pytest.fixture
def announce(database, store, clock, user):
    def announce(content=CONTENT, **changes):
        wanted = {"name": "churn", "filename": "m.joblib", "size": len(content)} | changes
        with database.transaction() as session:
            return Uploads(store, Limits(), clock=clock).announce(
                ModelRepository(session, user.id), Announcement(**wanted)
            )

    return announce


@pytest.fixture
def upload(announce, cloud):
    """Announces and sends a file; returns the version's id and what S3 would say."""

    def upload(content=CONTENT, **changes):
        announced = announce(content, **changes)
        return announced, Arrival(announced.key, cloud.put(announced.key, content))

    return upload


def drop(cloud, user, path="churn/m.joblib", content=CONTENT):
    key = f"uploads/{user.id}/{path}"
    return Arrival(key, cloud.put(key, content))


# The way it should go


def test_an_upload_becomes_ready(registration, upload, inspector, gate, rows, cloud, redis_client, user):
    announced, arrival = upload(sha256=hashlib.sha256(CONTENT).hexdigest())

    assert registration.register(arrival) is Outcome.READY

    version = rows.version(announced.version_id)
    prefix = f"models/{user.id}/{announced.model_id}/v1/"
    assert (version.status, version.runtime, version.artifact_format) == ("ready", "onnx", "joblib")
    assert version.artifact_key == prefix + "model.joblib"
    assert version.artifact_sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert version.onnx_sha256 == hashlib.sha256(COMPILED).hexdigest()
    assert version.finished_at is not None
    assert Signature.from_json(version.signature) == some_signature()
    assert rows.models()[0].default_version == 1
    assert cloud.keys("models/") == {
        prefix + name for name in ("model.joblib", "model.onnx", "metadata.json")
    }
    assert cloud.read(version.artifact_key) == CONTENT
    assert cloud.read(version.onnx_key) == COMPILED
    assert Signature.from_json(json.loads(cloud.read(prefix + "metadata.json"))) == some_signature()
    assert gate.seen == [(COMPILED, "compiled")]
    route = Route.from_json(json.loads(redis_client.get(route_key(user.id, announced.model_id))))
    assert route.default == 1
    assert route.versions[1].onnx_key == version.onnx_key
    assert 0 < redis_client.ttl(route_key(user.id, announced.model_id)) <= 3600
    ((tenant, asked),) = inspector.asked
    assert tenant == user.id
    assert (asked.version_id, asked.filename, asked.size) == (announced.version_id, "m.joblib", len(CONTENT))


def test_a_native_model_has_no_compiled_file(registration, upload, inspector, gate, rows):
    inspector.answer = inspector.accept_native
    announced, arrival = upload()
    assert registration.register(arrival) is Outcome.READY
    version = rows.version(announced.version_id)
    assert (version.runtime, version.onnx_key, version.onnx_sha256) == ("native", None, None)
    assert gate.seen == []


def test_an_uploaded_graph_is_gated_and_served_as_it_is(registration, upload, inspector, gate, rows):
    inspector.answer = inspector.accept_onnx
    announced, arrival = upload(filename="m.onnx")
    assert registration.register(arrival) is Outcome.READY
    version = rows.version(announced.version_id)
    assert version.onnx_key == version.artifact_key
    assert version.onnx_sha256 == version.artifact_sha256
    assert gate.seen == [(CONTENT, "upload")]


def test_a_dropped_file_makes_model_and_versions(registration, cloud, user, rows):
    assert registration.register(drop(cloud, user)) is Outcome.READY
    assert registration.register(drop(cloud, user, content=b"better")) is Outcome.READY
    assert registration.register(drop(cloud, user, "other-model/über (1).pkl")) is Outcome.READY
    assert [(m.name, m.last_version, m.default_version) for m in rows.models()] == [
        ("churn", 2, 1),
        ("other-model", 1, 1),
    ]
    assert {v.filename for v in rows.versions()} == {"m.joblib", "über (1).pkl"}


def test_the_first_ready_version_is_the_default_whatever_its_number(registration, upload, inspector, rows):
    _, first = upload()
    _, second = upload()
    assert registration.register(second) is Outcome.READY
    assert registration.register(first) is Outcome.READY
    assert rows.models()[0].default_version == 2


# Twice, out of order, again


def test_a_delivery_repeated_changes_nothing(registration, upload, inspector, rows):
    announced, arrival = upload()
    registration.register(arrival)
    before = rows.version(announced.version_id).finished_at
    assert registration.register(arrival) is Outcome.REPEATED
    assert rows.version(announced.version_id).finished_at == before
    assert len(inspector.asked) == 1


def test_a_dropped_file_repeated_makes_no_second_version(registration, cloud, user, rows):
    arrival = drop(cloud, user)
    registration.register(arrival)
    assert registration.register(arrival) is Outcome.REPEATED
    assert len(rows.versions()) == 1


def test_a_failure_repeated_stays_a_failure(registration, upload, inspector, rows):
    inspector.answer = inspector.refuse
    announced, arrival = upload()
    assert registration.register(arrival) is Outcome.FAILED
    inspector.answer = inspector.accept
    assert registration.register(arrival) is Outcome.REPEATED
    assert rows.version(announced.version_id).status == "failed"


def test_a_second_file_for_the_same_form_is_ignored(registration, upload, cloud, rows, inspector):
    announced, arrival = upload()
    registration.register(arrival)
    again = Arrival(announced.key, cloud.put(announced.key, b"another"))
    assert registration.register(again) is Outcome.IGNORED
    version = rows.version(announced.version_id)
    assert version.artifact_sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert cloud.read(version.artifact_key) == CONTENT
    assert len(rows.versions()) == len(inspector.asked) == 1


def test_the_object_version_that_arrived_is_registered_though_a_newer_one_lies_there(
    registration, cloud, user, rows
):
    older, newer = drop(cloud, user, content=b"older"), drop(cloud, user, content=b"newer")
    registration.register(newer)
    registration.register(older)
    assert [cloud.read(v.artifact_key) for v in rows.versions()] == [b"newer", b"older"]


# Nobody's files


@pytest.mark.parametrize(
    "path", ["churn/", "churn/folder/", "-bad-/m.joblib", "m.joblib", "a b/m.joblib", "churn/a\0b"]
)
def test_what_belongs_to_no_model_is_ignored(registration, user, rows, path):
    assert registration.register(Arrival(f"uploads/{user.id}/{path}", "v")) is Outcome.IGNORED
    assert rows.models() == []


def test_unknown_users_are_ignored(registration, rows, user):
    assert registration.register(Arrival(f"uploads/{new_id('usr')}/churn/m", "v")) is Outcome.IGNORED
    assert registration.register(Arrival("uploads/somebody/churn/m", "v")) is Outcome.IGNORED
    assert rows.versions() == []


def test_suspended_users_are_ignored(registration, database, cloud, user, rows):
    with database.transaction() as session:
        session.get(User, user.id).status = "suspended"
    assert registration.register(drop(cloud, user)) is Outcome.IGNORED
    assert rows.models() == []


def test_a_key_of_the_api_that_was_never_announced_is_ignored(registration, upload, user, stranger, rows):
    announced, arrival = upload()
    for key in (
        announced.key.replace("churn", "other"),
        announced.key.replace(user.id, stranger.id),
        announced.key.replace(announced.version_id, new_id("ver")),
        announced.key + "x",
    ):
        assert registration.register(Arrival(key, arrival.s3_version)) is Outcome.IGNORED
    assert rows.version(announced.version_id).status == "pending"


# The file's fault


@pytest.mark.parametrize(
    ("content", "announced", "rule", "word"),
    [
        (b"", {"size": 5}, "empty_file", "empty"),
        (b"longer than declared", {"size": 5}, "size_mismatch", "declared were 5"),
        (b"x", {"size": 5}, "size_mismatch", "1 bytes"),
        (CONTENT, {"sha256": "0" * 64}, "checksum_mismatch", "SHA-256"),
    ],
)
def test_a_file_that_is_not_the_declared_one(
    registration, upload, rows, inspector, content, announced, rule, word
):
    version, arrival = upload(content, **announced)
    assert registration.register(arrival) is Outcome.FAILED
    reason = rows.version(version.version_id).reason
    assert reason["rule"] == rule
    assert word in reason["detail"]
    assert inspector.asked == []


def test_a_dropped_file_above_the_limit(make_registration, cloud, user, rows):
    small = make_registration(limits=Limits(upload_bytes=3))
    assert small.register(drop(cloud, user)) is Outcome.FAILED
    assert rows.versions()[0].reason["rule"] == "too_large"


def test_a_refusal_is_told(registration, upload, inspector, rows, redis_client, user, cloud):
    inspector.answer = inspector.refuse
    announced, arrival = upload()
    assert registration.register(arrival) is Outcome.FAILED
    version = rows.version(announced.version_id)
    assert version.reason == {
        "rule": "global",
        "detail": "The file calls something that no model needs.",
        "format": "pickle",
    }
    assert version.finished_at is not None
    assert rows.models()[0].default_version is None
    assert redis_client.get(route_key(user.id, announced.model_id)) is None
    assert cloud.keys("models/") == set()


def test_a_file_in_a_folder_too_deep_fails_with_its_reason(registration, cloud, user, rows):
    assert registration.register(drop(cloud, user, "churn/2026/11/m.joblib")) is Outcome.FAILED
    assert rows.versions()[0].reason["rule"] == "upload_path"


def test_a_file_that_was_deleted_meanwhile(registration, upload, cloud, rows):
    announced, arrival = upload()
    cloud.s3.delete_object(Bucket=BUCKET, Key=arrival.key, VersionId=arrival.s3_version)
    assert registration.register(arrival) is Outcome.FAILED
    assert rows.version(announced.version_id).reason["rule"] == "upload_deleted"


def test_an_uploaded_graph_that_the_gate_refuses_fails(registration, upload, inspector, gate, rows, cloud):
    inspector.answer = inspector.accept_onnx
    gate.refuse = Refused("onnx_operator", "The operator If is not allowed.")
    announced, arrival = upload(filename="m.onnx")
    assert registration.register(arrival) is Outcome.FAILED
    assert rows.version(announced.version_id).reason["rule"] == "onnx_operator"
    assert cloud.keys("models/") == set()


# Whom nobody believes


def test_a_compiled_file_that_the_gate_refuses_is_not_served(registration, upload, gate, rows, cloud):
    gate.refuse = Refused("onnx_external_data", "…")
    announced, arrival = upload()
    assert registration.register(arrival) is Outcome.READY
    version = rows.version(announced.version_id)
    assert (version.runtime, version.onnx_key) == ("native", None)
    assert "onnx_external_data" in version.signature["reason"]
    assert version.signature["onnx"] is None
    assert not any(key.endswith(".onnx") for key in cloud.keys("models/"))


@pytest.mark.parametrize("lie", ["another file", "another graph", "no graph"])
def test_an_inspector_that_contradicts_the_files_is_asked_again_and_then_not_believed(
    registration, upload, inspector, rows, lie
):
    def answer(inspection, content):
        if lie == "another file":
            return inspector.accepted(b"something else", onnx=CompiledFile(1, "0" * 64))
        if lie == "another graph":
            inspector.deliver(inspection, b"not what was proven")
        return inspector.accepted(content, onnx=CompiledFile(1, "0" * 64))

    inspector.answer = answer
    announced, arrival = upload()
    for attempt in (1, 2):
        with pytest.raises(InspectionCrashed):
            registration.register(arrival, attempt=attempt)
        assert rows.version(announced.version_id).status == "inspecting"
    assert registration.register(arrival, attempt=3) is Outcome.FAILED
    assert rows.version(announced.version_id).reason["rule"] == "inspection_crashed"


def test_a_compiled_file_above_the_limit_is_not_served(make_registration, upload, rows):
    _, arrival = upload()
    assert make_registration(limits=Limits(upload_bytes=len(COMPILED) - 1)).register(arrival) is Outcome.READY
    assert rows.versions()[0].runtime == "native"


def test_a_compiled_file_that_changes_while_it_is_read_is_not_believed(
    make_registration, upload, inspector, cloud, rows
):
    class Racing(ArtifactStore):
        def download(self, source, target):
            raise ObjectTooLarge

    _, arrival = upload()
    with pytest.raises(InspectionCrashed):
        make_registration(store=Racing(cloud.s3, BUCKET)).register(arrival)
    assert rows.versions()[0].status == "inspecting"


# The platform's fault


def test_postgres_away_at_the_end_is_tried_again(make_registration, registration, upload, database, clock):
    class Flaky(Database):
        """Answers the claim and then no more."""

        units = 0

        @contextmanager
        def transaction(self):
            type(self).units += 1
            if self.units > 1:
                raise Unavailable
            with super().transaction() as session:
                yield session

    _, arrival = upload()
    with pytest.raises(Unavailable):
        make_registration(database=Flaky(database.bind)).register(arrival)
    assert registration.register(arrival) is Outcome.BUSY  # it could not even give its claim back
    clock.turn(minutes=11)
    assert registration.register(arrival) is Outcome.READY


def test_a_staged_file_that_cannot_be_deleted_costs_no_registration(make_registration, upload, cloud):
    class Keeping(ArtifactStore):
        def delete(self, key):
            raise Unavailable

    _, arrival = upload()
    assert make_registration(store=Keeping(cloud.s3, BUCKET)).register(arrival) is Outcome.READY


def test_an_inspector_out_of_reach_is_tried_again(registration, upload, inspector, rows):
    def away(inspection, content):
        raise InspectorUnavailable

    announced, arrival = upload()
    inspector.answer = away
    for attempt in range(1, 6):
        with pytest.raises(InspectorUnavailable):
            registration.register(arrival, attempt=attempt)
    assert rows.version(announced.version_id).status == "inspecting"
    inspector.answer = inspector.accept
    assert registration.register(arrival, attempt=6) is Outcome.READY


def test_redis_away_is_tried_again_and_the_version_is_ready_all_the_same(
    make_registration, registration, upload, rows, database, redis_client, user
):
    away = redis.Redis(port=1, retry=Retry(NoBackoff(), 0))
    announced, arrival = upload()
    with pytest.raises(redis.ConnectionError):
        make_registration(routes=RouteBook(database, away)).register(arrival)
    assert rows.version(announced.version_id).status == "ready"
    assert registration.register(arrival, attempt=2) is Outcome.REPEATED
    assert redis_client.get(route_key(user.id, announced.model_id)) is not None


class NoCopies:
    """An S3 client that loses its connection when something is copied."""

    def __init__(self, s3):
        self._s3 = s3

    def __getattr__(self, name):
        return getattr(self._s3, name)

    def copy_object(self, **_):
        raise EndpointConnectionError(endpoint_url="https://s3")


def test_s3_away_is_tried_again(make_registration, registration, upload, cloud):
    _, arrival = upload()
    with pytest.raises(Unavailable):
        make_registration(store=ArtifactStore(NoCopies(cloud.s3), BUCKET)).register(arrival)
    assert registration.register(arrival) is Outcome.READY


# Death


class Killed(BaseException):
    """A worker that dies takes no exception handler with it, and gives nothing back."""


class DyingStore(ArtifactStore):
    def put(self, *_, **__):
        raise Killed


@pytest.mark.parametrize("step", ["inspect", "gate", "write"])
def test_a_worker_that_died_is_replaced_once_its_lease_is_over(
    make_registration, registration, upload, inspector, rows, clock, cloud, step
):
    def die(*_, **__):
        raise Killed

    announced, arrival = upload()
    others = {
        "inspect": {},
        "gate": {"check_onnx": die},
        "write": {"store": DyingStore(cloud.s3, BUCKET)},
    }[step]
    inspector.answer = die if step == "inspect" else inspector.accept
    with pytest.raises(Killed):
        make_registration(**others).register(arrival)
    inspector.answer = inspector.accept

    clock.turn(minutes=9)
    assert registration.register(arrival) is Outcome.BUSY
    assert rows.version(announced.version_id).status == "inspecting"
    clock.turn(minutes=2)
    assert registration.register(arrival) is Outcome.READY
    assert len(rows.versions()) == 1


def test_who_lost_the_claim_finishes_nothing(registration, upload, inspector, rows, clock, cloud):
    announced, arrival = upload()
    slow_answer = {}

    def slow(inspection, content):
        inspector.answer = inspector.accept
        clock.turn(minutes=11)
        slow_answer["faster"] = registration.register(arrival)
        return inspector.refuse(inspection, content)

    inspector.answer = slow
    assert registration.register(arrival) is Outcome.SUPERSEDED
    assert slow_answer["faster"] is Outcome.READY
    assert rows.version(announced.version_id).status == "ready"


def test_who_is_too_late_writes_nothing_even_if_nobody_came(registration, upload, inspector, clock, cloud):
    _, arrival = upload()

    def slow(inspection, content):
        clock.turn(minutes=11)
        return inspector.accept(inspection, content)

    inspector.answer = slow
    assert registration.register(arrival) is Outcome.SUPERSEDED
    assert not any(key.endswith("model.joblib") for key in cloud.keys("models/"))


def test_who_lost_the_claim_leaves_its_successors_file_alone(
    make_registration, upload, inspector, clock, cloud, user
):
    announced, arrival = upload()
    staged = f"models/{user.id}/{announced.model_id}/v1/inspected.onnx"

    def slow(inspection, content):
        clock.turn(minutes=11)
        inspector.deliver(inspection, b"the successor's")
        return inspector.refuse(inspection, content)

    inspector.answer = slow
    make_registration().register(arrival)
    assert cloud.keys("models/") == {staged}


def test_a_user_who_left_meanwhile(registration, upload, inspector, database, user, rows):
    _, arrival = upload()

    def leave(inspection, content):
        with database.transaction() as session:
            session.delete(session.get(User, user.id))
        return inspector.accept(inspection, content)

    inspector.answer = leave
    assert registration.register(arrival) is Outcome.SUPERSEDED
    assert rows.versions() == []
