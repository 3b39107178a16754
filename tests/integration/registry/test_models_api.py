"""The models function over its Lambda handler: anonymous, forbidden, invalid, valid, dependency down."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json

import pytest
from botocore.exceptions import EndpointConnectionError
from modelyard.db.engine import Database, DatabaseSettings, make_engine
from modelyard.kit.ids import new_id
from modelyard.registry.artifacts import ArtifactStore
from modelyard.registry.claims import Outcome
from modelyard.registry.notifications import Arrival
from modelyard.web.app import create_app, lambda_handler

from functions.models.handler import router
from tests.support.composition import LocalComposition
from tests.support.events import EVENTS, sample
from tests.support.http import ApiGateway, LambdaContext, read
from tools.local.services import free_port

BUCKET = "modelyard-test-data"
WANTED = {"name": "churn", "filename": "m.joblib", "size": 7}
ROUTES = [
    ("POST", "/models/upload"),
    ("GET", "/models"),
    ("GET", f"/models/{new_id('mdl')}"),
    ("GET", f"/models/{new_id('mdl')}/versions"),
    ("GET", f"/models/{new_id('mdl')}/versions/v1"),
    ("PATCH", f"/models/{new_id('mdl')}"),
    ("DELETE", f"/models/{new_id('mdl')}"),
    ("POST", f"/models/{new_id('mdl')}/restore"),
    ("PATCH", f"/models/{new_id('mdl')}/versions/v1"),
    ("DELETE", f"/models/{new_id('mdl')}/versions/v1"),
    ("POST", f"/models/{new_id('mdl')}/versions/v1/restore"),
    ("GET", f"/models/{new_id('mdl')}/aliases"),
    ("GET", f"/models/{new_id('mdl')}/aliases/champion"),
    ("PUT", f"/models/{new_id('mdl')}/aliases/champion"),
    ("DELETE", f"/models/{new_id('mdl')}/aliases/champion"),
    ("POST", f"/models/{new_id('mdl')}/aliases/champion/rollback"),
    ("GET", f"/models/{new_id('mdl')}/promotions"),
    ("GET", f"/models/{new_id('mdl')}/traffic"),
    ("PUT", f"/models/{new_id('mdl')}/traffic"),
    ("DELETE", f"/models/{new_id('mdl')}/traffic"),
    ("GET", f"/models/{new_id('mdl')}/shadow"),
    ("PUT", f"/models/{new_id('mdl')}/shadow"),
    ("DELETE", f"/models/{new_id('mdl')}/shadow"),
    ("GET", f"/models/{new_id('mdl')}/shadow/predictions"),
]


def body_for(method, path):
    """A good body where the route takes one."""
    if method == "PATCH":
        return {"description": "Who leaves"}
    if path.endswith("/traffic"):
        return {"weights": {"v1": 90, "v2": 10}} if method == "PUT" else None
    if method == "PUT":
        return {"version": "v1"}
    return WANTED if path == "/models/upload" else None


@pytest.fixture
def gateway(services):
    return ApiGateway(lambda_handler(create_app(router, services)))


@pytest.fixture
def mine(gateway, user):
    return gateway.with_headers(user.headers)


@pytest.fixture
def theirs(gateway, stranger):
    return gateway.with_headers(stranger.headers)


def announce(client, **changes):
    answer = client.post("/models/upload", json=WANTED | changes)
    assert answer.status == 201, answer.text
    return answer.json()


def form_body(fields, file=b"a model", filename="m.joblib"):
    lines = []
    for name, value in fields:
        lines.append(f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    if file is not None:
        head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
        lines.append(head.encode() + file + b"\r\n")
    return b"".join(lines) + b"--b--\r\n"


def post_form(client, fields=(("name", "churn"),), **file):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    return client.post("/models/upload", body=form_body(fields, **file), headers=headers)


# Who may not


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_anonymous_callers_are_turned_away(gateway, method, path):
    answer = gateway.request(method, path, json=body_for(method, path))
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_credential_without_the_scope_is_forbidden(services, user, method, path):
    admitter = services.admitter

    class Narrow:
        def admit(self, headers, **options):
            admission = admitter.admit(headers, **options)
            caller = dataclasses.replace(admission.caller, scopes=frozenset({"predict"}))
            return dataclasses.replace(admission, caller=caller)

    services.__dict__["admitter"] = Narrow()
    gateway = ApiGateway(lambda_handler(create_app(router, services)), headers=user.headers)
    assert gateway.request(method, path, json=body_for(method, path)).status == 403


# What may not be


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "../churn"}, "/name"),
        ({"name": "a" * 129}, "/name"),
        ({"name": "churn\0"}, "/name"),
        ({"name": 7}, "/name"),
        ({"name": new_id("mdl")}, "/name"),
        ({"filename": ""}, "/filename"),
        ({"filename": "a/b.joblib"}, "/filename"),
        ({"filename": ".."}, "/filename"),
        ({"filename": "a\0"}, "/filename"),
        ({"size": 0}, "/size"),
        ({"size": -1}, "/size"),
        ({"size": 1.5}, "/size"),
        ({"size": "7"}, "/size"),
        ({"size": True}, "/size"),
        ({"sha256": "abc"}, "/sha256"),
        ({"sha256": "g" * 64}, "/sha256"),
        ({"description": "x" * 2001}, "/description"),
        ({"description": "\0"}, "/description"),
        ({"user_id": "usr_1"}, "/user_id"),
        ({"status": "ready"}, "/status"),
    ],
)
def test_an_announcement_that_does_not_fit(mine, rows, changes, pointer):
    answer = mine.post("/models/upload", json=WANTED | changes)
    assert answer.status == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert rows.models() == []


@pytest.mark.parametrize("missing", ["name", "filename", "size"])
def test_what_is_missing_is_named(mine, missing):
    answer = mine.post("/models/upload", json={k: v for k, v in WANTED.items() if k != missing})
    assert answer.status == 422
    assert answer.json()["errors"] == [{"pointer": f"/{missing}", "detail": "This field is required."}]


@pytest.mark.parametrize("body", ["", "{", "nope", "\0", '{"name": NaN}'])
def test_what_is_no_json(mine, body):
    answer = mine.post("/models/upload", body=body, headers={"Content-Type": "application/json"})
    assert answer.status == 400
    assert answer.json()["code"] == "malformed"


@pytest.mark.parametrize("body", ["[]", "null", "7", '"name"'])
def test_json_that_is_no_object(mine, body):
    answer = mine.post("/models/upload", body=body, headers={"Content-Type": "application/json"})
    assert answer.status == 422


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded"])
def test_other_media_types(mine, kind):
    answer = mine.post("/models/upload", body="name=churn", headers={"Content-Type": kind})
    assert answer.status == 415


def test_above_the_limit_for_uploads(mine):
    answer = mine.post("/models/upload", json=WANTED | {"size": 513 * 1024 * 1024})
    assert answer.status == 413
    assert answer.json()["code"] == "file_too_large"
    assert answer.json()["max_bytes"] == 512 * 1024 * 1024


@pytest.mark.parametrize(
    ("fields", "file", "status", "pointer"),
    [
        ([("name", "churn")], None, 422, "/file"),
        ([("name", "churn")], b"", 422, "/file"),
        ([], b"x", 422, "/name"),
        ([("name", "-")], b"x", 422, "/name"),
        ([("name", "churn"), ("size", "1")], b"x", 422, "/size"),
        ([("name", "churn"), ("filename", "a")], b"x", 422, "/filename"),
        ([("name", "churn"), ("role", "admin")], b"x", 422, "/role"),
        ([("name", "churn"), ("name", "other")], b"x", 400, None),
        ([("name", "churn"), ("file", "text")], None, 422, "/file"),
    ],
)
def test_a_form_that_does_not_fit(mine, rows, cloud, fields, file, status, pointer):
    answer = post_form(mine, fields, file=file)
    assert answer.status == status, answer.text
    if pointer:
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert rows.models() == []
    assert cloud.keys() == set()


@pytest.mark.parametrize("body", [b"", b"--b", b"no form", b"--b\r\n\r\n\r\n--b--\r\n"])
def test_a_form_that_cannot_be_read(mine, body):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert mine.post("/models/upload", body=body, headers=headers).status in (400, 422)
    assert mine.post("/models/upload", body=body, headers={"Content-Type": "multipart/form-data"}).status in (
        400,
        422,
    )


@pytest.mark.parametrize("size", [4_500_001, 8_000_000])  # beyond the file's limit, beyond any body's
def test_a_form_with_a_file_too_large_points_to_the_other_way(mine, rows, size):
    answer = post_form(mine, file=b"x" * size)
    assert answer.status == 413
    assert "presigned" in answer.json()["detail"]
    assert "JSON" in answer.json()["detail"]
    assert answer.json()["max_bytes"] == 4_500_000
    assert rows.models() == []


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=-1"])
def test_page_sizes_that_cannot_be(mine, query):
    assert mine.get(f"/models?{query}").status == 422


def test_cursors_that_were_not_given_out(mine, theirs):
    for name in ("a", "b"):
        announce(mine, name=name)
        announce(theirs, name=name)
    model = mine.get("/models").json()["items"][0]["model_id"]
    announce(mine, name=mine.get(f"/models/{model}").json()["name"])
    foreign = theirs.get("/models?limit=1").json()["next_cursor"]
    other = mine.get(f"/models/{model}/versions?limit=1").json()["next_cursor"]
    for cursor in (foreign, other, "x", "%00", "a" * 3000):
        answer = mine.get(f"/models?cursor={cursor}")
        assert answer.status == 422
        assert answer.json()["code"] == "bad_cursor"


# Uploading


def test_an_announcement_answers_with_a_form(mine, user, rows):
    sha256 = hashlib.sha256(b"a model").hexdigest()
    answer = mine.post(
        "/models/upload", json=WANTED | {"sha256": sha256.upper(), "description": "Who leaves"}
    )
    assert answer.status == 201
    body = answer.json()
    assert body.keys() == {
        "model_id", "version", "version_id", "status", "upload", "status_url", "predict_url",
    }  # fmt: skip
    assert (body["version"], body["status"]) == ("v1", "pending")
    assert body["status_url"] == f"https://api.example.com/api/models/{body['model_id']}/versions/v1"
    assert body["predict_url"] == f"https://api.example.com/api/predict/{body['model_id']}"
    assert answer.headers["location"] == body["status_url"]
    key = f"uploads/{user.id}/churn/{body['version_id']}/m.joblib"
    fields = body["upload"]["fields"]
    assert fields["key"] == key
    policy = json.loads(base64.b64decode(fields["policy"]))
    assert ["content-length-range", 0, 7] in policy["conditions"]
    assert {"key": key} in policy["conditions"]
    assert {"bucket": BUCKET} in policy["conditions"]
    checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
    assert fields["x-amz-checksum-sha256"] == checksum
    assert {"x-amz-checksum-sha256": checksum} in policy["conditions"]
    version = rows.version(body["version_id"])
    assert (version.declared_size, version.declared_sha256, version.upload_key) == (7, sha256, key)
    assert rows.models()[0].description == "Who leaves"


def test_no_checksum_no_condition(mine):
    fields = announce(mine)["upload"]["fields"]
    assert not any("checksum" in name for name in fields)


def test_a_name_again_is_the_next_version(mine, rows):
    first, second = announce(mine, description="old"), announce(mine)
    third = announce(mine, description="new")
    assert first["model_id"] == second["model_id"] == third["model_id"]
    assert [v["version"] for v in (first, second, third)] == ["v1", "v2", "v3"]
    assert rows.models()[0].description == "new"


def test_equal_names_of_two_users_are_two_models(mine, theirs):
    assert announce(mine)["model_id"] != announce(theirs)["model_id"]


def test_a_small_file_comes_along(mine, cloud, user, rows):
    answer = post_form(mine, [("name", "churn"), ("description", "Größe")], filename="größe (1).joblib")
    assert answer.status == 202, answer.text
    body = answer.json()
    assert body["upload"] is None
    assert body["status"] == "pending"
    assert answer.headers["location"] == body["status_url"]
    assert int(answer.headers["retry-after"]) >= 1
    key = f"uploads/{user.id}/churn/{body['version_id']}/gr__e__1_.joblib"
    assert cloud.keys() == {key}
    assert cloud.read(key) == b"a model"
    assert rows.version(body["version_id"]).filename == "größe (1).joblib"
    assert rows.models()[0].description == "Größe"


def test_the_largest_file_that_fits(mine, cloud):
    assert post_form(mine, file=b"x" * 4_500_000).status == 202


def test_the_public_url_is_configured_where_it_is_known(mine, monkeypatch):
    monkeypatch.setenv("MODELYARD_PUBLIC_URL", "http://localhost:8000/api/")
    assert announce(mine)["status_url"].startswith("http://localhost:8000/api/models/mdl_")


# From upload to ready


def test_the_status_moves(mine, cloud, registration, inspector, user):
    announced = announce(mine)
    path = f"/models/{announced['model_id']}/versions/v1"
    pending = mine.get(path).json()
    assert pending["status"] == "pending"
    assert pending["signature"] is None
    assert (pending["size"], pending["filename"]) == (7, "m.joblib")
    key = announced["upload"]["fields"]["key"]
    arrival = Arrival(key, cloud.put(key, b"a model"))

    seen = {}
    accept = inspector.answer

    def look(inspection, content):
        seen["during"] = mine.get(path).json()["status"]
        return accept(inspection, content)

    inspector.answer = look
    assert registration.register(arrival) is Outcome.READY
    assert seen["during"] == "inspecting"

    ready = mine.get(path).json()
    assert ready["status"] == "ready"
    assert (ready["format"], ready["runtime"]) == ("joblib", "onnx")
    assert (ready["estimator"], ready["task"]) == ("RandomForestClassifier", "classifier")
    assert ready["signature"]["outputs"] == ["predict", "predict_proba"]
    assert ready["input_schema"] == {"type": "object", "required": ["x0", "x1"]}
    assert ready["example"] == {"inputs": [[0.0, 1.0]]}
    assert ready["sha256"] == hashlib.sha256(b"a model").hexdigest()
    assert ready["finished_at"].endswith("Z")
    assert mine.get(f"/models/{announced['model_id']}/versions/1").json() == ready
    model = mine.get(f"/models/{announced['model_id']}").json()
    assert (model["default_version"], model["latest_version"], model["latest_status"]) == (
        "v1",
        "v1",
        "ready",
    )


def test_a_failure_says_why(mine, cloud, registration, inspector):
    inspector.answer = inspector.refuse
    announced = announce(mine)
    key = announced["upload"]["fields"]["key"]
    registration.register(Arrival(key, cloud.put(key, b"a model")))
    version = mine.get(f"/models/{announced['model_id']}/versions/v1").json()
    assert version["status"] == "failed"
    assert version["reason"]["rule"] == "global"
    assert version["signature"] is None


# Looking


def test_models_come_in_pages_newest_first(mine, theirs):
    names = [f"m{number}" for number in range(5)]
    for name in names:
        announce(mine, name=name)
        announce(theirs, name=name)
    found, path, pages = [], "/models?limit=2", 0
    while path:
        answer = mine.get(path)
        assert answer.status == 200
        body = answer.json()
        found += [item["name"] for item in body["items"]]
        pages += 1
        link = answer.headers.get("link")
        assert (link is None) == (body["next_cursor"] is None)
        path = link and link.partition(">")[0].removeprefix("<https://api.example.com")
    assert found == names[::-1]
    assert pages == 3


def test_a_model_made_meanwhile_does_not_shift_the_pages(mine):
    for name in "abc":
        announce(mine, name=name)
    first = mine.get("/models?limit=2").json()
    announce(mine, name="d")
    second = mine.get(f"/models?limit=2&cursor={first['next_cursor']}").json()
    assert [item["name"] for item in first["items"] + second["items"]] == ["c", "b", "a"]


def test_versions_come_in_pages_newest_first(mine):
    for _ in range(3):
        model = announce(mine)["model_id"]
    first = mine.get(f"/models/{model}/versions?limit=2")
    assert [item["version"] for item in first.json()["items"]] == ["v3", "v2"]
    assert 'rel="next"' in first.headers["link"]
    second = mine.get(f"/models/{model}/versions?limit=2&cursor={first.json()['next_cursor']}").json()
    assert [item["version"] for item in second["items"]] == ["v1"]
    assert second["next_cursor"] is None
    assert "signature" not in second["items"][0]


def test_nothing_yet(mine):
    assert mine.get("/models").json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize("tail", ["", "/versions/v1"])
def test_what_did_not_change_is_not_sent_again(mine, tail):
    path = f"/models/{announce(mine)['model_id']}{tail}"
    first = mine.get(path)
    assert first.status == 200
    tag = first.headers["etag"]
    for header in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = mine.get(path, headers={"If-None-Match": header})
        assert again.status == 304
        assert again.body == b""
        assert again.headers["etag"] == tag
    assert mine.get(path, headers={"If-None-Match": '"other"'}).status == 200
    announce(mine, description="changed")
    changed = mine.get(path, headers={"If-None-Match": tag})
    assert changed.status == (200 if tail == "" else 304)


# Tenants


@pytest.mark.parametrize("tail", ["", "/versions", "/versions/v1", "/versions/1"])
def test_a_foreign_model_is_exactly_a_missing_one(mine, theirs, tail):
    model = announce(mine)["model_id"]
    assert mine.get(f"/models/{model}{tail}").status == 200
    foreign = theirs.get(f"/models/{model}{tail}")
    missing = theirs.get(f"/models/{new_id('mdl')}{tail}")
    assert foreign.status == missing.status == 404

    def shape(answer):
        return {k: v for k, v in answer.json().items() if k not in ("request_id", "instance")}

    assert shape(foreign) == shape(missing)
    assert theirs.get("/models").json()["items"] == []


@pytest.mark.parametrize(
    "version", ["v2", "0", "latest", "v1x", "1.0", "-1", "99999999999", "%00", "v%F0%9F%99%82"]
)
def test_no_such_version(mine, version):
    model = announce(mine)["model_id"]
    assert mine.get(f"/models/{model}/versions/{version}").status == 404


@pytest.mark.parametrize(
    "model", ["x", "mdl_", "%00", "mdl_%00", "' OR 1=1 --", "usr_01kb0000000000000000000001"]
)
def test_ids_that_are_none(mine, model):
    assert mine.get(f"/models/{model}").status == 404


# Dependencies down


def test_without_postgres_a_503_that_says_come_back(cloud, redis_client, store, user, composition):
    nowhere = DatabaseSettings("127.0.0.1", free_port(), "u", "p", "d")
    engine = make_engine(nowhere)
    away = LocalComposition(
        database=Database(engine), redis=redis_client, artifacts=store, tokens=composition.tokens
    )
    gateway = ApiGateway(lambda_handler(create_app(router, away)), headers=user.headers)
    for method, path in ROUTES:
        answer = gateway.request(method, path, json=body_for(method, path))
        assert answer.status == 503
        assert answer.json()["code"] == "unavailable"
        assert int(answer.headers["retry-after"]) >= 1
    engine.dispose()


class NoPuts:
    def __init__(self, s3):
        self._s3 = s3

    def __getattr__(self, name):
        return getattr(self._s3, name)

    def put_object(self, **_):
        raise EndpointConnectionError(endpoint_url="https://s3")


def test_without_s3_a_form_is_503_and_its_version_stays_pending(services, cloud, user, rows):
    services.artifacts = ArtifactStore(NoPuts(cloud.s3), BUCKET)
    gateway = ApiGateway(lambda_handler(create_app(router, services)), headers=user.headers)
    assert post_form(gateway).status == 503
    assert [version.status for version in rows.versions()] == ["pending"]
    assert gateway.post("/models/upload", json=WANTED).status == 201


# The sample events

EXPECTED = {
    "upload_announce": 201,
    "upload_announce_bad_name": 422,
    "upload_announce_too_large": 413,
    "upload_not_json": 400,
    "upload_anonymous": 401,
    "upload_form": 202,
    "upload_form_without_file": 422,
    "list_models": 200,
    "list_models_bad_cursor": 422,
    "get_model": 200,
    "list_versions": 200,
    "get_version": 200,
    "get_version_bad_number": 404,
    "list_models_filtered": 200,
    "list_models_bad_sort": 422,
    "change_model": 200,
    "change_model_cache": 200,
    "change_model_nothing": 422,
    "change_model_without_match": 428,
    "delete_model": 200,
    "restore_model_not_deleted": 404,
    "change_version": 200,
    "change_version_not_ready": 409,
    "delete_version": 200,
    "list_aliases": 200,
    "get_alias_unknown": 404,
    "promote_not_ready": 409,
    "promote_bad_name": 422,
    "remove_alias_without_match": 404,
    "roll_back_unknown": 404,
    "list_promotions": 200,
    "get_traffic": 200,
    "split_not_ready": 409,
    "split_guarded_not_ready": 409,
    "split_bad_guard": 422,
    "join_traffic": 204,
    "get_shadow": 200,
    "set_shadow_not_ready": 409,
    "set_shadow_bad_percent": 422,
    "end_shadow": 204,
    "list_shadow_predictions": 200,
    "list_shadow_predictions_bad_version": 422,
    "restore_version_not_deleted": 404,
    "model_openapi": 409,
    "model_openapi_bad_version": 404,
    "model_snippets": 409,
    "model_snippets_bad_version": 404,
}


def test_every_sample_has_an_expectation():
    assert {path.stem for path in (EVENTS / "models").glob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_sample_events(gateway, mine, user, name):
    event = json.loads(
        json.dumps(sample(f"models/{name}"))
        .replace("<access_token>", user.token)
        .replace("mdl_01kb0000000000000000000001", announce(mine, name="sample")["model_id"])
    )
    answer = read(gateway.handler(event, LambdaContext()))
    assert answer.status == EXPECTED[name], answer.text
