"""Catalogue, folders, handlers, OpenAPI document, sample events and template say the same."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest
from modelyard.web import predict_routes, prediction
from modelyard.web.routing import Route

from infra import catalogue
from infra.stages import LOCAL
from tests.infra.template import Synthesised
from tests.infra.test_template import routes_in
from tools import openapi
from tools.node import ROOT

CATALOGUE = {
    function.name: {f"{route.method} {route.path}" for route in function.parsed_routes}
    for function in catalogue.FUNCTIONS
}
ROUTES = {route for routes in CATALOGUE.values() for route in routes}
PAGES = set(CATALOGUE["docs"])  # they show the document and do not stand in it


def routes_of(router: Any) -> set[str]:
    return {
        f"{method} {route.path}" for route in router.routes for method in route.methods - {"HEAD", "OPTIONS"}
    }


def test_every_function_has_a_folder_and_every_folder_is_a_function() -> None:
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/handler.py")}
    assert folders == set(CATALOGUE)


@pytest.mark.parametrize("name", [f.name for f in catalogue.FUNCTIONS if f.routes])
def test_the_handler_answers_the_routes_of_the_catalogue(name: str) -> None:
    assert routes_of(openapi.routers()[name]) == CATALOGUE[name]


def test_no_function_behind_an_event_has_routes() -> None:
    assert set(openapi.routers()) == {f.name for f in catalogue.FUNCTIONS if f.routes}


def test_predict_takes_the_parameters_that_its_documentation_names() -> None:
    (route,) = predict_routes.router.routes
    assert isinstance(route, Route)
    assert route.query_names == set(prediction.PARAMETERS)


def test_predict_answers_what_its_documentation_says() -> None:
    """Its router only describes: the routes that run are literals of the handler."""
    tree = ast.parse((ROOT / "functions" / "predict" / "handler.py").read_text())
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert {text for text in texts if " /" in text and text.split(" ")[0].isupper()} == CATALOGUE["predict"]


def test_the_template_has_the_routes_of_the_catalogue(each_stage: Synthesised) -> None:
    found = {route for route in routes_in(each_stage) if not route.startswith("OPTIONS ")}
    assert found == ROUTES


def test_the_template_has_the_functions_of_the_catalogue(each_stage: Synthesised) -> None:
    names = {p.get("FunctionName") for p in each_stage.of_type("AWS::Lambda::Function").values()} - {None}
    assert names == {f"{each_stage.stage.prefix}-{name}" for name in CATALOGUE}


def test_the_openapi_document_covers_every_route() -> None:
    document = json.loads(openapi.DOCUMENT.read_text())
    found = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert found >= ROUTES - PAGES
    assert found <= ROUTES


def test_the_openapi_document_is_what_the_handlers_say() -> None:
    assert openapi.DOCUMENT.read_text() == openapi.render(), "run: make openapi"


@pytest.mark.parametrize("function", catalogue.FUNCTIONS, ids=lambda function: function.name)
def test_there_is_a_sample_event_per_route_and_trigger(function: catalogue.Function) -> None:
    samples = [
        json.loads(path.read_text()) for path in sorted((ROOT / "events" / function.name).glob("*.json"))
    ]
    assert samples, f"events/{function.name}/ is empty"
    if function.routes:
        routes = {f"{sample.get('httpMethod')} {sample.get('resource')}" for sample in samples}
        assert CATALOGUE[function.name] <= routes


def test_every_variable_of_an_environment_is_documented() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    variables = {
        *catalogue.SECRET_VARIABLES.values(),
        *catalogue.QUEUE_VARIABLES.values(),
        *catalogue.INVOKE_VARIABLES.values(),
        *("MODELYARD_STAGE", "MODELYARD_BUCKET", "MODELYARD_PUBLIC_URL", "MODELYARD_ALLOWED_ORIGINS"),
        "MODELYARD_SECURE_COOKIES",
    }
    assert {name for name in variables if f"`{name}`" not in page} == set()


def test_routes_belong_to_one_function_each() -> None:
    assert len(catalogue.all_routes()) == sum(len(routes) for routes in CATALOGUE.values())


def test_grants_name_what_exists() -> None:
    queues = {queue.name for queue in catalogue.QUEUES}
    invocable = {f.name for f in catalogue.FUNCTIONS if f.trigger == catalogue.OnInvoke()}
    targets = {(grant.kind, grant.target) for f in catalogue.FUNCTIONS for grant in f.parsed_grants}
    assert {target for kind, target in targets if kind == "queue"} <= queues
    assert {target for kind, target in targets if kind == "invoke"} <= invocable
    for queue in catalogue.QUEUES:
        assert catalogue.consumer_of(queue.name)
    assert LOCAL.data is None
