"""What administrators see and do."""

from __future__ import annotations

import pytest
from modelyard.accounts.administration import AdminExists, make_first_admin
from modelyard.accounts.audit import Audit, Origin
from modelyard.accounts.errors import UserNotFound
from modelyard.db.tables import AuditEntry, User
from modelyard.web.app import create_app, lambda_handler
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import ProgrammingError

from functions.auth import handler as auth
from functions.users import handler as users
from tests.fakes.redis import RedisDown
from tests.support.composition import make_user
from tests.support.http import ApiGateway


@pytest.fixture
def anonymous(composition):
    return ApiGateway(lambda_handler(create_app(users.router, composition)))


@pytest.fixture
def boss(composition):
    return make_user(composition, role="admin")


@pytest.fixture
def admin(anonymous, boss):
    return anonymous.with_headers(boss.headers)


@pytest.fixture
def ada(composition):
    """A user who has logged in with a password: (login, id)."""
    api = ApiGateway(lambda_handler(create_app(auth.router, composition)))
    given = {"email": "ada@example.com", "password": "correct horse battery"}
    api.post("/auth/register", json=given | {"name": "Ada"})

    def login():
        return api.post("/auth/login", json=given)

    pair = login().json()
    user_id = composition.tokens.verify(pair["access_token"]).user_id
    return login, pair, user_id, api


ROUTES = [("GET", "/users"), ("GET", "/users/usr_1"), ("PATCH", "/users/usr_1"), ("GET", "/audit")]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_others_are_kept_out(anonymous, user, method, path):
    assert anonymous.request(method, path, json={}).status == 401
    refused = anonymous.with_headers(user.headers).request(method, path, json={})
    assert refused.status == 403
    assert 'scope="admin"' in refused.headers["www-authenticate"]


def test_users_are_listed_page_by_page(admin, composition, boss):
    made = {make_user(composition).id for _ in range(5)} | {boss.id}
    seen, cursor = [], ""
    while cursor is not None:
        page = admin.get(f"/users?limit=2{f'&cursor={cursor}' if cursor else ''}").json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert set(seen) == made
    assert len(seen) == 6
    assert "password" not in admin.get("/users").text


def test_users_are_found(admin, user, boss):
    assert [item["id"] for item in admin.get(f"/users?email={user.email.upper()}").json()["items"]] == [
        user.id
    ]
    assert [item["id"] for item in admin.get("/users?role=admin").json()["items"]] == [boss.id]
    assert admin.get("/users?status=suspended").json()["items"] == []
    assert admin.get(f"/users/{user.id}").json()["email"] == user.email
    for unknown in ("usr_00000000000000000000000000", "nonsense", "a%00b"):
        assert admin.get(f"/users/{unknown}").status == 404
        assert admin.patch(f"/users/{unknown}", json={"role": "user"}).status == 404


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"role": "god"},
        {"role": None},
        {"status": "deleted"},
        {"status": None},
        {"requests_per_minute": 0},
        {"requests_per_minute": -1},
        {"requests_per_minute": "many"},
        {"email": "eve@example.com"},
        {"password_hash": "x"},
        {"id": "usr_1"},
    ],
)
def test_nothing_else_can_be_changed(admin, user, change):
    assert admin.patch(f"/users/{user.id}", json=change).status == 422


def test_a_suspension_holds_from_the_next_request_on(admin, anonymous, ada):
    login, pair, user_id, api = ada
    mine = anonymous.with_headers({"Authorization": f"Bearer {pair['access_token']}"})
    key = mine.post("/api-keys", json={"name": "robot", "scopes": ["models:read"]}).json()["key"]
    with_key = anonymous.with_headers({"X-API-Key": key})
    assert with_key.get("/users/me").status == 403  # a good key without that scope
    assert admin.patch(f"/users/{user_id}", json={"status": "suspended"}).json()["status"] == "suspended"
    assert mine.get("/users/me").status == 401
    assert with_key.get("/users/me").status == 401
    assert login().json()["code"] == "account_suspended"
    assert api.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]}).status == 401
    assert admin.patch(f"/users/{user_id}", json={"status": "active"}).status == 200
    assert mine.get("/users/me").status == 401  # the session stays ended
    assert with_key.get("/users/me").status == 403
    again = login().json()
    assert (
        anonymous.get("/users/me", headers={"Authorization": f"Bearer {again['access_token']}"}).status == 200
    )


def test_a_limit_of_ones_own(admin, anonymous, ada, composition, redis_client):
    login, pair, user_id, _ = ada
    mine = anonymous.with_headers({"Authorization": f"Bearer {pair['access_token']}"})
    assert (
        admin.patch(f"/users/{user_id}", json={"requests_per_minute": 3}).json()["requests_per_minute"] == 3
    )
    assert [mine.get("/users/me").status for _ in range(4)] == [200, 200, 200, 429]
    redis_client.flushall()  # new tokens carry the limit, whatever Redis remembers
    token = login().json()["access_token"]
    again = anonymous.with_headers({"Authorization": f"Bearer {token}"})
    assert again.get("/users/me").headers["ratelimit-policy"] == '"permin";q=3;w=60'
    key = again.post("/api-keys", json={"name": "robot", "scopes": ["models:read"]}).json()["key"]
    with_key = anonymous.get("/users/me", headers={"X-API-Key": key})
    assert with_key.headers["ratelimit-policy"] == '"permin";q=3;w=60'
    assert admin.patch(f"/users/{user_id}", json={"requests_per_minute": None}).status == 200
    assert again.get("/users/me").headers["ratelimit-policy"] == '"permin";q=100;w=60'
    with_key = anonymous.get("/users/me", headers={"X-API-Key": key})
    assert with_key.headers["ratelimit-policy"] == '"permin";q=100;w=60'


def test_a_role_holds_for_the_next_login(admin, anonymous, ada):
    login, pair, user_id, _ = ada
    assert admin.patch(f"/users/{user_id}", json={"role": "admin"}).json()["role"] == "admin"
    assert anonymous.get("/users", headers={"Authorization": f"Bearer {pair['access_token']}"}).status == 401
    token = login().json()["access_token"]
    assert anonymous.get("/users", headers={"Authorization": f"Bearer {token}"}).status == 200


def test_nobody_changes_their_own_standing(admin, boss):
    for change in ({"role": "user"}, {"status": "suspended"}):
        assert admin.patch(f"/users/{boss.id}", json=change).json()["code"] == "not_oneself"
    assert admin.patch(f"/users/{boss.id}", json={"requests_per_minute": 500}).status == 200


def test_a_deleted_account_is_its_owners(admin, user, database):
    with database.transaction() as session:
        session.execute(update(User).where(User.id == user.id).values(status="deleted"))
    assert admin.patch(f"/users/{user.id}", json={"status": "active"}).status == 409


def test_changes_stand_in_the_trail_for_both(admin, anonymous, user, boss):
    admin.patch(f"/users/{user.id}", json={"requests_per_minute": 50})
    (entry,) = admin.get(f"/audit?user_id={user.id}&action=admin.change_user").json()["items"]
    assert (entry["actor_id"], entry["credential_id"]) == (boss.id, boss.session_id)
    assert entry["details"] == {"changes": {"requests_per_minute": {"before": None, "after": 50}}}
    own = anonymous.get("/users/me/audit", headers=user.headers).json()["items"]
    assert [item["id"] for item in own] == [entry["id"]]
    assert admin.get("/audit?action=nothing.such").json()["items"] == []
    assert admin.get("/audit?action=%27%3B--").status == 422


def test_a_redis_that_is_away_does_not_stop_an_administrator(admin, user, composition):
    from modelyard.accounts.revocation import Revocations

    composition.__dict__["revocations"] = Revocations(RedisDown())
    for change in ({"status": "suspended"}, {"status": "active"}, {"requests_per_minute": 5}):
        assert admin.patch(f"/users/{user.id}", json=change).status == 200


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_log SET result = 'done'", "DELETE FROM audit_log", "TRUNCATE audit_log"]
)
def test_the_trail_cannot_be_changed(session, statement):
    session.execute(text("INSERT INTO audit_log (id, action, result) VALUES ('aud_1', 'a', 'refused')"))
    with pytest.raises(ProgrammingError, match="permission denied"):
        session.execute(text(statement))


def test_the_first_administrator(session, composition, user, stranger):
    audit = Audit(session, Origin())
    with pytest.raises(UserNotFound):
        make_first_admin(session, audit, "nobody@example.com")
    assert make_first_admin(session, audit, user.email).user_id == user.id
    with pytest.raises(AdminExists):
        make_first_admin(session, audit, stranger.email)
    assert session.execute(select(func.count()).where(AuditEntry.action == "admin.first")).scalar() == 1
