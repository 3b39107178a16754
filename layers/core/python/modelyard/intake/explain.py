"""Explanations by the original estimator: per row a base and a contribution per column, which add up.

Linear models and trees are taken apart exactly (`explain_models`, `explain_trees`), what stands before them
in a pipeline is followed back to the caller's columns (`explain_features`), and every sum is held against
what the estimator itself says before it leaves.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from modelyard.intake.estimators import plain
from modelyard.intake.explain_features import MIXED, Features, through
from modelyard.intake.explain_models import analyse, unwrap
from modelyard.intake.explain_sums import MOST_CELLS, Additive, Mismatch, NotExplainable, OutOfTime
from modelyard.serving.explanation_terms import MOST_CONTRIBUTIONS
from modelyard.serving.signature import Signature

_CELLS = 2_000_000  # contributions worked on together


class Explainer:
    """One estimator, analysed once. Raises `NotExplainable` where its kind has no exact explanations."""

    def __init__(self, estimator: Any, signature: Signature) -> None:
        unwrapped = unwrap(estimator)
        self._steps = unwrapped.steps
        self._additive = analyse(unwrapped.final)
        self._signature = signature
        self._columns = [column.name for column in signature.columns]

    def explain(self, batch: Any, seconds: float) -> list[dict[str, Any]]:
        """One explanation per row of `batch` (as `frames.native_input` builds it), ready for JSON.

        Raises `NotExplainable`, `Mismatch`, or `OutOfTime` after `seconds`.
        """
        deadline = time.monotonic() + seconds

        def check() -> None:
            if time.monotonic() > deadline:
                raise OutOfTime

        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            features = self._features(batch)
            rows = features.x.shape[0]
            outputs = max(1, len(self._additive.base))
            cells = outputs * len(features.names)
            if cells > MOST_CELLS:
                raise MemoryError("the rows are too wide to be explained")
            at_once = max(1, _CELLS // max(1, cells))
            told: list[dict[str, Any]] = []
            for start in range(0, rows, at_once):
                check()
                told += self._told(features, _rows(features.x, start, start + at_once), check)
        return told

    def _features(self, batch: Any) -> Features:
        width = self._additive.features
        if self._signature.layout in ("text", "records") and not self._steps:
            raise NotExplainable("A model that takes texts or objects itself cannot be explained.")
        if self._signature.layout == "matrix":
            batch = np.asarray(batch)
        return through(self._steps, batch, self._columns, width)

    def _told(self, features: Features, x: Any, check: Callable[[], None]) -> list[dict[str, Any]]:
        additive = self._additive
        parts, base = additive.apart(x, check)
        total = base + parts.sum(axis=2)
        self._check(x, base, parts, total)
        by_column = _by_column(parts, features.sources, len(self._columns))
        same = features.names == self._columns
        shape = _Shape(additive, parts.shape[1])
        told = []
        for row in range(len(parts)):
            told.append(
                shape.told(
                    base[row],
                    total[row],
                    features=(features.names, parts[row].T),
                    columns=None if by_column is None else (self._columns, by_column[row].T),
                    same=same,
                    text=self._signature.layout == "text",
                )
            )
        return told

    def _check(self, x: Any, base: np.ndarray, parts: np.ndarray, total: np.ndarray) -> None:
        """The proof: the parts add up to what the estimator itself says, for every row and output."""
        additive = self._additive
        own = additive.own(x)
        if not np.isfinite(own).all():
            raise NotExplainable(
                "The model's output for one of the rows is no finite number, so it is no sum."
            )
        if own.shape != total.shape:
            raise Mismatch(f"outputs of shape {own.shape}, sums of shape {total.shape}")
        shown = additive.shown(total)
        size = np.maximum(np.abs(base) + np.abs(parts).sum(axis=2), np.abs(total))
        allowed = additive.tolerance * np.maximum(np.abs(own), size if shown is total else np.abs(shown))
        gap = np.abs(shown - own)
        if not (gap <= np.maximum(allowed, np.finfo(np.float64).tiny)).all():
            worst = float(np.nanmax(np.where(np.isfinite(gap), gap, np.inf)))
            raise Mismatch(f"{additive.of} and the sum of its parts differ by {worst:.3g}")


def explainable(estimator: Any, signature: Signature, batch: Any, seconds: float) -> bool | None:
    """Whether explanations can be had, found by making one; None where that did not show in time."""
    try:
        return bool(Explainer(estimator, signature).explain(batch, seconds))
    except NotExplainable:
        return False
    except Exception:  # what goes wrong with one row need not with others
        return None


def _rows(x: Any, start: int, stop: int) -> Any:
    return x.iloc[start:stop] if hasattr(x, "iloc") else x[start:stop]


def _by_column(parts: np.ndarray, sources: Sequence[int], columns: int) -> np.ndarray | None:
    """Contributions per column, (rows, outputs, columns); None where a feature mixes columns."""
    places = np.asarray(sources)
    if not len(places) or (places == MIXED).any():
        return None
    summed = np.zeros((*parts.shape[:2], columns))
    for feature, column in enumerate(places):
        summed[:, :, column] += parts[:, :, feature]
    return summed


class _Shape:
    """The JSON of one row: numbers where there is one output, lists over the outputs otherwise."""

    def __init__(self, additive: Additive, outputs: int) -> None:
        self._additive = additive
        self._single = outputs == 1 and additive.classes is None

    def told(
        self,
        base: np.ndarray,
        total: np.ndarray,
        *,
        features: tuple[Sequence[str], np.ndarray],
        columns: tuple[Sequence[str], np.ndarray] | None,
        same: bool,
        text: bool,
    ) -> dict[str, Any]:
        """By column where each feature comes from one, with those of the features beside them."""
        by_feature = columns is None or text
        told: dict[str, Any] = {"of": self._additive.of}
        if self._additive.classes is not None:
            told["classes"] = self._additive.classes
        if self._additive.has_toward:
            told["toward"] = self._additive.toward
        told |= {"per": "feature" if by_feature else "column", "base": self._number(base)}
        main = features if columns is None or text else columns
        told["contributions"], others = self._listed(*main)
        if others is not None:
            told["others"] = others
        if not by_feature and not same:
            told["features"], _ = self._listed(*features)
        told["sum"] = self._number(total)
        return told

    def _listed(self, names: Sequence[str], values: np.ndarray) -> tuple[dict[str, Any], Any]:
        """The largest first; the sum of those left out, None where none is. `values`: (names, outputs)."""
        sizes = np.abs(values).max(axis=1)
        order = np.argsort(-sizes, kind="stable")
        kept = order[:MOST_CONTRIBUTIONS]
        if len(order) > len(kept):
            kept = kept[sizes[kept] > 0]
        listed = {names[index]: self._number(values[index]) for index in kept}
        left = order[len(kept) :]
        others = self._number(values[left].sum(axis=0)) if len(left) and sizes[left].any() else None
        return listed, others

    def _number(self, values: np.ndarray) -> Any:
        values = values + 0.0  # no negative zeros
        return plain(values[0]) if self._single else plain(values)
