"""Refreshing, logging out and ending sessions: what was ended is refused by the very next request."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from modelyard.accounts.revocation import Revocations
from modelyard.accounts.tokens import ACCESS_SECONDS
from modelyard.db.engine import Database
from modelyard.db.tables import Session, User
from modelyard.kit.clock import utc_now
from modelyard.web.app import create_app, lambda_handler
from sqlalchemy import select, update

from functions.auth import handler as auth
from functions.users import handler as users
from tests.fakes.redis import RedisDown
from tests.support.composition import LocalComposition, make_user
from tests.support.http import ApiGateway

ADA = {"email": "ada@example.com", "password": "correct horse battery", "name": "Ada"}
LOGIN = {"email": ADA["email"], "password": ADA["password"]}


@pytest.fixture
def api(composition):
    return ApiGateway(lambda_handler(create_app(auth.router, composition)))


@pytest.fixture
def me(composition):
    return ApiGateway(lambda_handler(create_app(users.router, composition)))


@pytest.fixture
def login(api):
    """Logs in and returns the tokens."""
    api.post("/auth/register", json=ADA)

    def log_in(agent="browser"):
        answer = api.post("/auth/login", json=LOGIN, headers={"User-Agent": agent})
        assert answer.status == 200
        return answer.json()

    return log_in


def bearer(pair):
    return {"Authorization": f"Bearer {pair['access_token']}"}


def refresh(api, pair):
    return api.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]})


@pytest.mark.parametrize(
    "body", [{}, {"refresh_token": ""}, {"refresh_token": 5}, {"refresh_token": "x" * 3000}]
)
def test_a_body_without_a_token_refreshes_nothing(api, body):
    assert api.post("/auth/refresh", json=body).status == 422


def test_what_is_no_refresh_token_refreshes_nothing(api, login):
    pair = login()
    for token in ("nonsense", "a.b.c", pair["access_token"], pair["refresh_token"][:-2] + "xx"):
        assert api.post("/auth/refresh", json={"refresh_token": token}).status == 401
    assert refresh(api, pair).status == 200  # and none of these attempts ended the session


def test_refreshing_gives_new_tokens_of_the_same_session(api, me, login, composition):
    first = login()
    second = refresh(api, first).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    sessions = {composition.tokens.verify(pair["access_token"]).session_id for pair in (first, second)}
    assert len(sessions) == 1
    assert me.get("/users/me", headers=bearer(second)).status == 200
    third = refresh(api, second)
    assert third.status == 200


def test_a_replayed_refresh_token_ends_the_family_and_shows_it(api, me, login):
    stolen, other = login(), login("other device")
    current = refresh(api, stolen).json()
    replayed = refresh(api, stolen)
    assert (replayed.status, replayed.json()["code"]) == (401, "session_ended")
    assert refresh(api, current).status == 401
    assert me.get("/users/me", headers=bearer(current)).status == 401
    assert me.get("/users/me", headers=bearer(stolen)).status == 401
    listed = me.get("/users/me/sessions", headers=bearer(other)).json()["items"]
    assert [session["revoked_reason"] for session in listed] == [None, "refresh_replayed"]


def test_of_two_refreshes_at_once_one_wins(engine, redis_client):
    services = [LocalComposition(database=Database(engine), redis=redis_client) for _ in range(2)]
    apis = [ApiGateway(lambda_handler(create_app(auth.router, each))) for each in services]
    email = f"race-{time.time_ns()}@example.com"
    apis[0].post("/auth/register", json=ADA | {"email": email})
    pair = apis[0].post("/auth/login", json=LOGIN | {"email": email}).json()
    statuses = []
    threads = [
        threading.Thread(target=lambda each=each: statuses.append(refresh(each, pair).status))
        for each in apis
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with Database(engine).transaction() as session:
        session.execute(User.__table__.delete().where(User.email == email))
    assert sorted(statuses) == [200, 401]


def test_a_session_can_be_prolonged_for_ninety_days_and_no_longer(api, login, database):
    pair = login()
    with database.transaction() as session:
        session.execute(update(Session).values(created_at=utc_now() - timedelta(days=88)))
    pair = refresh(api, pair).json()
    with database.transaction() as session:
        left = session.execute(select(Session.expires_at)).scalar_one() - utc_now()
        assert timedelta(days=1.9) < left < timedelta(days=2.1)
        session.execute(update(Session).values(expires_at=utc_now() - timedelta(seconds=1)))
    assert refresh(api, pair).status == 401


@pytest.mark.parametrize("status", ["suspended", "deleted"])
def test_who_is_not_active_cannot_refresh(api, login, database, status):
    pair = login()
    with database.transaction() as session:
        session.execute(update(User).values(status=status))
    assert refresh(api, pair).status == 403


def test_logging_out_needs_a_session(api):
    assert api.post("/auth/logout").status == 401


def test_logging_out_ends_this_session_at_once_and_no_other(api, me, login):
    mine, other = login(), login()
    assert me.get("/users/me", headers=bearer(mine)).status == 200
    done = api.post("/auth/logout", headers=bearer(mine))
    assert (done.status, done.body) == (204, b"")
    refused = me.get("/users/me", headers=bearer(mine))  # the same warm function
    assert (refused.status, refused.json()["code"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert refresh(api, mine).status == 401
    assert me.get("/users/me", headers=bearer(other)).status == 200
    assert refresh(api, other).status == 200


def test_logging_out_everywhere(api, me, login):
    pairs = [login() for _ in range(3)]
    assert api.post("/auth/logout", json={"everywhere": True}, headers=bearer(pairs[0])).status == 204
    assert [me.get("/users/me", headers=bearer(pair)).status for pair in pairs] == [401] * 3
    assert [refresh(api, pair).status for pair in pairs] == [401] * 3


def test_logging_out_ends_nobody_elses_session(api, me, login, stranger):
    login()
    assert api.post("/auth/logout", json={"everywhere": True}, headers=stranger.headers).status == 204
    assert api.post("/auth/login", json=LOGIN).status == 200


def test_sessions_are_listed_with_where_they_are_used(api, me, login):
    login("first device")
    current = login("second device")
    items = me.get("/users/me/sessions", headers=bearer(current)).json()["items"]
    assert [(item["user_agent"], item["current"]) for item in items] == [
        ("second device", True),
        ("first device", False),
    ]
    assert items[0]["ip"] == "203.0.113.7"
    assert "hash" not in str(items)


def test_a_session_is_ended_from_another(api, me, login, composition):
    lost, mine = login("lost"), login("mine")
    session_id = composition.tokens.verify(lost["access_token"]).session_id
    for _ in range(2):  # ending twice is ending
        assert me.delete(f"/users/me/sessions/{session_id}", headers=bearer(mine)).status == 204
    assert me.get("/users/me", headers=bearer(lost)).status == 401
    assert me.get("/users/me", headers=bearer(mine)).status == 200


@pytest.mark.parametrize("session_id", ["ses_00000000000000000000000000", "nonsense", "a%00b", "' OR 1=1"])
def test_unknown_sessions_are_not_found(me, user, session_id):
    assert me.delete(f"/users/me/sessions/{session_id}", headers=user.headers).status == 404


def test_foreign_sessions_are_not_found(me, login, composition, stranger):
    session_id = composition.tokens.verify(login()["access_token"]).session_id
    assert me.delete(f"/users/me/sessions/{session_id}", headers=stranger.headers).status == 404


def test_a_redis_that_was_away_learns_of_the_logout_from_the_sweep(
    composition, database, redis_client, login, api
):
    pair = login()
    claims = composition.tokens.verify(pair["access_token"])
    composition.__dict__["revocations"] = Revocations(RedisDown())
    assert api.post("/auth/logout", headers=bearer(pair)).status == 204
    name = f"{{{claims.user_id}}}:revoked:{claims.session_id}"
    assert redis_client.get(name) is None
    with database.transaction() as unit:
        assert Revocations(redis_client).republish(unit) == 1
    assert redis_client.get(name) == b"1"
    assert ACCESS_SECONDS <= redis_client.ttl(name) <= ACCESS_SECONDS + 60


def test_the_password_form_of_oauth2(api, me, login):
    login()
    form = {
        "grant_type": "password",
        "username": ADA["email"],
        "password": ADA["password"],
        "scope": "predict",
        "client_id": "",
    }
    answer = api.post("/auth/token", form=form)
    assert answer.status == 200
    assert answer.json()["token_type"] == "bearer"
    assert me.get("/users/me", headers=bearer(answer.json())).status == 200
    assert api.post("/auth/token", form=form | {"password": "wrong horse"}).status == 401
    assert api.post("/auth/token", form=form | {"grant_type": "client_credentials"}).status == 422
    assert api.post("/auth/token", json=LOGIN).status == 415


def test_a_role_is_read_from_the_token(composition, me):
    admin = make_user(composition, role="admin")
    assert me.get("/users/me", headers=admin.headers).json()["role"] == "admin"
