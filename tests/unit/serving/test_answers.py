"""Answers: what tells two cache keys apart, and how they are put into words."""

from __future__ import annotations

import itertools
import json
from hashlib import blake2b

import numpy as np
import pytest
from modelyard.serving.answers import complete, digest, opened, render, sealed
from modelyard.serving.decoding import Batch
from modelyard.serving.runtime import OnnxRuntime
from modelyard.serving.signature import Signature

from tests.support.serving import logistic, mixed

CLASSIFIER = Signature("A", "classifier", "matrix", [], ["predict", "predict_proba"], classes=["a", "b"])


def test_everything_that_matters_changes_the_key() -> None:
    keys = [
        digest(b"ver_1:aa:", ("predict",), [b"x"]),
        digest(b"ver_2:aa:", ("predict",), [b"x"]),
        digest(b"ver_1:bb:", ("predict",), [b"x"]),
        digest(b"ver_1:aa:", ("predict_proba",), [b"x"]),
        digest(b"ver_1:aa:", ("predict", "predict_proba"), [b"x"]),
        digest(b"ver_1:aa:", ("predict_proba", "predict"), [b"x"]),
        digest(b"ver_1:aa:", ("predict",), [b"y"]),
        digest(b"ver_1:aa:", ("predict",), [b"x", b""]),
        digest(b"ver_1:aa:", ("predict",), [b"", b"x"]),
    ]
    assert all(a != b for a, b in itertools.combinations(keys, 2))
    assert digest(b"ver_1:aa:", ("predict",), iter([b"x"])) == keys[0]


def test_answers_with_a_stamp_have_other_keys_than_those_of_releases_that_know_none():
    """While a release is being deployed both ask for answers; the earlier one would show the stamp."""
    earlier = blake2b(b"ver_1:aa:", digest_size=20)
    earlier.update(b"predict" + b"\n1\n" + b"x")
    assert digest(b"ver_1:aa:", ("predict",), [b"x"]) != earlier.hexdigest()


@pytest.mark.parametrize(
    "stored", [b"", b"12", b"65000000", b"65000000nonsense", b'{"predictions":[1]}', b'ffffffff"a"', b"null"]
)
def test_what_is_no_stamped_answer_is_not_opened(stored: bytes):
    assert opened(stored, 0x65000000) is None


def test_a_stamped_answer_is_opened_with_its_age():
    assert opened(sealed(b'{"predictions":[1]}', 1000.5), 1007.2) == (b'{"predictions":[1]}', 7)


def test_inputs_that_mean_the_same_have_the_same_canonical_form() -> None:
    runtime = OnnxRuntime(logistic().signature, logistic().onnx)

    def canonical(*columns: list[float]) -> list[bytes]:
        return list(runtime.canonical(runtime.prepare(Batch(list(columns), len(columns[0])))))

    same = canonical([1], [2], [3], [4])
    assert canonical([1.0], [2.0], [3.0], [4.0]) == same
    assert canonical([1], [2], [3], [5]) != same
    assert canonical([1, 1], [2, 2], [3, 3], [4, 4]) != same


def test_strings_do_not_run_together() -> None:
    runtime = OnnxRuntime(mixed().signature, mixed().onnx)

    def canonical(*cities: str) -> bytes:
        batch = Batch([[1.0] * len(cities), [1] * len(cities), list(cities)], len(cities))
        return b"|".join(runtime.canonical(runtime.prepare(batch)))

    assert canonical("a", "b") != canonical("ab", "")
    assert canonical("a,b") != canonical("a", "b")


def test_names_on_the_wire() -> None:
    body = json.loads(render(CLASSIFIER, {"predict": ["a"], "predict_proba": [[0.9, 0.1]]}))
    assert body == {"predictions": ["a"], "probabilities": [[0.9, 0.1]], "classes": ["a", "b"]}
    assert json.loads(render(CLASSIFIER, {"predict": ["a"]})) == {"predictions": ["a"]}
    assert json.loads(render(CLASSIFIER, {"decision_function": [0.5]})) == {"decision_function": [0.5]}


def test_a_transformers_output_is_its_prediction() -> None:
    scaler = Signature("A", "transformer", "matrix", [], ["transform"])
    assert json.loads(render(scaler, {"transform": [[1.0]]})) == {"predictions": [[1.0]]}
    both = Signature("A", "clusterer", "matrix", [], ["predict", "transform"])
    assert json.loads(render(both, {"transform": [[1.0]]})) == {"transform": [[1.0]]}


def test_what_json_has_no_number_for_is_null() -> None:
    assert json.loads(render(CLASSIFIER, {"predict": [float("nan"), np.inf]})) == {
        "predictions": [None, None]
    }


def test_complete() -> None:
    text = complete(
        b'{"predictions":[1]}', model_id="mdl_1", model_version="v1", prediction_id="p", cached=True
    )
    assert json.loads(text) == {
        "predictions": [1],
        "model_id": "mdl_1",
        "model_version": "v1",
        "prediction_id": "p",
        "cached": True,
    }
