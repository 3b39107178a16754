"""Registration and login, through the function's handler."""

from __future__ import annotations

import statistics
import time

import jwt
import pytest
from modelyard.accounts.passwords import Passwords
from modelyard.db.engine import Database, DatabaseSettings, make_engine
from modelyard.db.tables import Session, User
from modelyard.web.app import create_app, lambda_handler
from sqlalchemy import func, select

from functions.auth.handler import router
from tests.fakes.redis import RedisDown
from tests.support.events import sample
from tests.support.http import ApiGateway, read

ADA = {"email": "Ada@Example.com", "password": "correct horse battery", "name": "Ada"}
LOGIN = {"email": ADA["email"], "password": ADA["password"]}


@pytest.fixture
def api(composition):
    return ApiGateway(lambda_handler(create_app(router, composition)))


@pytest.fixture
def ada(api):
    assert api.post("/auth/register", json=ADA).status == 201


def users(database, email="ada@example.com"):
    with database.transaction() as session:
        return list(session.execute(select(User).where(User.email == email)).scalars())


@pytest.mark.parametrize("name", ["auth/register_invalid", "auth/login_malformed"])
def test_invalid_samples_are_refused(api, name):
    answer = read(api.handler(sample(name), None))
    assert answer.status in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "short" not in [error["detail"] for error in answer.json().get("errors", [])]


@pytest.mark.parametrize(
    "change",
    [
        {"email": "nobody"},
        {"email": None},
        {"password": "x" * 73},
        {"password": "short"},
        {"password": "with\0nul!"},
        {"name": ""},
        {"name": "a\0b"},
        {"role": "admin"},
        {"id": "usr_1"},
        {"status": "active"},
        {"email": {"$ne": ""}},
    ],
)
def test_what_does_not_fit_registers_nobody(api, database, change):
    answer = api.post("/auth/register", json=ADA | change)
    assert answer.status == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == f"/{next(iter(change))}"
    assert users(database) == []


def test_registering(api, database):
    answer = api.post("/auth/register", json=ADA)
    assert answer.status == 201
    assert answer.json()["email"] == "ada@example.com"
    (user,) = users(database)
    assert user.id.startswith("usr_")
    assert (user.name, user.role, user.status) == ("Ada", "user", "active")
    assert "correct horse" not in user.password_hash


def test_registering_twice_changes_nothing_and_tells_nothing(api, database, ada, capsys):
    again = ADA | {"password": "another password", "name": "Eve"}
    other = ADA | {"email": "eve@example.com"}
    capsys.readouterr()
    known, new = api.post("/auth/register", json=again), api.post("/auth/register", json=other)
    assert known.status == new.status == 201
    assert set(known.json()) == set(new.json())
    assert known.json()["detail"] == new.json()["detail"]
    (user,) = users(database)
    assert user.name == "Ada"
    assert api.post("/auth/login", json=LOGIN).status == 200
    assert api.post("/auth/login", json=LOGIN | {"password": "another password"}).status == 401
    assert "user.registered_again" in capsys.readouterr().out  # the owner can be told


def test_login_gives_a_pair_of_tokens(api, composition, ada, database):
    answer = api.post("/auth/login", json=LOGIN, headers={"User-Agent": "curl/8\0\n" + "x" * 500})
    body = answer.json()
    assert answer.status == 200
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (body["token_type"], body["expires_in"]) == ("bearer", 1800)
    assert answer.headers["cache-control"] == "no-store"
    (user,) = users(database)
    claims = composition.tokens.verify(body["access_token"])
    assert (claims.user_id, claims.role) == (user.id, "user")
    refresh = jwt.decode(body["refresh_token"], options={"verify_signature": False})
    assert refresh["exp"] - refresh["iat"] == 7 * 24 * 3600
    with database.transaction() as session:
        kept = session.get(Session, claims.session_id)
        assert kept is not None
        assert kept.user_id == user.id
        assert body["refresh_token"] not in kept.refresh_hash
        assert kept.ip == "203.0.113.7"
        assert kept.user_agent.startswith("curl/8xxx")
        assert len(kept.user_agent) <= 200


@pytest.mark.parametrize("email", ["ada@example.com", "ADA@EXAMPLE.COM", " ada@example.com "])
def test_an_address_has_many_spellings(api, ada, email):
    assert api.post("/auth/login", json=LOGIN | {"email": email}).status == 200


def test_wrong_password_and_unknown_account_read_the_same(api, ada):
    wrong = api.post("/auth/login", json=LOGIN | {"password": "wrong horse"})
    unknown = api.post("/auth/login", json=LOGIN | {"email": "nobody@example.com"})
    long = api.post("/auth/login", json=LOGIN | {"password": "x" * 100})
    assert wrong.status == unknown.status == long.status == 401
    bodies = [answer.json() | {"request_id": ""} for answer in (wrong, unknown, long)]
    assert bodies[0] == bodies[1] == bodies[2]
    assert wrong.headers["www-authenticate"] == unknown.headers["www-authenticate"]


def test_wrong_password_and_unknown_account_take_the_same_time(composition, api):
    composition.passwords = Passwords(rounds=9)
    assert api.post("/auth/register", json=ADA).status == 201

    def median(email):
        times = []
        for _ in range(4):
            started = time.perf_counter()
            assert api.post("/auth/login", json={"email": email, "password": "wrong horse"}).status == 401
            times.append(time.perf_counter() - started)
        return statistics.median(times)

    median("warm@example.com")
    assert 0.5 < median("ada@example.com") / median("nobody@example.com") < 2


def test_a_suspended_user_learns_so_only_with_the_right_password(api, ada, database):
    with database.transaction() as session:
        session.execute(User.__table__.update().values(status="suspended"))
    assert api.post("/auth/login", json=LOGIN | {"password": "wrong horse"}).status == 401
    refused = api.post("/auth/login", json=LOGIN)
    assert (refused.status, refused.json()["code"]) == (403, "account_suspended")


def test_guessing_a_password_ends_soon_and_tells_when_to_come_back(api, ada):
    answers = [api.post("/auth/login", json=LOGIN | {"password": f"guess {number}"}) for number in range(12)]
    assert [answer.status for answer in answers] == [401] * 10 + [429] * 2
    assert answers[-1].json()["violated-policies"] == ["login-account"]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert api.post("/auth/login", json=LOGIN).status == 429  # the right one too: it could be a guess


def test_an_owner_who_logs_in_often_is_not_locked_out(api, ada):
    assert [api.post("/auth/login", json=LOGIN).status for _ in range(15)] == [200] * 15


def test_an_older_hash_is_renewed_at_login(api, composition, database):
    assert api.post("/auth/register", json=ADA).status == 201
    before = users(database)[0].password_hash
    composition.passwords = Passwords(rounds=5)
    assert api.post("/auth/login", json=LOGIN).status == 200
    assert users(database)[0].password_hash.startswith("$2b$05$") != before.startswith("$2b$05$")


@pytest.mark.parametrize("text", ["'; DROP TABLE users; --", '" OR ""="', "%' OR '1'='1", "\\x27", "${7*7}"])
def test_metacharacters_are_only_characters(api, database, text):
    given = {"email": "meta@example.com", "password": (text * 8)[:60], "name": text}
    assert api.post("/auth/register", json=given).status == 201
    assert users(database, "meta@example.com")[0].name == text
    assert (
        api.post("/auth/login", json={"email": given["email"], "password": given["password"]}).status == 200
    )


def test_login_works_while_the_cache_is_away(composition, database, api, ada):
    composition.__dict__["redis"] = RedisDown()
    composition.__dict__.pop("throttle", None)
    answers = [api.post("/auth/login", json=LOGIN | {"password": "wrong horse"}).status for _ in range(12)]
    assert answers == [401] * 10 + [429] * 2


def test_a_database_that_is_away_is_a_503(composition, api):
    nowhere = DatabaseSettings("127.0.0.1", 1, "nobody", "nothing", "modelyard")
    composition.__dict__["database"] = Database(make_engine(nowhere))
    answer = api.post("/auth/login", json=LOGIN)
    assert answer.status == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert "127.0.0.1" not in answer.text


def test_two_registrations_at_once_are_one_account(engine, redis_client):
    import threading

    from tests.support.composition import LocalComposition

    email = f"race-{time.time_ns()}@example.com"
    apis = [
        ApiGateway(
            lambda_handler(
                create_app(router, LocalComposition(database=Database(engine), redis=redis_client))
            )
        )
        for _ in range(2)
    ]
    statuses = []

    def register(api):
        statuses.append(api.post("/auth/register", json=ADA | {"email": email}).status)

    threads = [threading.Thread(target=register, args=(api,)) for api in apis]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    database = Database(engine)
    with database.transaction() as session:
        count = session.execute(select(func.count()).where(User.email == email)).scalar()
        session.execute(User.__table__.delete().where(User.email == email))
    assert (statuses, count) == ([201, 201], 1)


def test_the_samples_work(api):
    assert read(api.handler(sample("auth/register"), None)).status == 201
    assert read(api.handler(sample("auth/login"), None)).status == 200
    assert read(api.handler(sample("auth/login_wrong_password"), None)).status == 401
