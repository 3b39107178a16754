"""What a model takes and gives, in V2's words: metadata, and answers as tensors."""

from __future__ import annotations

from itertools import chain
from typing import Any

from modelyard.serving.protocols.common import values_of, wanted_outputs
from modelyard.serving.signature import Column, Signature

_BY_LABEL = {bool: "BOOL", int: "INT64", float: "FP64"}


def inputs_of(signature: Signature) -> list[dict[str, Any]]:
    """One tensor for a matrix of numbers, else one per column."""
    columns = signature.columns
    if signature.layout == "matrix" and all(_datatype(column) == "FP64" for column in columns):
        return [{"name": "input", "datatype": "FP64", "shape": [-1, len(columns)]}]
    return [{"name": column.name, "datatype": _datatype(column), "shape": [-1, 1]} for column in columns]


def outputs_of(signature: Signature) -> list[dict[str, Any]]:
    return [
        {"name": output, "datatype": datatype_of(signature, output), "shape": _shape_of(signature, output)}
        for output in signature.offered
    ]


def tensors_of(signature: Signature, core: dict[str, Any], asked: tuple[str, ...]) -> list[dict[str, Any]]:
    """The asked outputs of an answer. One whose rows differ in size comes in several, numbered parts."""
    found = []
    for output in wanted_outputs(signature, asked):
        values = values_of(core, signature, output)
        tensor = _tensor(output, values, datatype_of(signature, output))
        if tensor is not None:
            found.append(tensor)
            continue
        for part in range(len(values[0])):
            piece = _tensor(f"{output}_{part}", [row[part] for row in values], datatype_of(signature, output))
            assert piece is not None  # scikit-learn's answers are even within one target
            found.append(piece)
    return found


def datatype_of(signature: Signature, output: str) -> str:
    """What an output usually is; the values themselves decide where they differ."""
    if output != "predict" or signature.task in ("regressor", "transformer"):
        return "FP64"
    if signature.task in ("clusterer", "outlier_detector"):
        return "INT64"
    flat = [
        label
        for entry in signature.classes or ()
        for label in (entry if isinstance(entry, list) else [entry])
    ]
    kinds = {_BY_LABEL.get(type(label), "BYTES") for label in flat}
    return kinds.pop() if len(kinds) == 1 else "BYTES"


def _datatype(column: Column) -> str:
    if column.kind == "string":
        return "BYTES"
    if column.kind == "boolean":
        return "BOOL"
    return "INT64" if "int" in column.dtype and not column.nullable else "FP64"


def _shape_of(signature: Signature, output: str) -> list[int]:
    several = signature.n_outputs > 1
    if output == "predict":
        return [-1, signature.n_outputs] if several else [-1]
    if output == "predict_proba" and signature.classes is not None and not several:
        return [-1, len(signature.classes)]
    if output == "predict_proba":
        return [-1, signature.n_outputs, -1]
    if output == "decision_function" and not several and len(signature.classes or (0, 1)) == 2:
        return [-1]
    return [-1, -1]


def _tensor(name: str, values: list[Any], usual: str) -> dict[str, Any] | None:
    """None where the rows are not all of one shape."""
    shape, flat = [len(values)], values
    while flat and isinstance(flat[0], list):
        sizes = {len(part) if isinstance(part, list) else -1 for part in flat}
        if len(sizes) > 1:
            return None
        shape.append(sizes.pop())
        flat = list(chain.from_iterable(flat))
    datatype = _of_values(flat, usual)
    if datatype == "BYTES":
        flat = [value if value is None or isinstance(value, str) else str(value) for value in flat]
    elif datatype == "FP64":
        flat = [None if value is None else float(value) for value in flat]
    return {"name": name, "shape": shape, "datatype": datatype, "data": flat}


def _of_values(flat: list[Any], usual: str) -> str:
    kinds = set(map(type, flat)) - {type(None)}
    if not kinds:
        return usual
    if kinds <= {int, float}:
        return "INT64" if kinds == {int} and usual == "INT64" else "FP64"
    return "BOOL" if kinds == {bool} else "BYTES"
