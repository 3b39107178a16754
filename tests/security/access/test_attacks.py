"""Attacks on every operation that the document lists, over HTTP events: who is not meant to come in does not,
and what is sent to hurt is answered with a problem.
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from modelyard.accounts.admission import KEY_SCOPES
from modelyard.kit.ids import new_id

from tests.support.composition import SIGNING_KEYS, SomeUser
from tests.support.document import operations, put, strings
from tests.support.http import Answer
from tests.support.whole_api import WholeApi
from tools.openapi import build

DOCUMENT = json.loads(json.dumps(build()))
ALL = operations(DOCUMENT)
CLOSED = [one for one in ALL if one.scopes]
WITH_BODY = [one for one in ALL if one.body is not None]
# Predictions in the words of other protocols: rows are the caller's own, unknown fields are passed over.
PROTOCOLS = ("/predict/{model_id}", "/v1/", "/v2/", "/endpoints/", "/models/{model_id}/invocations")

HOSTILE = {
    "nul": "a\0b",
    "controls": "a\x01\x1b[31m\x7f",
    "line feed": "a\r\nSet-Cookie: stolen=1",
    "direction": "a\u202egnp.exe",
    "noncharacter": "a\uffff",
    "private": "a\ue000",
    "combining": "a" + "\u0301" * 2000,
    "astral": "\U0001f469\u200d\U0001f4bb",
    "expanding": "\ufdfa" * 100,  # one character that is eighteen in NFKC
    "long": "x" * 9000,
    "sql": "'; DROP TABLE users; --",
    "sql like": "%' OR '1'='1",
    "path": "../../../etc/passwd",
    "template": "${7*7}{{7*7}}%{7*7}",
    "number": "1e999",
    "empty": "",
}


def name(operation: Any) -> str:
    return str(operation.label)


@pytest.fixture(scope="module")
def admin(api: WholeApi) -> SomeUser:
    return api.user(role="admin")


@pytest.fixture(scope="module")
def ids(api: WholeApi, admin: SomeUser) -> dict[str, str]:
    model = api.model(admin)
    return {"model_id": model, "model": model, "version": "1", "user_id": api.user().id}


def send(api: WholeApi, operation: Any, url: str, headers: dict[str, str], body: Any = None) -> Answer:
    if operation.body is None or body is None:
        return api.gateway.request(operation.method, url, headers=headers)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return api.gateway.request(
        operation.method, url, body=raw, headers={"Content-Type": "application/json", **headers}
    )


def is_refused(answer: Answer, *statuses: int) -> None:
    assert answer.status in statuses, answer.text
    assert answer.headers["content-type"] in ("application/problem+json", "application/json")
    assert "Traceback" not in answer.text


# --- tokens -----------------------------------------------------------------------------------------------


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forgeries(user: SomeUser) -> dict[str, str]:
    """Tokens that look like this user's and are not good."""
    claims = jwt.decode(user.token, options={"verify_signature": False})
    header, body, signature = user.token.split(".")
    key, old = SIGNING_KEYS["k1"], SIGNING_KEYS["k0"]
    now = int(time.time())

    def signed(key: str = key, algorithm: str = "HS256", kid: str | None = "k1", **changes: Any) -> str:
        return jwt.encode(claims | changes, key, algorithm, headers={"kid": kid} if kid else {})

    def unsigned(algorithm: str) -> str:
        return part({"alg": algorithm, "typ": "JWT", "kid": "k1"}) + "." + body

    return {
        "algorithm none": f"{unsigned('none')}.",
        "algorithm none, signed": f"{unsigned('none')}.{signature}",
        "algorithm RS256": f"{unsigned('RS256')}.{signature}",
        "algorithm HS512": signed(algorithm="HS512"),
        "no kid": signed(kid=None),
        "unknown kid": signed(kid="k9"),
        "kid of another key": signed(kid="k0"),
        "key of another kid": signed(key=old),
        "guessed key": signed(key="secret" * 8),
        "expired": signed(exp=now - 1),
        "not yet valid": signed(nbf=now + 3600),
        "of another kind": signed(typ="refresh"),
        "of another issuer": signed(iss="somebody"),
        "for somebody else": signed(aud="somebody"),
        "changed body": f"{header}.{part(claims | {'name': 'x'})}.{signature}",
        "cut signature": f"{header}.{body}.{signature[:-6]}",
        "no signature": f"{header}.{body}.",
    }


@pytest.mark.parametrize("operation", CLOSED, ids=name)
def test_without_a_credential_or_with_a_forged_one_nobody_comes_in(api, admin, ids, operation):
    url, body = operation.url(ids), operation.example()
    is_refused(send(api, operation, url, {}, body), 401)
    for forgery, token in forgeries(admin).items():
        answer = send(api, operation, url, {"Authorization": f"Bearer {token}"}, body)
        assert answer.status == 401, forgery
        assert answer.headers["www-authenticate"].startswith("Bearer"), forgery


@pytest.mark.parametrize("operation", CLOSED, ids=name)
def test_a_session_that_ended_and_a_blocked_user_are_refused_by_every_function(api, ids, operation):
    """By the same warm handlers that have seen the token before."""
    user = api.user(role="admin")
    url, body = operation.url(ids), operation.example()
    assert api.gateway.get("/users/me", headers=user.headers).status == 200
    assert api.gateway.post("/auth/logout", headers=user.headers).status == 204
    is_refused(send(api, operation, url, user.headers, body), 401)
    other = api.user(role="admin")
    api.composition.revocations.block(other.id)
    is_refused(send(api, operation, url, other.headers, body), 401)


@pytest.mark.parametrize("operation", CLOSED, ids=name)
def test_a_key_reaches_nothing_beyond_its_scopes(api, ids, admin, operation):
    """With every scope but the ones needed; where keys are not accepted at all, with every scope."""
    needed = operation.scopes if operation.takes_keys else frozenset()
    wanted = {"name": "k", "scopes": [scope for scope in KEY_SCOPES if scope not in needed]}
    made = api.gateway.post("/api-keys", json=wanted, headers=admin.headers)
    assert made.status == 201, made.text
    headers = {"X-API-Key": made.json()["key"]}
    is_refused(send(api, operation, operation.url(ids), headers, operation.example()), 403)
    assert api.gateway.delete(f"/api-keys/{made.json()['id']}", headers=admin.headers).status == 204
    is_refused(send(api, operation, operation.url(ids), headers, operation.example()), 401)


@pytest.mark.parametrize("operation", [one for one in CLOSED if "admin" in one.scopes], ids=name)
def test_a_user_is_no_administrator(api, ids, operation):
    is_refused(send(api, operation, operation.url(ids), api.user().headers, operation.example()), 403)


# --- bodies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "operation", [one for one in WITH_BODY if not one.path.startswith(PROTOCOLS)], ids=name
)
def test_a_field_that_is_not_the_callers_to_set_is_refused(api, admin, ids, operation):
    extra = ("id", "user_id", "role", "status", "is_admin", "created_at", "password_hash")
    unknown = [field for field in extra if field not in operation.body.get("properties", {})]
    for field in unknown:
        body = operation.example() | {field: "admin"}
        answer = send(api, operation, operation.url(ids), admin.headers, body)
        assert answer.status == 422, (field, answer.text)
        assert f"/{field}" in [error["pointer"] for error in answer.json()["errors"]]


@pytest.mark.parametrize("operation", WITH_BODY, ids=name)
def test_what_is_too_deep_or_too_large_is_refused(api, admin, ids, operation):
    url = operation.url(ids)
    deep = b'{"inputs":' * 50_000 + b"1" + b"}" * 50_000
    arrays = b"[" * 100_000 + b"]" * 100_000
    huge = b'{"name":"' + b"x" * (7 << 20) + b'"}'
    number = b'{"size":' + b"9" * 10_000 + b"}"
    if operation.path.startswith(
        PROTOCOLS
    ):  # some of them read no body, and say first that they are not there
        assert all(
            send(api, operation, url, admin.headers, body).status < 500 for body in (deep, arrays, huge)
        )
        return
    for body in (deep, arrays, number):
        is_refused(send(api, operation, url, admin.headers, body), 400, 413, 422)
    is_refused(send(api, operation, url, admin.headers, huge), 413, 422)


@pytest.mark.parametrize("operation", WITH_BODY, ids=name)
def test_no_string_of_a_body_breaks_anything(api, ids, operation):
    base = operation.example()
    places = list(strings(base))
    who = api.user(role="admin")
    for at in places:
        for kind, text in HOSTILE.items():
            answer = send(api, operation, operation.url(ids), who.headers, put(base, at, text))
            assert answer.status < 500, (at, kind, answer.text)
            assert "set-cookie" not in answer.headers or "stolen" not in answer.headers["set-cookie"]
            if kind == "nul":
                assert answer.status >= 400 or operation.path.startswith(PROTOCOLS), at
        lone = json.dumps(put(base, at, "SURROGATE")).replace("SURROGATE", "\\ud800").encode()
        is_refused(send(api, operation, operation.url(ids), who.headers, lone), 400, 401, 404, 429)


# --- paths, queries and headers ---------------------------------------------------------------------------

ENCODED = [
    "a%00b",
    "%ED%A0%80",
    "%FF%FE",
    "%0d%0aSet-Cookie:%20a=b",
    "%27%20OR%201=1--",
    "x" * 3000,
    "%2e%2e%2f",
]


@pytest.mark.parametrize("operation", [one for one in ALL if one.parameters("path")], ids=name)
def test_no_path_breaks_anything(api, admin, ids, operation):
    for parameter in operation.parameters("path"):
        for text in ENCODED:
            url = operation.url(ids | {parameter["name"]: text})
            answer = send(api, operation, url, admin.headers, operation.example())
            assert 400 <= answer.status < 500, (text, answer.text)
            assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("operation", [one for one in ALL if one.parameters("query")], ids=name)
def test_no_query_breaks_anything(api, admin, ids, operation):
    numbers = ["-1", "0", "99999999999999999999999999", "1e999", "nan", "٣", "1_0"]
    for parameter in operation.parameters("query"):
        for text in [*ENCODED, *numbers, ""]:
            url = f"{operation.url(ids)}?{parameter['name']}={text}"
            answer = send(api, operation, url, admin.headers, operation.example())
            assert answer.status < 500, (parameter["name"], text, answer.text)
            assert "set-cookie" not in answer.headers
            if text == "a%00b":
                assert answer.status >= 400, parameter["name"]


@pytest.mark.parametrize("operation", ALL, ids=name)
def test_no_header_breaks_anything(api, admin, ids, operation):
    names = ("User-Agent", "X-Request-Id", "Idempotency-Key", "If-Match", "If-None-Match", "Origin", "Cookie")
    who = api.user(role="admin")
    for header in (*names, "Host", "Accept", "traceparent", "X-Forwarded-For", "X-CSRF-Token"):
        for text in ("a\0b", "a\r\nSet-Cookie: stolen=1", "é\u202e", "x" * 8000, "'; DROP TABLE users; --"):
            headers = {**who.headers, header: text}
            answer = send(api, operation, operation.url(ids), headers, operation.example())
            assert answer.status < 500, (header, text, answer.text)
            values = [*answer.headers.values(), *(one for many in answer.many.values() for one in many)]
            assert not any("\r" in value or "\n" in value or "stolen" in value for value in values), header


@pytest.mark.parametrize("listing", ["/models", "/jobs", "/users", "/audit", "/users/me/audit"])
def test_a_cursor_is_good_for_its_listing_alone(api, listing):
    """Changed in any character, or given to another listing or user, it is refused."""
    admin, other = api.user(role="admin"), api.user(role="admin")
    for _ in range(2):
        api.model(admin)
        api.gateway.post("/api-keys", json={"name": "k", "scopes": ["jobs"]}, headers=admin.headers)
    model = api.model(admin)
    for _ in range(2):
        rows = {"inputs": [[1, 2, 3, 4]]}
        assert api.gateway.post(f"/predict/batch/{model}", json=rows, headers=admin.headers).status == 202
    first = api.gateway.get(f"{listing}?limit=1", headers=admin.headers).json()
    cursor = first["next_cursor"]
    assert cursor
    good = f"{listing}?limit=1&cursor={cursor}"
    second = api.gateway.get(good, headers=admin.headers)
    assert second.status == 200
    assert second.json()["items"] != first["items"]
    for place in range(0, len(cursor), 5):
        changed = cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]
        is_refused(api.gateway.get(f"{listing}?limit=1&cursor={changed}", headers=admin.headers), 422)
    for elsewhere in {"/models", "/jobs", "/users", "/users/me/audit"} - {listing}:
        is_refused(api.gateway.get(f"{elsewhere}?cursor={cursor}", headers=admin.headers), 422)
    if listing not in ("/users", "/audit"):  # those are the same for all administrators
        is_refused(api.gateway.get(good, headers=other.headers), 422)


def test_unknown_ids_are_not_told_from_foreign_ones(api):
    owner, stranger = api.user(), api.user()
    foreign, missing = api.model(owner), new_id("mdl")
    for path in ("/models/{}", "/models/{}/versions", "/models/{}/versions/1"):
        answers = [api.gateway.get(path.format(i), headers=stranger.headers) for i in (foreign, missing)]
        assert [answer.status for answer in answers] == [404, 404]
        assert answers[0].json()["detail"] == answers[1].json()["detail"]
