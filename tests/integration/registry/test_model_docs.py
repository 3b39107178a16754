"""A model's own OpenAPI document and the programs that call it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest
from modelyard.intake.schema import input_schema
from modelyard.kit.ids import new_id
from modelyard.serving.decoding import Decoder
from modelyard.serving.signature import Column
from modelyard.web.snippets import snippets

from tests.support.batch import register
from tests.support.serving import Trained, logistic, mixed, regression

HOSTILE = 'it\'s "$HOME" `id` \\ </script> \u2028 Zürich'


def described(trained: Trained, example: dict[str, Any]) -> Trained:
    """The model as intake would have described it."""
    signature = replace(trained.signature, input_schema=input_schema(trained.signature), example=example)
    return replace(trained, signature=signature)


def texts() -> Trained:
    return shaped("text", [Column("text", "string", "object")])


def dictionaries() -> Trained:
    """Of any keys; these two are known from training."""
    return shaped("records", [Column("a", nullable=True), Column("b", "string", "object", nullable=True)])


def shaped(layout: Any, columns: list[Column]) -> Trained:
    model = mixed()
    return replace(model, signature=replace(model.signature, layout=layout, columns=columns, onnx=None))


@pytest.fixture
def model_id(services, cloud, user):
    record = {"price": 50.5, "rooms": 3, "city": "Bern"}
    return register(cloud, services, user.id, described(mixed(), {"records": [record]}))


ENDS = ["openapi.json", "snippets"]


@pytest.mark.parametrize("end", ENDS)
def test_without_a_token(gateway, model_id, end):
    assert gateway.get(f"/models/{model_id}/{end}").status == 401


@pytest.mark.parametrize("end", ENDS)
def test_a_foreign_model_answers_as_a_missing_one(theirs, mine, model_id, end):
    foreign = theirs.get(f"/models/{model_id}/{end}")
    missing = mine.get(f"/models/{new_id('mdl')}/{end}")
    assert foreign.status == missing.status == 404
    assert foreign.json()["detail"] == missing.json()["detail"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("version", ["v2", "latest", "0", ""])
def test_versions_that_are_not_there(mine, model_id, end, version):
    assert mine.get(f"/models/{model_id}/{end}?version={version}").status == 404


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("query", ["", "?version=v1"])
def test_a_model_that_is_not_ready(mine, make, end, query):
    waiting = make("waiting", arrive=False)
    answer = mine.get(f"/models/{waiting}/{end}{query}")
    assert (answer.status, answer.json()["code"]) == (409, "model_not_ready")


def document_of(mine: Any, model_id: str) -> dict[str, Any]:
    answer = mine.get(f"/models/{model_id}/openapi.json")
    assert answer.status == 200, answer.text
    document: dict[str, Any] = answer.json()
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)
    return document


def body_schema(document: dict[str, Any], path: str) -> tuple[dict[str, Any], Any]:
    content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    return content["schema"] | {"components": document["components"]}, content["example"]


def test_the_document_knows_the_columns(mine, model_id):
    document = document_of(mine, model_id)
    record = document["components"]["schemas"]["Record"]
    assert record["properties"]["rooms"]["type"] == "integer"
    assert record["properties"]["city"]["examples"] == ["Bern", "Genève", "Zürich"]
    assert document["info"]["version"] == "v1"
    predictions = document["components"]["schemas"]["Prediction"]["properties"]["predictions"]
    assert predictions["items"] == {"enum": ["cheap", "dear"]}


@pytest.mark.parametrize(
    ("body", "good"),
    [
        ({"records": [{"price": 1, "rooms": 2, "city": "Bern"}]}, True),
        ({"inputs": [[1, 2, "Bern"]]}, True),
        ({"inputs": {"price": [1], "rooms": [2], "city": ["Bern"]}}, True),
        ({"dataframe_split": {"columns": ["city", "rooms", "price"], "data": [["a", 1, 2]]}}, True),
        ({"records": [{"price": 1, "rooms": 2}]}, False),
        ({"records": [{"price": "1", "rooms": 2, "city": "Bern"}]}, False),
        ({"records": []}, False),
        ({"inputs": [[1, 2]]}, False),
        ({"inputs": {"price": [1]}}, False),
        ({"rows": [[1, 2, "Bern"]]}, False),
    ],
)
def test_the_schema_takes_what_the_platform_takes(mine, model_id, body, good):
    schema, _ = body_schema(document_of(mine, model_id), f"/predict/{model_id}")
    assert jsonschema_rs.Draft202012Validator(schema).is_valid(body) is good
    decoder = Decoder(mixed().signature)
    if good:
        assert decoder.decode(json.dumps(body).encode()).rows == 1
    else:
        with pytest.raises(Exception, match="wrong"):
            decoder.decode(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("make_model", "example"),
    [
        (logistic, None),
        (mixed, None),
        (regression, None),
        (texts, {"inputs": ["good day"]}),
        (dictionaries, {"records": [{"a": 1}]}),
    ],
)
def test_examples_fit_their_schemas(mine, services, cloud, user, make_model, example):
    trained = make_model()
    example = example or {"inputs": [trained.rows[0]]}
    model_id = register(cloud, services, user.id, described(trained, example))
    document = document_of(mine, model_id)
    for path in document["paths"]:
        schema, shown = body_schema(document, path)
        jsonschema_rs.Draft202012Validator(schema).validate(shown)


@pytest.mark.parametrize(
    ("record", "good"),
    [({"a": 1}, True), ({"c": "new"}, True), ({"a": "x"}, True), ({"a": None}, False), ({"a": [1]}, False)],
)
def test_objects_of_any_keys(mine, services, cloud, user, record, good):
    trained = described(dictionaries(), {"records": [{"a": 1}]})
    model_id = register(cloud, services, user.id, trained)
    document, body = document_of(mine, model_id), {"records": [record]}
    schema, _ = body_schema(document, f"/predict/{model_id}")
    assert jsonschema_rs.Draft202012Validator(schema).is_valid(body) is good
    if good:
        assert Decoder(trained.signature).decode(body).rows == 1
    else:
        with pytest.raises(Exception, match="wrong"):
            Decoder(trained.signature).decode(body)


def test_a_column_that_may_be_missing_a_value_is_there_all_the_same(mine, services, cloud, user):
    trained = shaped("frame", [Column("age", nullable=True), Column("income")])
    model_id = register(cloud, services, user.id, described(trained, {"records": [{"age": 1, "income": 2}]}))
    assert document_of(mine, model_id)["components"]["schemas"]["Record"]["required"] == ["age", "income"]
    with pytest.raises(Exception, match="missing column 'age'"):
        Decoder(trained.signature).decode({"records": [{"income": 2}]})


def test_of_very_many_columns_any_may_be_named(mine, services, cloud, user):
    columns = [Column(f"c{number}") for number in range(2100)]
    names = [column.name for column in columns]
    trained = described(shaped("frame", columns), {"records": [dict.fromkeys(names, 1.0)]})
    model_id = register(cloud, services, user.id, trained)
    schema, shown = body_schema(document_of(mine, model_id), f"/predict/{model_id}")
    split = {"dataframe_split": {"columns": names, "data": [[1.0] * 2100]}}
    for body in (shown, split, {"inputs": [[1.0] * 2100]}, {"inputs": {name: [1.0] for name in names}}):
        jsonschema_rs.Draft202012Validator(schema).validate(body)


def test_the_document_names_what_may_be_asked(mine, model_id):
    parameters = document_of(mine, model_id)["paths"][f"/predict/{model_id}"]["post"]["parameters"]
    found = {parameter["name"]: parameter for parameter in parameters}
    assert found.keys() == {"version", "alias", "outputs", "explain", "timeout"}
    assert found["outputs"]["schema"]["items"] == {"enum": mixed().signature.outputs}
    assert not any(parameter.get("required") for parameter in parameters)


def test_of_one_version_everything_asks_that_version(mine, model_id):
    document = mine.get(f"/models/{model_id}/openapi.json?version=1").json()
    assert list(document["paths"]) == [f"/predict/{model_id}"]  # V1 knows no versions
    operation = document["paths"][f"/predict/{model_id}"]["post"]
    version = next(each for each in operation["parameters"] if each["name"] == "version")
    assert (version["required"], version["schema"]) == (True, {"const": "v1"})
    assert "alias" not in {each["name"] for each in operation["parameters"]}
    found = mine.get(f"/models/{model_id}/snippets?version=v1").json()
    sources = [sample["source"] for sample in operation["x-codeSamples"]]
    assert sources == [found[language] for language in ("curl", "python", "javascript")]
    assert all(f"/predict/{model_id}?version=v1" in source for source in sources)


def test_a_deprecated_version_is_documented_as_such(mine, model_id):
    path = f"/models/{model_id}/versions/v1"
    assert mine.patch(path, json={"stage": "deprecated"}, headers={"If-Match": "*"}).status == 200
    assert document_of(mine, model_id)["paths"][f"/predict/{model_id}"]["post"]["deprecated"] is True


def test_examples_have_the_order_of_training(mine, model_id):
    """PostgreSQL keeps the keys of JSON by their length."""
    found = mine.get(f"/models/{model_id}/snippets").json()["javascript"]
    assert found.index('"price"') < found.index('"rooms"') < found.index('"city"')


def test_snippets_call_this_model(mine, model_id):
    found = mine.get(f"/models/{model_id}/snippets").json()
    assert set(found) == {"curl", "python", "javascript", "key_variable"}
    for language in ("curl", "python", "javascript"):
        assert f"/predict/{model_id}" in found[language]
        assert found["key_variable"] in found[language]
    samples = document_of(mine, model_id)["paths"][f"/predict/{model_id}"]["post"]["x-codeSamples"]
    assert [sample["source"] for sample in samples] == [found[k] for k in ("curl", "python", "javascript")]


class TestWhatACategoryMayHold:
    """Names and categories are the uploader's: none of them may become a piece of the program."""

    @pytest.fixture
    def sources(self):
        signature = replace(
            mixed().signature, example={"records": [{HOSTILE: HOSTILE, "flag": True, "n": None}]}
        )
        return signature.example, snippets(
            signature, model_id="mdl_1", base_url="https://api.example.com/api"
        )

    def test_curl(self, sources):
        body, found = sources
        words = shlex.split(found["curl"].replace("\\\n", ""))
        assert json.loads(words[words.index("-d") + 1]) == body
        assert words[2] == "https://api.example.com/api/predict/mdl_1"

    def test_python(self, sources):
        body, found = sources
        printing = found["python"].partition("request = ")[0] + "print(json.dumps(body))"
        done = subprocess.run(
            [sys.executable, "-I", "-c", printing], capture_output=True, text=True, timeout=60, check=True
        )
        assert json.loads(done.stdout) == body
        compile(found["python"], "snippet", "exec")

    def test_javascript(self, sources):
        body, found = sources
        literal = found["javascript"].removeprefix("const body = ").partition(";\nfetch(")[0]
        assert json.loads(literal) == body
        assert literal.isascii()
        assert os.linesep not in literal.replace("\n", "")
