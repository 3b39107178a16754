"""Columns back to what the original estimator was trained on: an array, a DataFrame, texts, records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from modelyard.serving.signature import Column, Signature

Columns = Sequence[Sequence[Any]]


def native_input(signature: Signature, columns: Columns, missing: Sequence[Any] | None = None) -> Any:
    """The batch as the estimator wants it. `missing` says per column what stands for a missing string (nan
    or None).
    """
    if signature.layout == "text":
        return _series(signature.columns[0], columns[0])
    if signature.layout == "records":
        return list(columns[0])
    if signature.layout == "frame":
        import pandas as pd

        # An object index keeps names exactly as they were; pandas would guess a dtype otherwise.
        built = {
            i: _frame_column(column, values, _at(missing, i))
            for i, (column, values) in _each(signature, columns)
        }
        frame = pd.DataFrame(built)
        frame.columns = pd.Index([column.name for column in signature.columns], dtype=object)
        return frame
    if all(column.kind != "string" for column in signature.columns):
        return np.ascontiguousarray(np.array(columns, dtype=np.float64).T)
    if all(column.dtype.startswith("datetime64") for column in signature.columns):
        return np.stack([_dates(column, values) for _, (column, values) in _each(signature, columns)], axis=1)
    table = np.empty((len(columns[0]), len(columns)), dtype=object)
    for index, (column, values) in _each(signature, columns):
        if column.kind == "string":
            table[:, index] = [_at(missing, index) if _is_missing(value) else value for value in values]
        else:
            table[:, index] = [math.nan if _is_missing(value) else value for value in values]
    return table


def _series(column: Column, values: Sequence[Any]) -> Any:
    """One value per row; texts are never missing."""
    if column.kind == "string":
        return ["" if _is_missing(value) else value for value in values]
    return np.array(values, dtype=column.dtype if column.dtype != "object" else np.float64)


def records(signature: Signature, columns: Columns) -> list[dict[str, Any]]:
    """Rows as objects: how a model of layout `records` gets them, in one column."""
    names = [column.name for column in signature.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _frame_column(column: Column, values: Sequence[Any], missing: Any) -> Any:
    import pandas as pd

    if column.dtype == "category":
        cleaned = [None if _is_missing(value) else value for value in values]
        return pd.Categorical(cleaned, categories=column.categories)
    if column.dtype.startswith("datetime64"):
        return _dates(column, values)
    if column.kind == "string":
        return pd.Series([missing if _is_missing(value) else value for value in values], dtype=object)
    numbers = np.array(values, dtype=np.float64)
    if column.kind == "boolean" and not np.isnan(numbers).any():
        return numbers.astype(bool)
    if (
        column.dtype.startswith("int")
        and not np.isnan(numbers).any()
        and (numbers == np.floor(numbers)).all()
    ):
        return np.array(values, dtype=np.int64) if np.abs(numbers).max(initial=0) < 2**63 else numbers
    return numbers


def _dates(column: Column, values: Sequence[Any]) -> Any:
    """ISO texts as dates; raises `ValueError` for other texts."""
    return np.array(["NaT" if _is_missing(value) else value for value in values], dtype=column.dtype)


def _each(signature: Signature, columns: Columns) -> Any:
    return enumerate(zip(signature.columns, columns, strict=True))


def _at(missing: Sequence[Any] | None, index: int) -> Any:
    return missing[index] if missing is not None else math.nan


def _is_missing(value: Any) -> bool:
    return value is None or value != value
