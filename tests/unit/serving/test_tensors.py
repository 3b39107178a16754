"""Answers as V2 tensors, for models of several outputs and for values that are not what is usual."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from modelyard.serving.protocols.tensors import datatype_of, inputs_of, outputs_of, tensors_of
from modelyard.serving.signature import Column, Signature

SIGNATURE = Signature(
    estimator="Any",
    task="classifier",
    layout="matrix",
    columns=[Column("x0")],
    outputs=["predict", "predict_proba"],
)


def only(tensors: list[dict[str, Any]]) -> tuple[Any, ...]:
    (tensor,) = tensors
    return tensor["shape"], tensor["datatype"], tensor["data"]


@pytest.mark.parametrize(
    ("task", "classes", "values", "expected"),
    [
        ("classifier", [0, 1], [1, 0], ([2], "INT64", [1, 0])),
        ("classifier", [False, True], [True], ([1], "BOOL", [True])),
        ("classifier", [0.5, 1.5], [0.5], ([1], "FP64", [0.5])),
        ("classifier", ["a", "b"], ["b"], ([1], "BYTES", ["b"])),
        ("classifier", ["a", 1], ["a", 1], ([2], "BYTES", ["a", "1"])),
        ("regressor", None, [1, 2], ([2], "FP64", [1.0, 2.0])),
        ("regressor", None, [None], ([1], "FP64", [None])),
        ("regressor", None, [[1.5, 2.5]], ([1, 2], "FP64", [1.5, 2.5])),
        ("clusterer", None, [3], ([1], "INT64", [3])),
        ("outlier_detector", None, [-1], ([1], "INT64", [-1])),
    ],
)
def test_predictions(task: Any, classes: Any, values: list[Any], expected: tuple[Any, ...]) -> None:
    signature = replace(SIGNATURE, task=task, classes=classes)
    assert only(tensors_of(signature, {"predictions": values}, ())) == expected


def test_probabilities_of_several_targets() -> None:
    signature = replace(SIGNATURE, n_outputs=2, classes=[[0, 1], [0, 1]])
    core = {"predictions": [[0, 1]], "probabilities": [[[0.9, 0.1], [0.4, 0.6]]]}
    assert only(tensors_of(signature, core, ("predict_proba",))) == ([1, 2, 2], "FP64", [0.9, 0.1, 0.4, 0.6])


def test_targets_with_different_numbers_of_classes_come_apart() -> None:
    signature = replace(SIGNATURE, n_outputs=2, classes=[[0, 1], [0, 1, 2]])
    core = {"predictions": [[0, 1]], "probabilities": [[[0.9, 0.1], [0.2, 0.2, 0.6]]]}
    found = tensors_of(signature, core, ("predict_proba",))
    assert [(t["name"], t["shape"]) for t in found] == [
        ("predict_proba_0", [1, 2]),
        ("predict_proba_1", [1, 3]),
    ]


def test_a_transformer_gives_its_own_output() -> None:
    signature = replace(SIGNATURE, task="transformer", outputs=["transform"])
    assert only(tensors_of(signature, {"predictions": [[1.0, 2.0]]}, ())) == ([1, 2], "FP64", [1.0, 2.0])
    assert outputs_of(signature) == [{"name": "transform", "datatype": "FP64", "shape": [-1, -1]}]


def test_metadata_of_several_outputs() -> None:
    signature = replace(
        SIGNATURE,
        n_outputs=2,
        classes=[[0, 1], [0, 1]],
        outputs=["predict", "predict_proba", "decision_function"],
    )
    assert [output["shape"] for output in outputs_of(signature)] == [[-1, 2], [-1, 2, -1], [-1, -1]]
    assert datatype_of(signature, "predict") == "INT64"


def test_columns_of_every_kind() -> None:
    columns = [
        Column("n", dtype="int64"),
        Column("m", dtype="int64", nullable=True),
        Column("s", kind="string"),
    ]
    columns.append(Column("b", kind="boolean", dtype="bool"))
    signature = replace(SIGNATURE, layout="frame", columns=columns)
    assert [tensor["datatype"] for tensor in inputs_of(signature)] == ["INT64", "FP64", "BYTES", "BOOL"]
