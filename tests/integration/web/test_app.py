"""The envelope that every function shares, over a small function made here."""

from __future__ import annotations

import json

import pytest
from modelyard.accounts.admission import Caller
from modelyard.db.engine import Database
from modelyard.db.tables import User
from modelyard.kit.errors import Conflict
from modelyard.kit.ids import new_id
from modelyard.web.app import create_app, lambda_handler
from modelyard.web.dependencies import (
    AdminCaller,
    AfterCommitDep,
    AnyCaller,
    ReadModels,
    SessionDep,
)
from modelyard.web.routing import PUBLIC, Router
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select, text

from tests.support.composition import make_user
from tests.support.http import ApiGateway


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=10)
    size: int = Field(ge=1)
    tags: list[str] = []


class Shown(BaseModel):
    size: int


def small_router() -> Router:
    router = Router()

    @router.get("/open", dependencies=[PUBLIC])
    async def open_to_all() -> dict[str, str]:
        return {"hello": "world"}

    @router.post("/things", status_code=201)
    async def make(thing: Thing, caller: ReadModels) -> dict[str, str]:
        return {"name": thing.name, "caller": caller.user_id}

    @router.get("/things/{model_id}")
    async def show(model_id: str, caller: ReadModels, limit: int = 5) -> dict[str, int]:
        if model_id == "broken":
            raise RuntimeError("the secret is swordfish")
        return {"limit": limit}

    @router.get("/admin")
    async def admin(caller: AdminCaller) -> dict[str, str]:
        return {"role": caller.role}

    @router.post("/users")
    async def insert(session: SessionDep, after: AfterCommitDep, caller: AnyCaller, mode: str = "") -> Shown:
        user_id = new_id("usr")
        session.add(User(id=user_id, email=f"{user_id}@example.com", password_hash="!", name=mode))
        session.flush()
        after.append(lambda: router.told.append(user_id))  # type: ignore[attr-defined]
        if mode == "conflict":
            raise Conflict("Somebody was faster.")
        if mode == "crash":
            raise RuntimeError("no")
        if mode == "unserialisable":
            return {"size": "many"}  # type: ignore[return-value]
        if mode == "late":  # a deferred constraint fails at commit only
            session.execute(text("SET CONSTRAINTS ALL DEFERRED"))
            session.execute(
                text("CREATE TEMP TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED) ON COMMIT DROP")
            )
            session.execute(text("INSERT INTO late VALUES (1), (1)"))
        return Shown(size=1)

    router.told = []  # type: ignore[attr-defined]
    return router


@pytest.fixture
def router():
    return small_router()


@pytest.fixture
def api(composition, router):
    return ApiGateway(lambda_handler(create_app(router, composition)))


@pytest.fixture
def mine(api, user):
    return api.with_headers(user.headers)


def users_named(database, name):
    with database.transaction() as session:
        return session.execute(select(func.count()).where(User.name == name)).scalar()


def test_a_problem_has_the_one_shape(api):
    answer = api.post("/things", json={"name": "x", "size": 1})
    body = answer.json()
    assert answer.status == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["instance"] == "/api/things"
    assert set(body) == {"type", "title", "status", "detail", "instance", "code", "request_id"}


def test_nobody_learns_about_bodies_before_saying_who_they_are(api):
    for body in (b"{", b'{"name": 5}', b""):
        assert api.post("/things", body=body, headers={"Content-Type": "application/json"}).status == 401


def test_a_missing_scope_is_forbidden(mine):
    answer = mine.get("/admin")
    assert answer.status == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b"{", 400, None),
        (b'{"name": "\\ud800", "size": 1}', 400, None),
        (b'{"name": "x", "size": NaN}', 400, None),
        (b"[" * 100_000, 400, None),
        (b'{"name": "x", "size": 1, "tags": ' + b"[" * 200 + b"]" * 200 + b"}", 400, None),
        (b"", 422, ""),
        (b"[]", 422, ""),
        (b'{"name": "x"}', 422, "/size"),
        (b'{"name": "secret-value-that-is-long", "size": 1}', 422, "/name"),
        (b'{"name": "x", "size": "secret-value"}', 422, "/size"),
        (b'{"name": "x", "size": 1, "tags": ["a", 7]}', 422, "/tags/1"),
        (b'{"name": "x", "size": 1, "role": "secret-value"}', 422, "/role"),
        (b'{"name": "x", "size": 1, "<secret-value>": 1}', 422, "/…"),
    ],
)
def test_a_bad_body_names_the_place_and_never_the_value(mine, body, status, pointer):
    answer = mine.post("/things", body=body, headers={"Content-Type": "application/json"})
    assert answer.status == status
    assert "secret-value" not in answer.text
    if pointer is not None:
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_wrong_query_parameter_says_which(mine):
    answer = mine.get("/things/abc?limit=many")
    assert answer.status == 422
    assert answer.json()["errors"][0]["pointer"] == "query:limit"
    assert "many" not in answer.text


@pytest.mark.parametrize("path", ["/things/abc", "/admin"])
def test_a_query_parameter_that_nobody_reads_is_refused(api, composition, path):
    """Where it is misspelt, its caller would believe that it did something."""
    admin = api.with_headers(make_user(composition, role="admin").headers)
    answer = admin.get(f"{path}?limt=secret-value&{'x' * 70}=1")
    assert answer.status == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["query:limt", "query:…"]
    assert "secret-value" not in answer.text


def test_who_may_not_call_learns_nothing_about_parameters(api, mine):
    assert api.get("/admin?x=1").status == 401
    assert mine.get("/admin?x=1").status == 403
    assert api.get("/open?x=1").status == 200


def test_a_wrong_media_type_is_refused(mine):
    for given in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert mine.post("/things", body="name=x", headers={"Content-Type": given}).status == 415


def test_a_body_beyond_the_limit_is_refused(mine):
    body = json.dumps({"name": "x", "size": 1, "tags": ["y" * 1000] * 7000})
    assert mine.post("/things", body=body, headers={"Content-Type": "application/json"}).status == 413


def test_good_requests_pass_with_and_without_the_stage_prefix(mine, user):
    for path in ("/things", "/api/things"):
        answer = mine.post(path, json={"name": "x", "size": 1})
        assert answer.status == 201
        assert answer.json()["caller"] == user.id
        assert answer.headers["ratelimit-policy"] == '"permin";q=100;w=60'
        assert answer.headers["cache-control"] == "no-store"


def test_unknown_routes_and_methods_have_the_same_shape(mine):
    missing = mine.get("/nothing")
    assert (missing.status, missing.json()["code"]) == (404, "no_such_route")
    wrong = mine.put("/things")
    assert (wrong.status, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "POST" in wrong.headers["allow"]


def test_an_unexpected_exception_says_nothing(mine, capsys):
    answer = mine.get("/things/broken", headers={"X-Request-Id": "req-1"})
    assert answer.status == 500
    assert answer.json()["request_id"] == "req-1"
    assert "swordfish" not in answer.text
    assert "RuntimeError" not in answer.text
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert any("RuntimeError" in line.get("exception", "") for line in lines)


def test_every_request_is_one_log_line(mine, user, capsys):
    mine.get("/things/mdl_1", headers={"X-Request-Id": "req-2"})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line.get("message") == "request"]
    assert line["user_id"] == user.id
    assert line["endpoint"] == "/api/things/{model_id}"
    assert line["method"] == "GET"
    assert line["status_code"] == 200
    assert line["model_id"] == "mdl_1"
    assert line["request_id"] == "req-2"
    assert line["response_time_ms"] > 0
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("given", ["a b", "x" * 200, "é", "a\r\nSet-Cookie: x=y", ""])
def test_a_request_id_that_could_do_harm_is_replaced(api, given):
    answer = api.get("/open", headers={"X-Request-Id": given})
    assert answer.status == 200
    assert answer.headers["x-request-id"] not in ("", given)


@pytest.mark.parametrize("host", ["a:b:c", "[::1]:8000", "x:99999999", "", "é"])
def test_a_strange_host_does_no_harm(api, host):
    assert api.get("/open", headers={"Host": host}).status == 200


def test_an_event_that_is_no_request_gets_an_answer(api):
    answer = api.handler({"resource": "/", "requestContext": {}}, None)
    assert answer["statusCode"] == 500


def test_head_is_get_without_a_body(api):
    answer = api.request("HEAD", "/open")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == "17"


def test_a_preflight_of_a_stranger_allows_nothing(api):
    preflight = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    refused = api.request("OPTIONS", "/things", headers=preflight)
    assert refused.status == 204
    assert "access-control-allow-origin" not in refused.headers


def test_preflight_for_a_listed_origin(api, monkeypatch):
    monkeypatch.setenv("MODELYARD_ALLOWED_ORIGINS", "https://app.example.com, https://b.example.com")
    preflight = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    answer = api.request("OPTIONS", "/things", headers=preflight)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "POST" in answer.headers["access-control-allow-methods"]
    may_send = answer.headers["access-control-allow-headers"].split(", ")
    assert {"If-Match", "Idempotency-Key", "X-Routing-Key", "Cache-Control"} <= set(may_send)
    assert api.request("OPTIONS", "/nothing", headers=preflight).status == 404
    error = api.post("/things", headers={"Origin": "https://app.example.com"})
    assert error.status == 401
    assert error.headers["access-control-allow-origin"] == "https://app.example.com"
    may_read = error.headers["access-control-expose-headers"].split(", ")
    assert {"X-Cache", "Age", "X-Model-Version", "Deprecation", "Sunset", "ETag"} <= set(may_read)


def test_the_unit_of_work_is_committed_and_then_told(mine, router, database):
    assert mine.post("/users?mode=good").status == 200
    assert users_named(database, "good") == 1
    assert len(router.told) == 1


@pytest.mark.parametrize(("mode", "status"), [("conflict", 409), ("crash", 500), ("unserialisable", 500)])
def test_whatever_fails_leaves_nothing_behind(mine, router, database, mode, status):
    assert mine.post(f"/users?mode={mode}").status == status
    assert users_named(database, mode) == 0
    assert router.told == []


def test_a_commit_that_fails_is_an_error_and_not_a_lie(mine, router, composition, engine):
    composition.database = Database(engine)  # a real commit, not a savepoint of the test's transaction
    assert mine.post("/users?mode=late").status == 500
    assert users_named(composition.database, "late") == 0
    assert router.told == []


def test_what_fails_after_the_commit_does_not_undo_the_answer(mine, router, database):
    router.told = None  # the append raises
    assert mine.post("/users?mode=good").status == 200
    assert users_named(database, "good") == 1


def test_a_route_must_say_who_may_call_it():
    router = Router()

    async def silent() -> None: ...

    with pytest.raises(TypeError, match="who may call"):
        router.get("/silent")(silent)


def test_a_plain_router_is_refused(composition):
    from fastapi import APIRouter

    plain = APIRouter()
    plain.get("/x")(lambda: None)
    with pytest.raises(TypeError, match=r"routing\.Router"):
        create_app(plain, composition)


def test_caller_is_plain_data(user, composition):
    caller = composition.admitter.identify({"authorization": f"Bearer {user.token}"})
    assert isinstance(caller, Caller)
    assert caller.user_id == user.id
    assert caller.credential_id == user.session_id
