"""Descriptions of models, for tests that need one and no scikit-learn."""

from __future__ import annotations

from typing import Any

from modelyard.serving.signature import Column, OnnxGraph, OnnxInput, Signature


def some_signature(*, runtime: str = "onnx", **changes: Any) -> Signature:
    """A classifier of two numbers."""
    values: dict[str, Any] = {
        "estimator": "RandomForestClassifier",
        "task": "classifier",
        "layout": "matrix",
        "columns": [Column("x0"), Column("x1")],
        "outputs": ["predict", "predict_proba"],
        "classes": [0, 1],
        "runtime": runtime,
        "reason": None if runtime == "onnx" else "no converter",
        "onnx": OnnxGraph(
            [OnnxInput("X", "double", [0, 1])], {"predict": "label", "predict_proba": "probabilities"}
        ),
        "input_schema": {"type": "object", "required": ["x0", "x1"]},
        "example": {"inputs": [[0.0, 1.0]]},
    }
    if runtime != "onnx":
        values["onnx"] = None
    return Signature(**(values | changes))
