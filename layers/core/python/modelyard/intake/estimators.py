"""Calling an estimator's outputs, in one shape for every kind: numbers and labels as plain arrays, row by
row.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

OUTPUTS = ("predict", "predict_proba", "decision_function", "transform", "score_samples")
MAX_CELLS = 50_000_000


def call(estimator: Any, output: str, batch: Any) -> Any:
    """One output for a batch; the first axis is the rows.

    Probabilities of several targets, which scikit-learn gives as a list per target, become a list per row.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = getattr(estimator, output)(_hashable(estimator, batch))
    if (
        isinstance(result, list)
        and result
        and all(isinstance(part, np.ndarray) and part.ndim == 2 for part in result)
    ):
        return [list(row) for row in zip(*result, strict=True)]
    if isinstance(result, tuple):
        result = result[0]
    if hasattr(result, "toarray"):
        if result.shape[0] * result.shape[1] > MAX_CELLS:
            raise MemoryError("the sparse result is too large to be answered")
        result = result.toarray()
    array = np.asarray(result)
    if output == "predict" and array.ndim == 2 and array.shape[1] == 1:
        return array.reshape(-1)  # one target is one number per row, however it was trained
    return array


def _hashable(estimator: Any, batch: Any) -> Any:
    """Records as the two estimators want them that do not take dictionaries: by key, or as pairs."""
    first = estimator.steps[0][1] if type(estimator).__name__ == "Pipeline" else estimator
    kind = type(first).__name__
    if kind == "MultiLabelBinarizer":
        by_name = {str(label): label for label in first.classes_.tolist()}
        return [[by_name.get(str(key), key) for key, value in record.items() if value] for record in batch]
    if kind == "FeatureHasher" and first.input_type != "dict":
        pairs = first.input_type == "pair"
        return [list(record.items()) if pairs else [str(key) for key in record] for record in batch]
    return batch


def plain(value: Any) -> Any:
    """JSON: arrays as lists, NaN and infinities as null, dates as ISO strings."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f":
            if np.isfinite(value).all():
                return value.tolist()
            filled = value.astype(object)
            filled[~np.isfinite(value)] = None
            return filled.tolist()
        if value.dtype.kind in "iubU":
            return value.tolist()
        return [plain(item) for item in value.tolist()] if value.ndim else plain(value.item())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def single_thread(estimator: Any) -> None:
    """Keep a model from starting threads or processes: one prediction has one core."""
    if hasattr(estimator, "get_params"):
        try:
            parameters = estimator.get_params(deep=True)
        except Exception:  # a half-built parameter tree is the validation's business, not ours
            return
        for name, value in parameters.items():
            owner, _, last = name.rpartition("__")
            if last in {"n_jobs", "nthread", "num_threads"} and value not in (None, 1):
                holder = parameters.get(owner) if owner else estimator
                if holder is not None and hasattr(holder, last):
                    setattr(holder, last, 1)
    seen: set[int] = set()
    stack = [estimator]
    while stack:
        part = stack.pop()
        if id(part) in seen or len(seen) > 20_000:
            continue
        seen.add(id(part))
        if isinstance(part, list | tuple):
            stack += list(part)[:2_000]
        elif isinstance(part, dict):
            stack += list(part.values())[:2_000]
        elif hasattr(part, "get_params") and hasattr(part, "__dict__"):
            if getattr(part, "n_jobs", None) not in (None, 1):
                part.n_jobs = 1
            stack += list(vars(part).values())
