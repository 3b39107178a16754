"""Guessing over HTTP: passwords from one address and for one account, who has an account, and cookies that
another site rides on.
"""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter

import pytest
from modelyard.accounts.passwords import Passwords
from modelyard.accounts.throttle import LOGIN, REGISTER

from tests.support.document import operations
from tests.support.http import Answer, ApiGateway
from tests.support.whole_api import PASSWORD, WholeApi
from tools.openapi import build

OURS, STRANGER = "https://app.example.com", "https://evil.example.com"
WRITES = [one for one in operations(json.loads(json.dumps(build()))) if one.scopes and one.method != "GET"]


def from_address(api: WholeApi, ip: str) -> ApiGateway:
    return ApiGateway(api.handle, ip=ip)


def log_in(gateway: ApiGateway, email: str, password: str = "wrong horse battery") -> Answer:
    return gateway.post("/auth/login", json={"email": email, "password": password})


def test_one_address_cannot_try_many_accounts(api):
    gateway = from_address(api, "198.51.100.1")
    tried = 2 * LOGIN.per_address.quota
    statuses = Counter(log_in(gateway, f"guess{number}@example.com").status for number in range(tried))
    assert statuses == {401: LOGIN.per_address.quota, 429: tried - LOGIN.per_address.quota}
    refused = log_in(gateway, "guess@example.com")
    assert refused.json()["violated-policies"] == [LOGIN.per_address.name]
    assert int(refused.headers["retry-after"]) > 0
    assert log_in(from_address(api, "198.51.100.2"), "guess@example.com").status == 401


def test_a_forwarded_for_header_is_no_other_address(api):
    gateway = from_address(api, "198.51.100.3")
    answers = [
        gateway.with_headers({"X-Forwarded-For": f"192.0.2.{number}", "X-Real-IP": f"192.0.2.{number}"})
        for number in range(2 * LOGIN.per_address.quota)
    ]
    statuses = Counter(log_in(one, f"other{n}@example.com").status for n, one in enumerate(answers))
    assert statuses[429] == LOGIN.per_address.quota


def test_one_account_cannot_be_tried_from_many_addresses(api):
    user = api.user()
    statuses = [log_in(from_address(api, f"192.0.2.{n}"), user.email).status for n in range(14)]
    allowed = LOGIN.per_account.quota
    assert statuses == [401] * allowed + [429] * (14 - allowed)
    right = log_in(from_address(api, "192.0.2.200"), user.email, PASSWORD)
    assert right.status == 429


@pytest.mark.parametrize("spelling", [str.upper, lambda email: f" {email} "])
def test_another_spelling_is_the_same_account(api, spelling):
    user = api.user()
    gateway = from_address(api, f"203.0.113.{50 + len(spelling('a'))}")
    for _ in range(LOGIN.per_account.quota):
        log_in(gateway, user.email)
    assert log_in(gateway, spelling(user.email)).status == 429


def test_the_oauth_form_and_restore_count_as_logins(api):
    user = api.user()
    gateway = from_address(api, "198.51.100.9")
    half = LOGIN.per_account.quota // 2
    for _ in range(half):
        form = {"username": user.email, "password": "wrong horse battery", "grant_type": "password"}
        assert gateway.post("/auth/token", form=form).status == 401
        body = {"email": user.email, "password": "wrong horse battery"}
        assert gateway.post("/auth/restore", json=body).status == 401
    assert log_in(gateway, user.email).status == 429


def test_registering_is_limited_and_says_nothing_about_accounts(api):
    """The wording, the headers and the time are the same for a known address and for a new one."""
    known = api.user()
    slow, fast = Passwords(rounds=9), api.composition.passwords
    api.composition.passwords = slow
    try:
        answers: dict[str, list[Answer]] = {"known": [], "new": []}
        times: dict[str, list[float]] = {"known": [], "new": []}
        for number in range(7):
            for kind, email in (("known", known.email), ("new", f"new{number}@example.com")):
                gateway = from_address(api, f"198.18.{number}.1")
                started = time.perf_counter()
                body = {"email": email, "password": PASSWORD, "name": "N"}
                answers[kind].append(gateway.post("/auth/register", json=body))
                times[kind].append(time.perf_counter() - started)
    finally:
        api.composition.passwords = fast
    assert {answer.status for kind in answers.values() for answer in kind} == {201}
    shown = [{key: one[-1].json()[key] for key in ("name", "detail")} for one in answers.values()]
    assert shown[0] == shown[1]
    heads = [set(one[-1].headers) for one in answers.values()]
    assert heads[0] == heads[1]
    assert 0.5 < statistics.median(times["known"]) / statistics.median(times["new"]) < 2

    gateway = from_address(api, "198.51.100.30")
    bodies = [{"email": f"m{n}@example.com", "password": PASSWORD, "name": "N"} for n in range(70)]
    statuses = Counter(gateway.post("/auth/register", json=body).status for body in bodies)
    assert statuses == {201: REGISTER.per_address.quota, 429: 70 - REGISTER.per_address.quota}


@pytest.mark.parametrize("password", ["x" * 73, "é" * 37, "\U0001f40e" * 19, "x" * 72 + "\0"])
def test_a_password_that_bcrypt_would_cut_is_refused(api, password):
    body = {"email": "long@example.com", "password": password, "name": "N"}
    answer = from_address(api, "198.51.100.40").post("/auth/register", json=body)
    assert answer.status == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/password"]
    user = api.user()
    change = {"current_password": PASSWORD, "new_password": password}
    assert api.gateway.post("/users/me/password", json=change, headers=user.headers).status == 422


def test_72_bytes_are_taken_and_each_of_them_counts(api):
    gateway = from_address(api, "198.51.100.41")
    password = "x" * 71 + "y"
    body = {"email": "full@example.com", "password": password, "name": "N"}
    assert gateway.post("/auth/register", json=body).status == 201
    assert log_in(gateway, "full@example.com", "x" * 72).status == 401
    assert log_in(gateway, "full@example.com", password + "z").status == 401
    assert log_in(gateway, "full@example.com", password).status == 200


@pytest.fixture
def visitor(api, monkeypatch) -> dict[str, str]:
    """The cookies of somebody who is logged in with a browser, and their CSRF token."""
    monkeypatch.setenv("MODELYARD_ALLOWED_ORIGINS", OURS)
    monkeypatch.setenv("MODELYARD_PUBLIC_URL", "https://api.example.com/api")
    user = api.user(role="admin")
    body = {"email": user.email, "password": PASSWORD, "cookies": True}
    answer = api.gateway.post("/auth/login", json=body, headers={"Origin": OURS})
    assert answer.status == 200, answer.text
    cookies = answer.many.get("set-cookie") or [answer.headers["set-cookie"]]
    pairs = "; ".join(cookie.partition(";")[0] for cookie in cookies)
    assert api.gateway.get("/users/me", headers={"Cookie": pairs, "Origin": OURS}).status == 200
    return {"Cookie": pairs, "X-CSRF-Token": answer.json()["csrf_token"]}


@pytest.mark.parametrize("operation", WRITES, ids=lambda one: one.label)
def test_no_write_is_made_with_cookies_alone(api, visitor, operation):
    """Neither without the token, nor with another one, nor from another site's page with the right one."""
    attempts = (
        {"Cookie": visitor["Cookie"], "Origin": OURS},
        {"Cookie": visitor["Cookie"]},
        {"Cookie": visitor["Cookie"], "Origin": OURS, "X-CSRF-Token": "A" * 43},
        {"Cookie": visitor["Cookie"], "Origin": OURS, "X-CSRF-Token": ""},
        {**visitor, "Origin": STRANGER},
        {**visitor, "Origin": "null"},
    )
    url, body = operation.url({"version": "1"}), operation.example()
    for headers in attempts:
        answer = api.gateway.request(operation.method, url, json=body, headers=headers)
        assert answer.status in (401, 403), (headers, answer.text)
    read = {"Cookie": visitor["Cookie"], "Origin": OURS}
    assert api.gateway.get("/users/me", headers=read).status == 200, "the session lives: nothing was done"


def test_answers_may_be_read_by_our_own_pages_only(api, visitor):
    for origin in (STRANGER, "null", OURS + ".evil.example.com", "http://app.example.com"):
        answer = api.gateway.get("/users/me", headers={"Cookie": visitor["Cookie"], "Origin": origin})
        assert "access-control-allow-origin" not in answer.headers
    answer = api.gateway.get("/users/me", headers={"Cookie": visitor["Cookie"], "Origin": OURS})
    assert answer.headers["access-control-allow-origin"] == OURS
