"""Who may come in, and how the door answers those who may not."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.support.account import Account, expect

PROTECTED = [
    ("GET", "/users/me"),
    ("GET", "/models"),
    ("POST", "/models/upload"),
    ("GET", "/models/mdl_00000000000000000000000000"),
    ("POST", "/predict/mdl_00000000000000000000000000"),
    ("POST", "/predict/batch/mdl_00000000000000000000000000"),
    ("GET", "/jobs"),
]


@pytest.mark.parametrize(("method", "path"), PROTECTED)
@pytest.mark.parametrize("token", [None, "nonsense"])
def test_without_a_valid_token_nobody_comes_in(api: httpx.Client, method: str, path: str, token: str | None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    answer = api.request(method, path, json={}, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_registration_refuses_what_cannot_work(api: httpx.Client):
    answer = api.post("/auth/register", json={"email": "nobody", "password": "short", "name": ""})

    problem = expect(answer, 422)
    assert {error["pointer"] for error in problem["errors"]} >= {"/email", "/password"}
    assert "short" not in str(problem["errors"])


def test_a_wrong_password_and_an_unknown_address_answer_alike(
    api: httpx.Client, account: Callable[[], Account]
):
    known = account()

    wrong = api.post("/auth/login", json={"email": known.email, "password": "not-the-password"})
    unknown = api.post("/auth/login", json={"email": "ghost@example.com", "password": "not-the-password"})

    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.json()["detail"] == unknown.json()["detail"]


def test_a_registered_user_logs_in_and_sees_who_they_are(account: Callable[[], Account], api: httpx.Client):
    user = account()

    tokens = expect(api.post("/auth/login", json={"email": user.email, "password": user.password}), 200)
    me = expect(user.api.get("/users/me"), 200)

    assert tokens["token_type"] == "bearer"
    assert tokens["expires_in"] == 30 * 60
    assert tokens["refresh_token"]
    assert (me["email"], me["name"]) == (user.email, "Tester")
    assert "password" not in str(me)


def test_health_needs_no_token(api: httpx.Client):
    assert expect(api.get("/health"), 200)["status"] == "ok"
    assert expect(api.get("/health/ready"), 200)["status"] == "ready"


def test_an_unknown_path_answers_in_the_standard_shape(api: httpx.Client):
    answer = api.get("/no/such/path")

    assert answer.status_code in (403, 404)
    assert answer.headers["content-type"].startswith("application/problem+json")
