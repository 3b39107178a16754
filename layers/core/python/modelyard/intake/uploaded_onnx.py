"""A model uploaded as ONNX: described from its graph, tried out once, served as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.intake import schema
from modelyard.intake.describe import _served_with
from modelyard.intake.fact import Fact
from modelyard.intake.rows import Rows
from modelyard.intake.verdict import Limits, OnnxReport, OnnxValue, Refused, StaticReport
from modelyard.serving.feeds import build_feeds
from modelyard.serving.signature import Column, OnnxGraph, OnnxInput, OnnxType, Signature, Task

MAX_COLUMNS = 100_000
_TYPES: dict[str, OnnxType] = {
    "float": "float",
    "double": "double",
    "int64": "int64",
    "string": "string",
    "bool": "bool",
}
_DTYPES = {"float": "float32", "double": "float64", "int64": "int64", "string": "object", "bool": "bool"}


def describe(path: Path, report: StaticReport, limits: Limits) -> Signature:
    """Raises `Refused` where the graph cannot be fed with rows of a table, or does not answer two of them."""
    from modelyard.intake import onnx_gate

    graph_report = onnx_gate.check(path, limits, source="upload")
    columns, inputs = _inputs(graph_report)
    outputs = _outputs(graph_report)
    task: Task = "classifier" if "predict_proba" in outputs else "regressor"
    signature = Signature(
        estimator=f"onnx.{graph_report.producer or 'model'}",
        task=task,
        layout="frame" if len(inputs) > 1 else "matrix",
        columns=columns,
        outputs=list(outputs),
        named=len(inputs) > 1 and all(len(i.columns) == 1 for i in inputs),
        runtime="onnx",
        explainable=False,
        onnx=OnnxGraph(inputs=inputs, outputs=outputs),
        trained_with={"onnx opset " + (name or "ai.onnx"): str(v) for name, v in graph_report.opsets.items()},
        served_with=_served_with(),
    )
    rows = Rows(signature, [Fact() for _ in columns])
    signature = _tried(path, signature, rows)
    return replace(
        signature,
        input_schema=schema.input_schema(signature),
        example=schema.example(signature, rows.typical(1)),
    )


def _inputs(report: OnnxReport) -> tuple[list[Column], list[OnnxInput]]:
    """One table over all inputs: a matrix input has as many columns as it is wide, others have one."""
    columns: list[Column] = []
    inputs: list[OnnxInput] = []
    for value in report.inputs:
        kind = _TYPES.get(value.type)
        width = _width(value)
        if kind is None or width is None:
            raise Refused(
                "input",
                f"the graph's input {value.name[:100]!r} cannot be fed with rows of a table: it must be "
                "a tensor (float, double, int64, string or bool) of shape [rows, columns] or [rows]. "
                "Export it that way.",
                format="onnx",
            )
        rank = len(value.shape or ())
        if len(columns) + width > MAX_COLUMNS:
            raise Refused("input", f"the graph takes more than {MAX_COLUMNS} columns.", format="onnx")
        first = len(columns)
        columns += [_column(value.name, index, width, len(report.inputs), kind) for index in range(width)]
        inputs.append(
            OnnxInput(name=value.name, type=kind, columns=list(range(first, first + width)), rank=rank)
        )
    if not inputs:
        raise Refused("input", "the graph has no input.", format="onnx")
    return columns, inputs


def _width(value: OnnxValue) -> int | None:
    shape = value.shape
    if shape is None or len(shape) not in (1, 2) or shape[0] > 0:
        return None
    if len(shape) == 1:
        return 1
    return shape[1] if shape[1] > 0 else None


def _column(name: str, index: int, width: int, inputs: int, kind: OnnxType) -> Column:
    """Named after its input; a matrix numbers its columns."""
    label = (f"x{index}" if inputs == 1 else f"{name}_{index}") if width > 1 or inputs == 1 else name
    what = {"string": "string", "bool": "boolean"}.get(kind, "number")
    nullable = kind in ("float", "double")
    return Column(name=label, kind=what, dtype=_DTYPES[kind], nullable=nullable)  # type: ignore[arg-type]


def _outputs(report: OnnxReport) -> dict[str, str]:
    """The converter's own names where they are used, otherwise by position: labels, then probabilities."""
    tensors = [value for value in report.outputs if value.type in _TYPES]
    if not tensors:
        raise Refused(
            "output",
            "the graph has no tensor among its outputs; export it with the option zipmap=False.",
            format="onnx",
        )
    labels = [value for value in tensors if value.type in ("int64", "string") or value.name == "output_label"]
    scores = [value for value in tensors if value.type in ("float", "double") and value not in labels]
    if labels:
        found = {"predict": labels[0].name}
        return found | ({"predict_proba": scores[0].name} if scores else {})
    return {"predict": tensors[0].name}


def _tried(path: Path, signature: Signature, rows: Rows) -> Signature:
    """Two rows, by the same code as serving; classes are counted off the probabilities."""
    import onnxruntime

    assert signature.onnx is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    batch = rows.typical(2)
    graph = signature.onnx
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        values = session.run([graph.outputs[o] for o in signature.outputs], build_feeds(signature, batch))
    except Exception as error:  # ONNX Runtime raises its own kinds
        raise Refused(
            "no_prediction",
            f"ONNX Runtime did not run the graph on two rows ({type(error).__name__}); "
            "check it with onnxruntime and export it again.",
            format="onnx",
        ) from error
    found: dict[str, np.ndarray] = {}
    for output, value in zip(signature.outputs, values, strict=True):
        if not isinstance(value, np.ndarray) or value.shape[:1] != (2,):
            continue
        found[output] = value
    if signature.outputs[0] not in found:
        raise Refused("output", "the graph does not answer one row for each row.", format="onnx")
    outputs = {output: graph.outputs[output] for output in found}
    first = found[signature.outputs[0]]
    classes = _classes(path, found, signature)
    return replace(
        signature,
        outputs=list(found),
        onnx=OnnxGraph(inputs=graph.inputs, outputs=outputs),
        n_outputs=int(first.shape[1]) if first.ndim > 1 else 1,
        classes=classes,
        task="classifier" if "predict_proba" in found else signature.task,
    )


def _classes(path: Path, found: dict[str, Any], signature: Signature) -> list[Any] | None:
    """Labels as the graph's classifier node lists them, where their number fits the probabilities."""
    probabilities = found.get("predict_proba")
    if probabilities is None or probabilities.ndim != 2:
        return None
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    for node in model.graph.node:
        for attribute in node.attribute:
            integers = attribute.name in ("classlabels_int64s", "classlabels_ints")
            if integers and len(attribute.ints) == probabilities.shape[1]:
                return list(attribute.ints)
            if attribute.name == "classlabels_strings" and len(attribute.strings) == probabilities.shape[1]:
                return [text.decode("utf-8", "replace") for text in attribute.strings]
    return list(range(probabilities.shape[1]))
