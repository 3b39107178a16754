"""Browser mode: tokens in cookies that pages cannot read, and writes that other sites cannot make."""

from __future__ import annotations

import pytest
from modelyard.accounts.cookies import BrowserCookies, CsrfRefused
from modelyard.web.app import create_app, lambda_handler

from functions.auth import handler as auth
from functions.users import handler as users
from tests.support.http import ApiGateway

ADA = {"email": "ada@example.com", "password": "correct horse battery", "name": "Ada"}
LOGIN = {"email": ADA["email"], "password": ADA["password"], "cookies": True}
OURS = "https://app.example.com"


class Browser:
    """Keeps cookies as a browser does, path by path, and sends them."""

    def __init__(self, composition, origin=OURS):
        self.gateways = {
            "auth": ApiGateway(lambda_handler(create_app(auth.router, composition))),
            "users": ApiGateway(lambda_handler(create_app(users.router, composition))),
        }
        self.origin = origin
        self.jar: dict[str, tuple[str, str]] = {}
        self.raw: list[str] = []

    def send(self, method, path, *, csrf=True, origin=None, **options):
        name = path.split("/")[1]
        sent = [
            f"{key}={value}" for key, (value, scope) in self.jar.items() if f"/api{path}".startswith(scope)
        ]
        headers = {"Cookie": "; ".join(sent)} if sent else {}
        headers |= {"Origin": origin or self.origin} | options.pop("headers", {})
        token = self.value("csrf")
        if csrf and token:
            headers["X-CSRF-Token"] = token
        answer = self.gateways.get(name, self.gateways["users"]).request(
            method, path, headers=headers, **options
        )
        self.raw = answer.many.get(
            "set-cookie", [answer.headers["set-cookie"]] if "set-cookie" in answer.headers else []
        )
        for cookie in self.raw:
            pair, *attributes = cookie.split("; ")
            key, _, value = pair.partition("=")
            scope = next(each[5:] for each in attributes if each.startswith("Path="))
            if "Max-Age=0" in attributes:
                self.jar.pop(key, None)
            else:
                self.jar[key] = (value, scope)
        return answer

    def value(self, ending):
        return next((value for key, (value, _) in self.jar.items() if key.endswith(ending)), None)


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    monkeypatch.setenv("MODELYARD_ALLOWED_ORIGINS", OURS)
    monkeypatch.setenv("MODELYARD_PUBLIC_URL", "https://api.modelyard.example/api")


@pytest.fixture
def browser(composition):
    browser = Browser(composition)
    browser.send("POST", "/auth/register", json=ADA)
    return browser


@pytest.fixture
def logged_in(browser):
    assert browser.send("POST", "/auth/login", json=LOGIN).status == 200
    return browser


def test_the_cookies_are_what_they_should_be(browser):
    answer = browser.send("POST", "/auth/login", json=LOGIN)
    assert answer.status == 200
    assert set(answer.json()) == {"csrf_token", "expires_in"}
    found = {cookie.split("=")[0]: cookie for cookie in browser.raw}
    assert set(found) == {"__Host-access", "__Secure-refresh", "__Host-csrf"}
    for name, cookie in found.items():
        assert "Secure" in cookie.split("; ")
        assert "SameSite=Lax" in cookie.split("; ")
        assert ("HttpOnly" in cookie.split("; ")) == (name != "__Host-csrf")
        assert "Domain" not in cookie
    assert "Path=/;" in found["__Host-access"]
    assert "Path=/api/auth;" in found["__Secure-refresh"]
    assert "Max-Age=1800;" in found["__Host-access"]
    assert "Max-Age=604800;" in found["__Secure-refresh"]


def test_on_plain_http_the_prefixes_are_left_out(composition, monkeypatch):
    monkeypatch.setenv("MODELYARD_SECURE_COOKIES", "false")
    browser = Browser(composition, origin="http://localhost:8000")
    monkeypatch.setenv("MODELYARD_PUBLIC_URL", "http://localhost:8000/api")
    browser.send("POST", "/auth/register", json=ADA)
    assert browser.send("POST", "/auth/login", json=LOGIN).status == 200
    assert set(browser.jar) == {"access", "refresh", "csrf"}
    assert not any("Secure" in cookie for cookie in browser.raw)
    assert browser.send("PATCH", "/users/me", json={"name": "A"}).status == 200


def test_reading_takes_the_cookie_alone(logged_in):
    assert logged_in.send("GET", "/users/me", csrf=False).json()["email"] == "ada@example.com"
    assert logged_in.send("HEAD", "/users/me", csrf=False).status == 200


@pytest.mark.parametrize("token", [None, "", "x", "0" * 64, "é" * 64])
def test_a_write_without_the_sessions_token_is_refused(logged_in, token):
    headers = {} if token is None else {"X-CSRF-Token": token}
    answer = logged_in.send("PATCH", "/users/me", csrf=False, json={"name": "Eve"}, headers=headers)
    assert (answer.status, answer.json()["code"]) == (403, "csrf")
    assert logged_in.send("GET", "/users/me").json()["name"] == "Ada"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://app.example.com", f"{OURS}.evil.example"]
)
def test_a_write_from_another_origin_is_refused_even_with_the_token(logged_in, origin):
    assert logged_in.send("PATCH", "/users/me", json={"name": "Eve"}, origin=origin).status == 403


def test_a_cross_site_write_without_an_origin_is_refused(composition):
    cookies = BrowserCookies(secure=True, origins=lambda: {OURS})
    for site in ("cross-site", "same-site"):
        with pytest.raises(CsrfRefused):
            cookies.check_origin({"sec-fetch-site": site})
    for allowed in (
        {},
        {"sec-fetch-site": "same-origin"},
        {"host": "api.example", "origin": "https://api.example"},
    ):
        cookies.check_origin(allowed)


def test_the_token_of_another_session_does_not_help(logged_in, composition):
    other = Browser(composition)
    other.send("POST", "/auth/login", json=LOGIN)
    theirs = other.value("csrf")
    answer = logged_in.send(
        "PATCH", "/users/me", csrf=False, json={"name": "Eve"}, headers={"X-CSRF-Token": theirs}
    )
    assert answer.status == 403


def test_a_planted_second_cookie_is_no_session(logged_in):
    value = logged_in.value("access")
    answer = logged_in.gateways["users"].get(
        "/users/me", headers={"Cookie": f"__Host-access={value}; __Host-access={value}"}
    )
    assert answer.status == 401


@pytest.mark.parametrize(
    "header", ["", ";;;", "=", "__Host-access", "__Host-access=", "__Host-access=x.y.z", "\x00"]
)
def test_cookies_that_are_none(logged_in, header):
    assert logged_in.gateways["users"].get("/users/me", headers={"Cookie": header}).status == 401


def test_a_write_with_a_bearer_token_needs_no_other(browser):
    pair = browser.send("POST", "/auth/login", json=LOGIN | {"cookies": False}).json()
    answer = browser.gateways["users"].patch(
        "/users/me", json={"name": "A"}, headers={"Authorization": f"Bearer {pair['access_token']}"}
    )
    assert answer.status == 200
    assert browser.jar == {}


def test_a_strangers_page_cannot_log_its_visitors_in(browser):
    answer = browser.send("POST", "/auth/login", json=LOGIN, origin="https://evil.example")
    assert answer.status == 403
    assert browser.jar == {}


def test_refreshing_by_cookie_rotates_and_takes_the_token(logged_in):
    before = dict(logged_in.jar)
    assert logged_in.send("POST", "/auth/refresh", csrf=False).status == 403
    answer = logged_in.send("POST", "/auth/refresh")
    assert answer.status == 200
    assert set(answer.json()) == {"csrf_token", "expires_in"}
    assert logged_in.value("refresh") != before["__Secure-refresh"][0]
    assert logged_in.send("PATCH", "/users/me", json={"name": "A"}).status == 200
    logged_in.jar["__Secure-refresh"] = before["__Secure-refresh"]
    assert logged_in.send("POST", "/auth/refresh").status == 401  # replayed
    assert logged_in.send("GET", "/users/me").status == 401


def test_without_a_token_in_body_or_cookie_nothing_is_refreshed(browser):
    answer = browser.send("POST", "/auth/refresh")
    assert (answer.status, answer.json()["errors"][0]["pointer"]) == (422, "/refresh_token")


def test_logging_out_takes_the_cookies_away(logged_in):
    old = logged_in.value("access")
    assert logged_in.send("POST", "/auth/logout", csrf=False).status == 403
    assert logged_in.send("POST", "/auth/logout").status == 204
    assert logged_in.jar == {}
    again = logged_in.gateways["users"].get("/users/me", headers={"Cookie": f"__Host-access={old}"})
    assert again.status == 401


def test_two_browsers_are_two_sessions(logged_in, composition):
    other = Browser(composition)
    assert other.send("POST", "/auth/login", json=LOGIN).status == 200
    assert len(other.send("GET", "/users/me/sessions").json()["items"]) == 2
    assert logged_in.send("POST", "/auth/logout").status == 204
    assert other.send("GET", "/users/me").status == 200
    assert other.send("PATCH", "/users/me", json={"name": "B"}).status == 200


def test_answers_to_listed_origins_may_be_read(logged_in):
    answer = logged_in.send("GET", "/users/me")
    assert answer.headers["access-control-allow-origin"] == OURS
    assert answer.headers["access-control-allow-credentials"] == "true"
    stranger = logged_in.send("GET", "/users/me", origin="https://evil.example")
    assert "access-control-allow-origin" not in stranger.headers
