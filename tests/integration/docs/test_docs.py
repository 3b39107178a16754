"""The documentation's pages and files."""

from __future__ import annotations

import gzip
import re

import pytest
from modelyard.web.app import create_app, lambda_handler
from modelyard.web.document import methods_in

from functions.docs.handler import DOCUMENT, HERE, router
from tests.support.events import sample
from tests.support.http import ApiGateway, read


@pytest.fixture(scope="module")
def api():
    return ApiGateway(lambda_handler(create_app(router, methods=methods_in(DOCUMENT))))


@pytest.mark.parametrize("page", ["docs", "redoc"])
def test_a_page_loads_nothing_from_elsewhere(api, page):
    answer = read(api.handler(sample(f"docs/{page}"), None))
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe-eval" not in policy
    assert "<script>" not in answer.text
    links = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert links
    assert all(link.startswith("docs/") for link in links)


def test_every_file_that_the_pages_name_is_there(api):
    from tools.docs_assets import SOURCES

    bundled = {source.rpartition("/")[2] for source in SOURCES}
    for page in ("docs.html", "redoc.html"):
        for name in re.findall(r'(?:src|href)="docs/([^"]+)"', (HERE / "pages" / page).read_text()):
            assert name in bundled or api.get(f"/docs/{name}").status == 200, name


def test_the_document_is_sent_once(api):
    answer = read(api.handler(sample("docs/openapi"), None))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["servers"] == [{"url": "/api"}]
    again = api.get("/openapi.json", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


def test_files_are_packed_for_those_who_can_unpack(api):
    plain = api.get("/openapi.json")
    packed = api.get("/openapi.json", headers={"Accept-Encoding": "gzip, br"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body


@pytest.mark.parametrize(
    "name",
    [
        "../handler.py",
        "..%2Fhandler.py",
        "handler.py",
        "%2Fetc%2Fpasswd",
        ".hidden",
        "a%00b",
        "nothing.js",
        "x" * 300,
    ],
)
def test_nothing_else_can_be_read(api, name):
    answer = api.get(f"/docs/{name}")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_sample_of_a_file_outside_is_refused(api):
    assert read(api.handler(sample("docs/asset_outside"), None)).status == 404


def test_it_answers_preflights_for_every_path(monkeypatch, api):
    monkeypatch.setenv("MODELYARD_ALLOWED_ORIGINS", "https://app.example.com")
    answer = read(api.handler(sample("docs/preflight"), None))
    assert answer.status == 204
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    stranger = sample("docs/preflight", Origin="https://evil.example.com")
    assert "access-control-allow-origin" not in read(api.handler(stranger, None)).headers
    assert api.request("OPTIONS", "/nothing/here").status == 404
    detail = api.request("OPTIONS", "/models/mdl_1/versions/2")
    assert detail.headers["allow"] == "DELETE, GET, PATCH, OPTIONS"
