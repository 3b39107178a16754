"""API keys: made once, used without a session, refused the moment they are revoked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from modelyard.accounts.admission import Admitter
from modelyard.accounts.key_service import MOST_KEYS
from modelyard.accounts.keyring import STALE_SECONDS, TRUSTED_SECONDS, KeyRing
from modelyard.accounts.keys import KeyRecord, KeyRefused, compose, digest, parse
from modelyard.db.tables import ApiKey, Model, User
from modelyard.kit.clock import isoformat, utc_now
from modelyard.kit.errors import Unavailable
from modelyard.kit.ids import new_id
from modelyard.web.app import create_app, lambda_handler
from modelyard.web.dependencies import AdminCaller, AnyCaller, JobsCaller, PredictCaller, ReadModels
from modelyard.web.routing import Router
from sqlalchemy import select, update

from functions.users.handler import router
from tests.fakes.redis import RedisDown
from tests.support.composition import make_user
from tests.support.http import ApiGateway

WANTED = {"name": "robot", "scopes": ["predict", "models:read"]}


def routes_with_every_need() -> Router:
    others = Router()

    @others.get("/predictions/{model_id}")
    async def predict(model_id: str, caller: PredictCaller) -> dict[str, str]:
        return {"user": caller.user_id, "kind": caller.kind}

    @others.get("/models")
    async def models(caller: ReadModels) -> dict[str, str]:
        return {}

    @others.get("/jobs")
    async def jobs(caller: JobsCaller) -> dict[str, str]:
        return {}

    @others.get("/admin")
    async def admin(caller: AdminCaller) -> dict[str, str]:
        return {}

    @others.get("/anything")
    async def anything(caller: AnyCaller) -> dict[str, str]:
        return {}

    return others


@pytest.fixture
def api(composition, user):
    return ApiGateway(lambda_handler(create_app(router, composition)), headers=user.headers)


@pytest.fixture
def others(composition):
    """Routes of other functions; a warm environment of its own."""
    return ApiGateway(lambda_handler(create_app(routes_with_every_need(), composition)))


@pytest.fixture
def model(database, user):
    model_id = new_id("mdl")
    with database.transaction() as session:
        session.add(Model(id=model_id, user_id=user.id, name="m"))
    return model_id


def made(api, **wanted):
    answer = api.post("/api-keys", json=WANTED | wanted)
    assert answer.status == 201, answer.text
    return answer.json()


def with_key(key):
    return {"X-API-Key": key if isinstance(key, str) else key["key"]}


def test_keys_are_made_by_a_session_only(api, others):
    key = made(api)
    stranger = ApiGateway(api.handler)
    assert stranger.post("/api-keys", json=WANTED).status == 401
    for method, path in (("POST", "/api-keys"), ("GET", "/api-keys"), ("DELETE", f"/api-keys/{key['id']}")):
        assert stranger.request(method, path, headers=with_key(key), json=WANTED).status == 403


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["account"]}, "/scopes/0"),
        ({"scopes": ["everything"]}, "/scopes/0"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "2099-01-01T00:00:00"}, "/expires_at"),
        ({"model_ids": []}, "/model_ids"),
        ({"model_ids": ["mdl_00000000000000000000000000"]}, "/model_ids/0"),
        ({"model_ids": ["a\0b"]}, "/model_ids/0"),
        ({"secret_hash": "x"}, "/secret_hash"),
        ({"user_id": "usr_1"}, "/user_id"),
    ],
)
def test_what_does_not_fit_makes_no_key(api, change, pointer):
    answer = api.post("/api-keys", json=WANTED | change)
    assert answer.status == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert api.get("/api-keys").json()["items"] == []


def test_foreign_models_cannot_be_named(api, composition, database):
    other = make_user(composition)
    model_id = new_id("mdl")
    with database.transaction() as session:
        session.add(Model(id=model_id, user_id=other.id, name="m"))
    assert api.post("/api-keys", json=WANTED | {"model_ids": [model_id]}).status == 422


def test_a_user_cannot_make_an_admins_key(api, composition, others):
    assert api.post("/api-keys", json=WANTED | {"scopes": ["admin"]}).status == 403
    admin = make_user(composition, role="admin")
    key = made(api.with_headers(admin.headers), scopes=["admin"])
    assert others.get("/admin", headers=with_key(key)).status == 200


def test_a_key_is_shown_once_and_kept_as_a_digest(api, database, user):
    key = made(api)
    assert key["key"].startswith(key["prefix"] + "_")
    (listed,) = api.get("/api-keys").json()["items"]
    assert "key" not in listed
    assert listed["prefix"] == key["prefix"]
    secret = key["key"].rpartition("_")[2]
    with database.transaction() as session:
        row = session.execute(select(ApiKey)).scalar_one()
        assert secret not in str(row.__dict__)
        assert row.secret_hash == digest(key["key"][len(key["prefix"]) + 28 :])


def test_a_key_works_without_a_session_and_within_its_scopes(api, others, user):
    key = made(api)
    answer = others.get("/predictions/mdl_1", headers=with_key(key))
    assert (answer.status, answer.json()) == (200, {"user": user.id, "kind": "key"})
    assert others.get("/models", headers=with_key(key)).status == 200
    refused = others.get("/jobs", headers=with_key(key))
    assert refused.status == 403
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    assert others.get("/admin", headers=with_key(key)).status == 403


def test_a_key_limited_to_a_model_reaches_no_other(api, others, model):
    key = made(api, scopes=["predict", "models:read", "jobs"], model_ids=[model])
    assert others.get(f"/predictions/{model}", headers=with_key(key)).status == 200
    assert others.get(f"/predictions/{new_id('mdl')}", headers=with_key(key)).status == 403
    assert others.get("/models", headers=with_key(key)).status == 403
    assert others.get("/anything", headers=with_key(key)).status == 403
    assert others.get("/jobs", headers=with_key(key)).status == 200  # the service looks at the job's model


def test_every_wrong_key_reads_the_same(api, others, user):
    key = made(api)["key"]
    other_id = compose(new_id("key"), user.id, key[-43:])
    other_user = compose("key_" + key[4:30], new_id("usr"), key[-43:])
    wrong = [key[:-1] + ("A" if key[-1] != "A" else "B"), other_id, other_user]
    answers = [others.get("/models", headers=with_key(text)) for text in wrong]
    assert {answer.status for answer in answers} == {401}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    for text in ("nonsense", "mdk_", key + "x", " " + key, key.upper(), "é" * 99):
        assert others.get("/models", headers=with_key(text)).status == 401
    assert others.get("/models", headers=with_key(key)).status == 200


def test_guessing_a_secret_costs_its_owner_nothing(api, others):
    key = made(api)["key"]
    before = others.get("/models", headers=with_key(key)).headers["ratelimit"]
    for _ in range(5):
        others.get("/models", headers=with_key(key[:-1] + ("A" if key[-1] != "A" else "B")))
    assert before.startswith('"permin";r=99')
    assert others.get("/models", headers=with_key(key)).headers["ratelimit"].startswith('"permin";r=98')


def test_two_credentials_are_one_too_many(api, others, user):
    key = made(api)
    assert others.get("/models", headers=with_key(key) | user.headers).status == 401


def test_each_key_has_its_own_limit(api, others, user):
    one, two = made(api), made(api)
    for _ in range(100):
        assert others.get("/models", headers=with_key(one)).status == 200
    assert others.get("/models", headers=with_key(one)).status == 429
    assert others.get("/models", headers=with_key(two)).status == 200
    assert others.get("/models", headers=user.headers).status == 200


def test_a_revoked_key_is_refused_by_the_next_request_everywhere(api, others, composition, redis_client):
    key = made(api)
    assert others.get("/models", headers=with_key(key)).status == 200
    assert api.delete(f"/api-keys/{key['id']}").status == 204
    assert others.get("/models", headers=with_key(key)).status == 401
    redis_client.flushall()  # Redis forgets everything: PostgreSQL knows
    assert others.get("/models", headers=with_key(key)).status == 401
    assert api.delete(f"/api-keys/{key['id']}").status == 404
    assert api.get("/api-keys").json()["items"] == []


def test_rotating_keeps_the_key_and_changes_its_secret(api, others):
    old = made(api)
    assert others.get("/models", headers=with_key(old)).status == 200
    answer = api.post(f"/api-keys/{old['id']}/rotate")
    new = answer.json()
    assert answer.status == 200
    assert (new["id"], new["scopes"]) == (old["id"], old["scopes"])
    assert others.get("/models", headers=with_key(old)).status == 401
    assert others.get("/models", headers=with_key(new)).status == 200
    assert others.get("/models", headers=with_key(old)).status == 401


def test_an_expired_key_is_refused(api, others, composition, database):
    key = made(api, expires_at=isoformat(utc_now() + timedelta(hours=1)))
    assert others.get("/models", headers=with_key(key)).status == 200
    with database.transaction() as session:
        session.execute(update(ApiKey).values(expires_at=utc_now() - timedelta(seconds=1)))
    composition.revocations.forget_keys(key["key"][31:57], [key["id"]], revoked=False)
    fresh = Admitter(composition.tokens, RedisDown(), keys=KeyRing(composition._load_key, RedisDown()))
    with pytest.raises(KeyRefused):
        fresh.admit({"x-api-key": key["key"]})


@pytest.mark.parametrize("status", ["suspended", "deleted"])
def test_the_key_of_a_user_who_is_not_active_is_refused(
    api, others, composition, database, status, redis_client
):
    key = made(api)
    with database.transaction() as session:
        session.execute(update(User).values(status=status))
    assert others.get("/models", headers=with_key(key)).status == 401


@pytest.mark.parametrize("key_id", ["key_00000000000000000000000000", "nonsense", "a%00b"])
def test_unknown_keys_are_not_found(api, key_id):
    assert api.delete(f"/api-keys/{key_id}").status == 404
    assert api.post(f"/api-keys/{key_id}/rotate").status == 404


def test_foreign_keys_are_not_found(api, stranger):
    key = made(api)
    theirs = api.with_headers(stranger.headers)
    assert theirs.get("/api-keys").json()["items"] == []
    assert theirs.delete(f"/api-keys/{key['id']}").status == 404
    assert theirs.post(f"/api-keys/{key['id']}/rotate").status == 404


def test_there_are_not_endlessly_many(api):
    for _ in range(MOST_KEYS):
        made(api)
    answer = api.post("/api-keys", json=WANTED)
    assert (answer.status, answer.json()["code"]) == (409, "too_many_api_keys")


def test_it_is_seen_when_a_key_was_used(api, others):
    key = made(api)
    assert api.get("/api-keys").json()["items"][0]["last_used_at"] is None
    others.get("/models", headers=with_key(key))
    assert api.get("/api-keys").json()["items"][0]["last_used_at"] is not None


class Sources:
    """A clock and a database that can be away, for a key ring."""

    def __init__(self, record: KeyRecord | None) -> None:
        self.record = record
        self.loads = 0
        self.down = False
        self.now = 1000.0

    def load(self, _user_id: str, _key_id: str) -> KeyRecord | None:
        self.loads += 1
        if self.down:
            raise Unavailable
        return self.record


@pytest.fixture
def sources():
    return Sources(
        KeyRecord(
            new_id("key"), new_id("usr"), digest("s" * 43), "user", frozenset({"predict"}), None, None, 7
        )
    )


def ring(sources, redis):
    return KeyRing(sources.load, redis, now=lambda: sources.now, clock=lambda: sources.now)


def header(sources):
    return {"x-api-key": compose(sources.record.key_id, sources.record.user_id, "s" * 43)}


def test_a_warm_key_costs_one_round_trip_and_no_query(sources, composition, redis_client):
    from tests.integration.accounts.test_admission import Counting

    counting = Counting(redis_client)
    admitter = Admitter(composition.tokens, counting, keys=ring(sources, counting))
    admitter.admit(header(sources))
    counting.calls.clear()
    name = f"{{{sources.record.user_id}}}:route:m"
    redis_client.set(name, b"r")
    admission = admitter.admit(header(sources), lookups=lambda _caller: [name])
    assert counting.calls == ["evalsha"]
    assert sources.loads == 1
    assert admission.values == (b"r",)
    assert (admission.rate.policy.quota, admission.rate.remaining) == (7, 5)
    assert admission.caller.scopes == {"predict"}


def test_another_environment_learns_a_key_from_redis(sources, composition, redis_client):
    for _ in range(2):
        admitter = Admitter(composition.tokens, redis_client, keys=ring(sources, redis_client))
        assert admitter.admit(header(sources)).cache_up
    assert sources.loads == 1


def test_without_redis_a_key_is_believed_for_a_minute(sources, composition):
    admitter = Admitter(composition.tokens, RedisDown(), keys=ring(sources, RedisDown()))
    for _ in range(3):
        assert not admitter.admit(header(sources), lookups=lambda _caller: ["x"]).cache_up
    assert sources.loads == 1
    sources.now += TRUSTED_SECONDS + 1
    admitter.admit(header(sources))
    assert sources.loads == 2


def test_without_redis_and_postgres_a_key_is_believed_for_a_quarter_of_an_hour(sources, composition):
    admitter = Admitter(composition.tokens, RedisDown(), keys=ring(sources, RedisDown()))
    admitter.admit(header(sources))
    sources.down = True
    sources.now += STALE_SECONDS - 1
    assert admitter.admit(header(sources)).caller.user_id == sources.record.user_id
    sources.now += 2
    with pytest.raises(Unavailable):
        admitter.admit(header(sources))


def test_without_postgres_a_warm_key_goes_on(sources, composition, redis_client):
    admitter = Admitter(composition.tokens, redis_client, keys=ring(sources, redis_client))
    admitter.admit(header(sources))
    sources.down = True
    redis_client.flushall()
    for _ in range(3):
        assert admitter.admit(header(sources)).cache_up
    assert sources.loads == 2
    cold = Admitter(composition.tokens, RedisDown(), keys=ring(sources, RedisDown()))
    with pytest.raises(Unavailable):
        cold.admit(header(sources))


def test_a_redis_that_keeps_nothing_still_counts(sources, composition, redis_client):
    class Forgetful:
        def __getattr__(self, name):
            return getattr(redis_client, name)

        def set(self, *_arguments, **_options):
            return None

    admitter = Admitter(composition.tokens, Forgetful(), keys=ring(sources, Forgetful()))
    assert [admitter.admit(header(sources)).rate.remaining for _ in range(3)] == [6, 5, 4]


def test_the_parts_of_a_key():
    presented = parse(compose("key_" + "0" * 26, "usr_" + "1" * 26, "a_-" + "x" * 40))
    assert (presented.key_id, presented.user_id) == ("key_" + "0" * 26, "usr_" + "1" * 26)
    assert presented.secret_hash == digest("a_-" + "x" * 40)
