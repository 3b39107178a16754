"""Columns to tensors: dtypes, shapes, missing values, and scikit-learn's own rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from modelyard.serving.feeds import build_feeds
from modelyard.serving.signature import MISSING_TEXT, Column, OnnxGraph, OnnxInput, Signature


def signature(*inputs: OnnxInput, width: int = 4) -> Signature:
    columns = [Column(f"x{index}") for index in range(width)]
    return Signature("Some", "classifier", "matrix", columns, ["predict"], onnx=OnnxGraph(list(inputs), {}))


@pytest.mark.parametrize(
    "columns",
    [[[1, 2], [3, 4]], [(1.0, 2.0), (3.0, 4.0)], [np.array([1, 2]), np.array([3.0, 4.0])]],
)
def test_lists_tuples_and_arrays(columns: Any) -> None:
    feeds = build_feeds(signature(OnnxInput("X", "double", [0, 1])), columns)
    assert feeds["X"].dtype == np.float64
    assert feeds["X"].flags.c_contiguous
    assert feeds["X"].tolist() == [[1.0, 3.0], [2.0, 4.0]]


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("float", np.float32), ("double", np.float64), ("int64", np.int64), ("bool", np.bool_)],
)
def test_dtypes(kind: Any, dtype: type) -> None:
    feeds = build_feeds(signature(OnnxInput("X", kind, [0])), [[1, 0]])
    assert feeds["X"].dtype == dtype
    assert feeds["X"].shape == (2, 1)


def test_columns_go_where_the_graph_wants_them() -> None:
    graph = signature(OnnxInput("b", "double", [2, 0]), OnnxInput("a", "string", [1]))
    feeds = build_feeds(graph, [[1], ["one"], [3]])
    assert feeds["b"].tolist() == [[3.0, 1.0]]
    assert feeds["a"].tolist() == [["one"]]


def test_missing_values() -> None:
    feeds = build_feeds(
        signature(OnnxInput("n", "double", [0]), OnnxInput("s", "string", [1])),
        [[None, 1], [None, float("nan")]],
    )
    assert np.isnan(feeds["n"][0, 0])
    assert feeds["s"].dtype == object
    assert feeds["s"].tolist() == [[MISSING_TEXT], [MISSING_TEXT]]


def test_text_has_rank_one() -> None:
    feeds = build_feeds(signature(OnnxInput("text", "string", [0], rank=1)), [["a", "b"]])
    assert feeds["text"].shape == (2,)


def test_rounding_to_float32_is_scikit_learns() -> None:
    values = [0.1, 1 / 3, 16777217.0, 1e-50]
    feeds = build_feeds(signature(OnnxInput("X", "double", [0], round_to_float32=True)), [values])
    assert feeds["X"].dtype == np.float64
    assert feeds["X"][:, 0].tolist() == np.array(values, dtype=np.float32).astype(np.float64).tolist()


@pytest.mark.filterwarnings("error")
def test_overflow_to_float32_is_infinity_without_a_warning() -> None:
    feeds = build_feeds(signature(OnnxInput("X", "float", [0])), [[1e300]])
    assert np.isinf(feeds["X"][0, 0])


def test_large_integers_stay_exact() -> None:
    feeds = build_feeds(signature(OnnxInput("X", "int64", [0])), [[2**62 + 1]])
    assert feeds["X"][0, 0] == 2**62 + 1


def test_what_does_not_fit_raises() -> None:
    with pytest.raises((ValueError, TypeError)):
        build_feeds(signature(OnnxInput("X", "double", [0])), [["a"]])
    with pytest.raises(OverflowError):
        build_feeds(signature(OnnxInput("X", "int64", [0])), [[2**70]])


def test_a_model_without_a_graph() -> None:
    with pytest.raises(ValueError, match="no ONNX graph"):
        build_feeds(Signature("Some", "classifier", "matrix", [], ["predict"]), [])
