"""The caller's own account, through the function's handler."""

from __future__ import annotations

import pytest
from modelyard.db.tables import User
from modelyard.web.app import create_app, lambda_handler

from functions.users.handler import router
from tests.support.events import sample
from tests.support.http import ApiGateway, read


@pytest.fixture
def api(composition):
    return ApiGateway(lambda_handler(create_app(router, composition)))


def test_without_a_token_there_is_no_me(api):
    answer = read(api.handler(sample("users/me_without_token"), None))
    assert answer.status == 401
    assert answer.json()["code"] == "unauthorized"


def test_me(api, user):
    answer = read(api.handler(sample("users/me", Authorization=user.headers["Authorization"]), None))
    body = answer.json()
    assert answer.status == 200
    assert body["id"] == user.id
    assert body["email"] == user.email
    assert body["role"] == "user"
    assert body["created_at"].endswith("Z")
    assert "password" not in answer.text


def test_a_deleted_user_is_nobody(api, user, database):
    with database.transaction() as session:
        session.execute(User.__table__.update().values(status="deleted"))
    assert api.get("/users/me", headers=user.headers).status == 404
