"""Changing and deleting one's own account."""

from __future__ import annotations

from datetime import timedelta

import pytest
from modelyard.db.tables import User
from modelyard.kit.clock import utc_now
from modelyard.web.app import create_app, lambda_handler
from sqlalchemy import select, update

from functions.auth import handler as auth
from functions.users import handler as users
from tests.support.http import ApiGateway

ADA = {"email": "ada@example.com", "password": "correct horse battery", "name": "Ada"}
LOGIN = {"email": ADA["email"], "password": ADA["password"]}
PROOF = {"current_password": ADA["password"]}


@pytest.fixture
def api(composition):
    return ApiGateway(lambda_handler(create_app(auth.router, composition)))


@pytest.fixture
def me(composition, api):
    """The account, as its owner's first session sees it."""
    api.post("/auth/register", json=ADA)
    token = api.post("/auth/login", json=LOGIN).json()["access_token"]
    gateway = ApiGateway(lambda_handler(create_app(users.router, composition)))
    return gateway.with_headers({"Authorization": f"Bearer {token}"})


def another_session(api, me):
    token = api.post("/auth/login", json=LOGIN).json()["access_token"]
    return me.with_headers({"Authorization": f"Bearer {token}"})


def actions(me, result="done"):
    return [entry["action"] for entry in me.get(f"/users/me/audit?result={result}").json()["items"]]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/users/me"),
        ("DELETE", "/users/me"),
        ("POST", "/users/me/password"),
        ("GET", "/users/me/audit"),
    ],
)
def test_nothing_without_a_session(me, method, path):
    assert ApiGateway(me.handler).request(method, path, json={}).status == 401


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"role": "admin"}, "/role"),
        ({"id": "usr_1"}, "/id"),
        ({"status": "active"}, "/status"),
        ({"requests_per_minute": 10_000}, "/requests_per_minute"),
        ({"email_verified_at": "2026-01-01T00:00:00Z"}, "/email_verified_at"),
        ({"name": "a\0b"}, "/name"),
        ({"email": "nobody"}, "/email"),
    ],
)
def test_only_name_and_email_can_be_changed(me, change, pointer):
    answer = me.patch("/users/me", json=change)
    assert answer.status == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_a_new_name(me):
    assert me.patch("/users/me", json={"name": "Ada Lovelace"}).json()["name"] == "Ada Lovelace"
    assert me.get("/users/me").json()["name"] == "Ada Lovelace"
    assert me.patch("/users/me", json={}).json()["name"] == "Ada Lovelace"
    assert "user.change_name" in actions(me)


def test_a_new_email_takes_the_password_and_is_not_verified(api, me, database, capsys):
    new = {"email": "Countess@Example.com"}
    assert me.patch("/users/me", json=new).status == 403
    assert (
        me.patch("/users/me", json=new | {"current_password": "wrong horse"}).json()["code"]
        == "wrong_password"
    )
    with database.transaction() as session:
        session.execute(update(User).values(email_verified_at=User.created_at))
    capsys.readouterr()
    changed = me.patch("/users/me", json=new | PROOF)
    assert changed.status == 200
    assert changed.json()["email"] == "countess@example.com"
    assert changed.json()["email_verified_at"] is None
    assert "user.email_changed" in capsys.readouterr().out
    assert api.post("/auth/login", json=LOGIN).status == 401
    assert api.post("/auth/login", json=LOGIN | {"email": "countess@example.com"}).status == 200
    assert actions(me, "refused") == ["session.login", "user.change_email", "user.change_email"][1:]


def test_an_address_that_is_taken_stays_with_its_owner(me, stranger, database):
    answer = me.patch("/users/me", json={"email": stranger.email} | PROOF)
    assert (answer.status, answer.json()["code"]) == (409, "email_taken")
    assert me.get("/users/me").json()["email"] == ADA["email"]


def test_a_new_password_ends_the_other_sessions(api, me):
    other = another_session(api, me)
    new = {"new_password": "another good password"}
    assert me.post("/users/me/password", json={"current_password": "wrong horse"} | new).status == 403
    assert other.get("/users/me").status == 200
    assert me.post("/users/me/password", json=PROOF | {"new_password": "x" * 73}).status == 422
    assert me.post("/users/me/password", json=PROOF | new).status == 204
    assert me.get("/users/me").status == 200
    assert other.get("/users/me").status == 401
    assert api.post("/auth/login", json=LOGIN).status == 401
    assert api.post("/auth/login", json=LOGIN | {"password": new["new_password"]}).status == 200
    assert actions(me, "refused") == ["session.login", "user.change_password"]


def test_a_stolen_session_cannot_guess_the_password(me):
    guess = {"current_password": "wrong horse", "new_password": "another good password"}
    assert [me.post("/users/me/password", json=guess).status for _ in range(11)] == [403] * 10 + [429]


def test_deleting_closes_everything_now_and_can_be_taken_back(api, me, database):
    key = me.post("/api-keys", json={"name": "robot", "scopes": ["models:read"]}).json()
    other = another_session(api, me)
    assert me.delete("/users/me", json={"current_password": "wrong horse"}).status == 403
    assert me.get("/users/me").status == 200
    deleted = me.delete("/users/me", json=PROOF)
    assert deleted.status == 200
    assert deleted.json()["purged_after"] > "2026"
    assert [each.get("/users/me").status for each in (me, other)] == [401, 401]
    anonymous = ApiGateway(me.handler)
    assert anonymous.get("/users/me", headers={"X-API-Key": key["key"]}).status == 401
    assert api.post("/auth/login", json=LOGIN).json()["code"] == "account_deleted"
    assert api.post("/auth/login", json=LOGIN | {"password": "wrong horse"}).status == 401

    assert api.post("/auth/restore", json=LOGIN | {"password": "wrong horse"}).status == 401
    restored = api.post("/auth/restore", json=LOGIN)
    assert restored.status == 200
    back = anonymous.with_headers({"Authorization": f"Bearer {restored.json()['access_token']}"})
    assert back.get("/users/me").status == 200
    assert (
        anonymous.get("/users/me", headers={"X-API-Key": key["key"]}).status == 403
    )  # good again, as before
    assert api.post("/auth/restore", json=LOGIN).status == 401  # there is nothing to take back
    with database.transaction() as session:
        assert session.execute(select(User.deleted_at)).scalar_one() is None


def test_when_the_grace_is_over_nothing_is_taken_back(api, me, database):
    assert me.delete("/users/me", json=PROOF).status == 200
    with database.transaction() as session:
        session.execute(update(User).values(deleted_at=utc_now() - timedelta(days=30, seconds=1)))
    assert api.post("/auth/restore", json=LOGIN).status == 401


def test_the_trail_is_paged_filtered_and_ones_own(api, me, stranger):
    for name in ("A", "B", "C"):
        me.patch("/users/me", json={"name": name})
    first = me.get("/users/me/audit?action=user.change_name&limit=2")
    assert len(first.json()["items"]) == 2
    assert 'rel="next"' in first.headers["link"]
    cursor = first.json()["next_cursor"]
    second = me.get(f"/users/me/audit?action=user.change_name&limit=2&cursor={cursor}").json()
    assert len(second["items"]) == 1
    assert second["next_cursor"] is None
    ids = [entry["id"] for entry in first.json()["items"] + second["items"]]
    assert ids == sorted(set(ids), reverse=True)
    entry = second["items"][0]
    assert entry["ip"] == "203.0.113.7"
    assert entry["actor_id"] == entry["user_id"]
    assert me.get(f"/users/me/audit?cursor={cursor}").status == 422  # of another listing
    assert me.get(f"/users/me/audit?action=user.change_name&cursor={cursor[:-2]}xx").status == 422
    theirs = me.with_headers(stranger.headers)
    assert theirs.get("/users/me/audit").json()["items"] == []
    assert theirs.get(f"/users/me/audit?action=user.change_name&cursor={cursor}").status == 422
    assert me.get(f"/users/me/audit?user_id={stranger.id}").status == 422
    assert me.get("/users/me/audit?since=2099-01-01T00:00:00Z").json()["items"] == []
    assert me.get("/users/me/audit?until=2099-01-01T00:00:00Z").json()["items"] != []
    assert me.get("/users/me/audit?since=yesterday").status == 422
