"""Attacks and limits against the deployed cloud; the long list is in `tests/security/access`."""

from __future__ import annotations

import base64
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.conftest import Served
from tests.support.account import Account, expect

ROW = {"inputs": [[5.1, 3.5, 1.4, 0.2]]}
CLIENTS, EACH, QUOTA = 20, 2, 15
AT_ONCE = 4  # more would start an environment each, which is what takes time here


def _part(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_session_that_ended_is_refused_within_a_second_by_warm_functions(iris_model: Served):
    """By `predict` and by others, which had both seen the token before."""
    owner = iris_model.owner
    expect(owner.predict(iris_model.model_id, ROW), 200)
    expect(owner.api.get("/models"), 200)
    old = {"Authorization": f"Bearer {owner.token}"}
    try:
        assert owner.api.post("/auth/logout").status_code == 204
        ended = time.monotonic()
        answers = [
            owner.api.post(f"/predict/{iris_model.model_id}", json=ROW, headers=old),
            owner.api.get("/models", headers=old),
        ]
        asked = time.monotonic() - ended
    finally:
        owner.log_in()
    assert [answer.status_code for answer in answers] == [401, 401]
    assert asked < 10, "too slow to say anything about the moment"
    expect(owner.predict(iris_model.model_id, ROW), 200)


def test_forged_tokens_are_refused_everywhere(iris_model: Served, api: httpx.Client):
    header, body, signature = iris_model.owner.token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged = [
        f"{_part({'alg': 'none', 'typ': 'JWT'})}.{body}.",
        f"{_part({'alg': 'none', 'typ': 'JWT'})}.{body}.{signature}",
        f"{header}.{_part(claims | {'role': 'admin'})}.{signature}",
        f"{header}.{body}.{signature[:-4]}AAAA",
    ]
    for token in forged:
        headers = {"Authorization": f"Bearer {token}"}
        statuses = {
            api.request(method, path, json=ROW if method == "POST" else None, headers=headers).status_code
            for method, path in (
                ("GET", "/users/me"),
                ("GET", "/models"),
                ("GET", "/jobs"),
                ("POST", f"/predict/{iris_model.model_id}"),
            )
        }
        assert statuses == {401}


def test_a_refresh_token_used_twice_ends_the_session(account: Callable[[], Account], api: httpx.Client):
    user = account()
    tokens = user.log_in()
    renewed = expect(api.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}), 200)
    replayed = api.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert replayed.status_code == 401
    for token in (tokens["access_token"], renewed["access_token"]):
        headers = {"Authorization": f"Bearer {token}"}
        assert api.get("/users/me", headers=headers).status_code == 401
    assert api.post("/auth/refresh", json={"refresh_token": renewed["refresh_token"]}).status_code == 401
    user.log_in()
    sessions = expect(user.api.get("/users/me/sessions"), 200)["items"]
    assert "refresh_replayed" in {session["revoked_reason"] for session in sessions}


def test_a_key_is_good_for_its_scope_and_model_until_it_is_revoked(iris_model: Served, api: httpx.Client):
    wanted = {"name": "only predict", "scopes": ["predict"], "model_ids": [iris_model.model_id]}
    key = expect(iris_model.owner.api.post("/api-keys", json=wanted), 201)
    headers = {"X-API-Key": key["key"]}
    path = f"/predict/{iris_model.model_id}"
    expect(api.post(path, json=ROW, headers=headers), 200)
    assert api.post(f"/predict/mdl_{'0' * 26}", json=ROW, headers=headers).status_code == 403
    assert api.get("/models", headers=headers).status_code == 403
    assert api.get("/users/me", headers=headers).status_code == 403
    assert iris_model.owner.api.delete(f"/api-keys/{key['id']}").status_code == 204
    assert api.post(path, json=ROW, headers=headers).status_code == 401


def test_a_suspended_user_is_out_at_once_with_token_and_key(
    administrator: Account, account: Callable[[], Account], api: httpx.Client
):
    user = account()
    key = expect(user.api.post("/api-keys", json={"name": "k", "scopes": ["models:read"]}), 201)["key"]
    assert api.get("/models", headers={"X-API-Key": key}).status_code == 200
    change = {"status": "suspended"}
    expect(administrator.api.patch(f"/users/{user.user_id}", json=change), 200)
    assert api.get("/models", headers={"X-API-Key": key}).status_code == 401
    assert user.api.get("/models").status_code == 401


def _left(answer: httpx.Response) -> int:
    found = re.fullmatch(r'"permin";r=(\d+);t=\d+', answer.headers["RateLimit"])
    assert found is not None
    return int(found[1])


def test_many_clients_at_once_get_exactly_what_an_administrator_allows(
    administrator: Account, account: Callable[[], Account]
):
    user = account()
    expect(administrator.api.patch(f"/users/{user.user_id}", json={"requests_per_minute": QUOTA}), 200)
    started = time.monotonic()
    left = _left(user.api.get("/users/me"))

    def client(_: int) -> list[int]:
        with httpx.Client(base_url=user.api.base_url, headers=user.api.headers, timeout=60) as own:
            return [own.get("/users/me").status_code for _ in range(EACH)]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = [status for statuses in pool.map(client, range(CLIENTS)) for status in statuses]

    assert time.monotonic() - started < 55, "the window has begun to slide; nothing exact can be said"
    assert Counter(answers) == {200: left, 429: CLIENTS * EACH - left}
    refused = user.api.get("/users/me")
    assert refused.headers["RateLimit-Policy"] == f'"permin";q={QUOTA};w=60'
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.json()["violated-policies"] == ["permin"]


@pytest.mark.parametrize("value", ["x\r\nSet-Cookie: a=b", "a\tb", "é" * 50])
def test_a_request_id_cannot_carry_another_header(api: httpx.Client, value: str):
    try:
        answer = api.get("/health", headers={"X-Request-Id": value.encode()})
    except httpx.RequestError:
        return  # the client or the front door refused to send it at all
    assert answer.status_code in (200, 400)
    assert "set-cookie" not in answer.headers
