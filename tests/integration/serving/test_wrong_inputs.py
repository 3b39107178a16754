"""Wrong requests of every kind, in every form of every protocol: refused in words, never with a 5xx.

`tests/e2e/test_wrong_inputs.py` sends the same ones to deployed models.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from tests.integration.serving.conftest import TRAINED, Platform
from tests.support.serving import Registered, Trained, convert
from tests.support.wrong_inputs import (
    REFUSED,
    ROUTES,
    Subject,
    complaints,
    extreme_cases,
    predictions_of,
    reordered_cases,
    wrong_cases,
)

KINDS = ("matrix", "frame", "text")
RUNTIMES = ("onnx", "native")


def one_a_row(payload: dict[str, Any]) -> dict[str, Any]:
    """What the sandbox answers."""
    return {"outputs": {"predict": ["one"] * len(payload["columns"][0])}}


@cache
def text() -> Trained:
    """TF-IDF and a logistic regression over one column of texts."""
    from modelyard.serving.signature import Column, OnnxGraph, OnnxInput, Signature
    from skl2onnx.common.data_types import StringTensorType
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = ["good words", "fine words", "bad deeds", "poor deeds"] * 5
    model = make_pipeline(TfidfVectorizer(lowercase=False), LogisticRegression()).fit(
        texts, ["up", "up", "down", "down"] * 5
    )
    signature = Signature(
        estimator="Pipeline",
        task="classifier",
        layout="text",
        columns=[Column("text", kind="string", dtype="object")],
        outputs=["predict"],
        classes=["down", "up"],
        runtime="onnx",
        onnx=OnnxGraph([OnnxInput("text", "string", [0], rank=1)], {"predict": "label"}),
    )
    onnx = convert(model, [("text", StringTensorType([None]))])
    return Trained(model, onnx, signature, [["good words"], ["poor deeds"]])


def trained(kind: str, runtime: str) -> Trained:
    found = {"matrix": TRAINED["logistic"], "frame": TRAINED["mixed"], "text": text}[kind]()
    if runtime == "native":
        found = replace(found, signature=replace(found.signature, runtime="native", onnx=None))
    return found


@pytest.fixture(params=[(kind, runtime) for kind in KINDS for runtime in RUNTIMES], ids="-".join)
def asked(
    request: pytest.FixtureRequest, platform: Platform, redis_client: Any
) -> tuple[Registered, Subject]:
    """A model that is ready, with as many requests as are needed."""
    redis_client.set(f"{{{platform.user_id}}}:quota:permin", 1_000_000)
    platform.composition.sandbox = one_a_row
    model = trained(*request.param)
    registered = platform.add(model, name="asked")
    kinds = {
        column.name: "integer" if column.dtype == "int64" else column.kind
        for column in model.signature.columns
    }
    return registered, Subject("asked", registered.id, kinds, model.rows[:2], model.signature.named)


def check(platform: Platform, cases: list[Any]) -> None:
    complained: list[str] = []
    for case in cases:
        answer = platform.api.post(case.path, body=case.body, headers=case.headers)
        complained += complaints(case, answer.status, answer.headers["content-type"], answer.text)
    assert not complained, f"{len(complained)} of {len(cases)}\n" + "\n".join(complained[:100])


def test_wrong_requests_are_refused_in_words(
    platform: Platform, asked: tuple[Registered, Subject], records: Any
) -> None:
    cases = wrong_cases(asked[1])

    check(platform, cases)
    lines = records()
    assert len(lines) >= len(cases)
    assert [line for line in lines if line.get("status_code", 0) >= 500] == []
    assert "never-tell" not in str(lines)


def test_odd_values_are_no_fault_of_the_platform(
    platform: Platform, asked: tuple[Registered, Subject]
) -> None:
    check(platform, extreme_cases(asked[1]))


def test_columns_in_another_order_are_right(platform: Platform, asked: tuple[Registered, Subject]) -> None:
    registered, subject = asked
    native = registered.trained.signature.runtime == "native"
    plain = platform.api.post(registered.path, json={"inputs": subject.rows}).json()["predictions"]
    columns = [list(column) for column in zip(*subject.rows, strict=True)]
    asked_for = platform.composition.native_calls
    for case in reordered_cases(subject):
        answer = platform.api.post(
            case.path, body=case.body, headers=case.headers | {"Cache-Control": "no-store"}
        )
        assert answer.status == 200, (case.label, answer.text)
        assert predictions_of(case, answer.json()) == plain, case.label
        if native:
            assert [list(c) for c in asked_for[-1][0]["columns"]] == columns


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict/{}", '{"records": [{"x0": "old", "x0": 0.5, "x1": 1, "x2": 2, "x3": 3}]}'),
        ("/predict/{}", '{"inputs": "old", "inputs": [[0.5, 1, 2, 3]]}'),
        ("/v1/models/{}:predict", '{"instances": "old", "instances": [[0.5, 1, 2, 3]]}'),
        (
            "/models/{}/invocations",
            '{"inputs": "old", "inputs": {"x0": [0.5], "x1": [1], "x2": [2], "x3": [3]}}',
        ),
        (
            "/v2/models/{}/infer",
            '{"inputs": [{"name": "old", "name": "in", "datatype": "FP64", "shape": [1, 4],'
            ' "data": [0.5, 1, 2, 3]}]}',
        ),
    ],
)
def test_a_key_that_stands_twice_counts_the_last_time(platform: Platform, path: str, body: str) -> None:
    registered = platform.add("logistic", name="twice")

    answer = platform.api.post(path.format(registered.id), body=body)

    assert answer.status == 200, answer.text
    values = answer.json().get("predictions") or answer.json()["outputs"][0]["data"]
    assert values == registered.trained.estimator.predict([[0.5, 1, 2, 3]]).tolist()


_CELLS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just("good words")
)
_KEYS = st.sampled_from(
    ["inputs", "records", "instances", "dataframe_split", "dataframe_records", "columns", "data", "name",
     "shape", "datatype", "parameters", "binary_data_size", "params", "outputs", "id", "x0", "x1", "city",
     "text", "price", "rooms", "", "~/"]
)  # fmt: skip
_JSON = st.recursive(
    _CELLS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)
_TENSORS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["input", "x0", "text", "price"]) | _JSON,
        "shape": st.lists(st.integers(-1, 5) | st.integers(), max_size=3) | _JSON,
        "datatype": st.sampled_from(["FP64", "INT64", "BYTES", "BOOL", "FP16"]) | _JSON,
        "data": st.lists(_CELLS, max_size=8) | _JSON,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": st.integers(-1, 40) | _JSON}),
    },
)
_BODIES = _JSON | st.dictionaries(_KEYS, _JSON, max_size=3)
_TENSOR_BODIES = st.fixed_dictionaries({"inputs": st.lists(_TENSORS, max_size=3)}, optional={"id": _JSON})


def test_whatever_json_comes_is_answered_or_refused(
    platform: Platform, asked: tuple[Registered, Subject]
) -> None:
    """Bodies that hypothesis makes up, the same ones every time."""
    limits = settings(max_examples=80, deadline=None, database=None, derandomize=True)

    def ask(path: str, body: bytes, **headers: str) -> None:
        answer = platform.api.post(path, body=body, headers=headers)
        assert answer.status == 200 or answer.status in REFUSED, (path, body, answer.text)

    @limits
    @given(_BODIES | _TENSOR_BODIES)
    def any_json(body: Any) -> None:
        for route in ROUTES:
            ask(route.format(id=asked[1].model_id, name="asked"), json.dumps(body).encode())

    @limits
    @given(_TENSOR_BODIES, st.binary(max_size=60), st.integers(-2, 2))
    def any_tensor(body: Any, tail: bytes, surplus: int) -> None:
        head = json.dumps(body).encode()
        length = str(len(head) + surplus)
        ask("/v2/models/asked/infer", head + tail, **{"Inference-Header-Content-Length": length})

    @limits
    @given(st.text(alphabet='abx012.,"\n\r \t-eé\x00', max_size=40) | st.binary(max_size=40))
    def any_csv(text: str | bytes) -> None:
        body = text.encode() if isinstance(text, str) else text
        for path in ("/models/asked/invocations", "/endpoints/asked/invocations"):
            ask(path, body, **{"Content-Type": "text/csv"})

    any_json()
    any_tensor()
    any_csv()
