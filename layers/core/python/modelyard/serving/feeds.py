"""Columns to tensors. Intake proves parity through this very function: what was proven is what is served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modelyard.serving.signature import MISSING_TEXT

if TYPE_CHECKING:
    from modelyard.serving.signature import OnnxInput, Signature

Columns = Sequence[Sequence[Any]]
"""A batch, column-major, in the order of `Signature.columns`: lists, tuples or 1-D arrays; None = missing."""

_DTYPES: dict[str, type] = {
    "float": np.float32,
    "double": np.float64,
    "int64": np.int64,
    "bool": np.bool_,
}


def build_feeds(signature: Signature, columns: Columns) -> dict[str, np.ndarray]:
    """The graph's input tensors, shape (rows, columns of that input), or (rows,) where its rank is 1.

    Missing numbers become NaN, missing strings `MISSING_TEXT`. Values must already fit their column's kind
    (`serving.decoding` sees to it); what does not fit raises `ValueError`, `TypeError` or `OverflowError`.
    """
    if signature.onnx is None:
        raise ValueError("this model has no ONNX graph")
    return {
        graph_input.name: _tensor(graph_input, [columns[index] for index in graph_input.columns])
        for graph_input in signature.onnx.inputs
    }


def _tensor(graph_input: OnnxInput, columns: list[Sequence[Any]]) -> np.ndarray:
    tensor = _strings(columns) if graph_input.type == "string" else _numbers(graph_input, columns)
    if graph_input.rank == 1:
        return tensor.reshape(-1)
    # One row, the usual case, is contiguous either way; onnxruntime copies what is not.
    return np.ascontiguousarray(tensor.T)


def _numbers(graph_input: OnnxInput, columns: list[Sequence[Any]]) -> np.ndarray:
    """Shape (columns, rows)."""
    dtype = _DTYPES[graph_input.type]
    if dtype is np.float32 or graph_input.round_to_float32:
        with np.errstate(over="ignore"):  # beyond float32 is infinity, as in scikit-learn's own cast
            tensor = np.array(columns, dtype=np.float64).astype(np.float32)
            return tensor.astype(dtype, copy=False)
    return np.array(columns, dtype=dtype)


def _strings(columns: list[Sequence[Any]]) -> np.ndarray:
    """Shape (columns, rows), dtype object holding `str` only."""
    tensor = np.empty((len(columns), len(columns[0]) if columns else 0), dtype=object)
    for index, column in enumerate(columns):
        # NaN is the only value that differs from itself.
        tensor[index] = [MISSING_TEXT if value is None or value != value else value for value in column]
    return tensor
