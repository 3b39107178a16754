"""Browsers, the first administrator and the rotation of keys, on the deployed cloud."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.conftest import Cloud
from tests.support.account import Account, expect
from tools import make_admin, rotate_keys

PASSWORD = "correct horse battery"


@contextmanager
def browser(cloud: Cloud, *, origin: str | None = None) -> Iterator[httpx.Client]:
    """A cookie jar on a page of ours, or of `origin`."""
    url = urlsplit(cloud.url)
    page = origin or f"{url.scheme}://{url.netloc}"
    with httpx.Client(base_url=cloud.url, timeout=60.0, trust_env=False, headers={"Origin": page}) as client:
        yield client


def log_in(client: httpx.Client, email: str) -> dict[str, str]:
    """Logs in by cookie and returns the header that writes carry."""
    body = {"email": email, "password": PASSWORD, "cookies": True}
    return {"X-CSRF-Token": expect(client.post("/auth/login", json=body), 200)["csrf_token"]}


@pytest.fixture
def email(api: httpx.Client) -> str:
    address = f"browser-{secrets.token_hex(6)}@example.com"
    expect(api.post("/auth/register", json={"email": address, "password": PASSWORD, "name": "B"}), 201)
    return address


def test_two_browsers_at_once(cloud: Cloud, email: str):
    with browser(cloud) as one, browser(cloud) as two:
        first, second = log_in(one, email), log_in(two, email)
        assert {cookie.name for cookie in one.cookies.jar} == {"access", "refresh", "csrf"}
        assert expect(one.get("/users/me"), 200)["email"] == email
        assert one.patch("/users/me", json={"name": "Eve"}).json()["code"] == "csrf"
        assert one.patch("/users/me", json={"name": "Eve"}, headers=second).json()["code"] == "csrf"
        assert expect(one.patch("/users/me", json={"name": "Ada"}, headers=first), 200)["name"] == "Ada"

        renewed = expect(one.post("/auth/refresh", headers=first), 200)
        first = {"X-CSRF-Token": renewed["csrf_token"]}
        assert len(expect(two.get("/users/me/sessions"), 200)["items"]) == 2
        assert one.post("/auth/logout", headers=first).status_code == 204
        assert list(one.cookies.jar) == []
        assert one.get("/users/me").status_code == 401
        assert expect(two.get("/users/me"), 200)["name"] == "Ada"


def test_a_page_of_another_origin_gets_nowhere(cloud: Cloud, email: str):
    with browser(cloud) as ours, browser(cloud, origin="https://evil.example") as theirs:
        token = log_in(ours, email)
        theirs.cookies = ours.cookies
        assert theirs.patch("/users/me", json={"name": "Eve"}, headers=token).json()["code"] == "csrf"
        body = {"email": email, "password": PASSWORD, "cookies": True}
        assert theirs.post("/auth/login", json=body).json()["code"] == "csrf"
        assert "access-control-allow-origin" not in theirs.get("/users/me").headers


@contextmanager
def no_administrator(cloud: Cloud) -> Iterator[None]:
    """As on the first day; those that other tests made get their role back."""
    before = cloud.rows("UPDATE users SET role = 'user' WHERE role = 'admin' RETURNING id")
    try:
        yield
    finally:
        ids = [user_id for (user_id,) in before]
        cloud.rows(
            "UPDATE users SET role = CASE WHEN id = ANY(%s) THEN 'admin' ELSE 'user' END RETURNING id", ids
        )


def test_the_first_administrator_and_no_second(
    cloud: Cloud, account: Callable[[], Account], capsys: pytest.CaptureFixture[str]
):
    first, second = account(), account()
    with no_administrator(cloud):
        assert make_admin.main([first.email], cloud.client) == 0
        assert first.api.get("/users").status_code == 401  # the token was a user's
        first.log_in()
        page = expect(first.api.get("/users", params={"email": second.email}), 200)
        assert [item["id"] for item in page["items"]] == [second.user_id]
        assert second.api.get("/users").status_code == 403
        assert make_admin.main([second.email], cloud.client) == 1
        assert "already" in capsys.readouterr().err


def test_rotating_the_signing_keys_logs_nobody_out(
    cloud: Cloud, account: Callable[[], Account], capsys: pytest.CaptureFixture[str]
):
    user = account()
    assert rotate_keys.main([], cloud.client) == 0
    assert capsys.readouterr().out.startswith("rotated")
    expect(user.api.get("/users/me"), 200)
    user.log_in()
    expect(user.api.get("/users/me"), 200)
    assert rotate_keys.main([], cloud.client) == 0
    assert "not rotated" in capsys.readouterr().out
