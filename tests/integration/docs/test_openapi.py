"""The one OpenAPI document covers every route, as the handlers and the catalogue have them."""

from __future__ import annotations

import json
import re

import pytest
from modelyard.web.dependencies import authenticated
from modelyard.web.routing import Route, public

from infra.catalogue import FUNCTIONS
from tools.openapi import DOCUMENT, render, routers

UNDOCUMENTED = {"GET /docs", "GET /redoc", "GET /docs/{asset}"}


@pytest.fixture(scope="module")
def document():
    return json.loads(DOCUMENT.read_text())


def test_the_committed_document_is_what_the_routes_say():
    assert DOCUMENT.read_text() == render(), "run: make openapi"


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def test_every_route_of_the_catalogue_is_documented_and_no_other(document):
    catalogued = {route for function in FUNCTIONS for route in function.routes}
    assert {name for name, _ in operations(document)} == catalogued - UNDOCUMENTED


def test_every_function_serves_what_the_catalogue_routes_to_it():
    found = routers()
    for function in FUNCTIONS:
        if function.routes:
            served = {
                f"{method} {route.path}" for route in found[function.name].routes for method in route.methods
            }
            assert served == set(function.routes), function.name


def test_every_operation_says_what_a_reader_needs(document):
    for name, operation in operations(document):
        assert operation.get("summary"), name
        assert operation.get("tags"), name
        problem = operation["responses"]["default"]["content"]
        assert problem == expected_problem(name.split()[1]), name


def expected_problem(path):
    """The clients of other protocols know errors of their own shape."""
    names = {"error"} if path.startswith(("/v1/", "/v2")) else set()
    if path.endswith(("/invocations", "/ping", "/version")):
        names = {"error_code", "message"}
    if not names:
        return {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    properties = {name: {"type": "string"} for name in sorted(names)}
    schema = {"type": "object", "required": sorted(names), "properties": properties}
    return {"application/json": {"schema": schema}}


def test_changes_of_models_say_what_they_are_based_on(document):
    """Who calls from the page, or with a client made from the document, can send no other headers."""
    conditional = {
        name
        for name, operation in operations(document)
        if "If-Match" in {parameter["name"] for parameter in operation.get("parameters", [])}
    }
    changes = {name for name, _ in operations(document) if re.match(r"(PUT|PATCH|DELETE) /models/", name)}
    assert len(changes) >= 9
    assert changes <= conditional


def test_references_resolve(document):
    text = DOCUMENT.read_text()
    schemas = document["components"]["schemas"]
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in schemas


def test_every_route_says_who_may_call_it():
    seen = 0
    for router in routers().values():
        for route in router.routes:
            assert isinstance(route, Route)
            calls = {dependant.call for dependant in _flat(route.dependant)}
            assert authenticated in calls or public in calls, route.path
            assert not (authenticated in calls and public in calls), route.path
            seen += 1
    assert seen > 10


PUBLIC_ROUTES = {
    "/auth/register",
    "/auth/login",
    "/auth/token",
    "/auth/refresh",
    "/auth/restore",
    "/health",
    "/health/ready",
    "/docs",
    "/docs/{asset}",
    "/redoc",
    "/openapi.json",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
}


def test_what_is_public_is_listed_here():
    """A route becomes public by a decision, and this list is where a reviewer sees it."""
    found = {
        route.path
        for router in routers().values()
        for route in router.routes
        if public in {dependant.call for dependant in _flat(route.dependant)}
    }
    assert found == PUBLIC_ROUTES


def _flat(dependant):
    for inner in dependant.dependencies:
        yield inner
        yield from _flat(inner)
