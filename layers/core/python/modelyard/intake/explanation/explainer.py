"""Explanations by the original estimator: per row a base and a contribution per column, which add up.

Linear models and trees are taken apart exactly (`models`, `trees`), what stands before them
in a pipeline is followed back to the caller's columns (`features`), and every sum is held against
what the estimator itself says before it leaves.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from modelyard.intake.explanation.features import MIXED, Features, Tracer, distinct
from modelyard.intake.explanation.models import analyse, unwrap
from modelyard.intake.explanation.shape import Shape, by_column
from modelyard.intake.explanation.sums import (
    MOST_CELLS,
    Mismatch,
    NotExplainable,
    OutOfTime,
    too_wide,
)
from modelyard.serving.explanation_terms import MOST_CONTRIBUTIONS
from modelyard.serving.signature import Signature

_CELLS = 2_000_000  # contributions worked on together
_EXACT = 1e-12  # how far off sums of doubles are, relative to what is summed; seen through a link


class Explainer:
    """One estimator, analysed once. Raises `NotExplainable` where its kind has no exact explanations."""

    def __init__(self, estimator: Any, signature: Signature) -> None:
        unwrapped = unwrap(estimator)
        self._additive = analyse(unwrapped.final)
        self._signature = signature
        self._columns = distinct([column.name for column in signature.columns])
        self._tracer = Tracer(unwrapped.steps, self._columns, self._additive.features)
        if signature.layout in ("text", "records") and not unwrapped.steps:
            raise NotExplainable("A model that takes texts or objects itself cannot be explained.")

    def explain(self, batch: Any, seconds: float) -> list[dict[str, Any]]:
        """One explanation per row of `batch` (as `frames.native_input` builds it), ready for JSON.

        Raises `NotExplainable`, `Mismatch`, `TooLong`, or `OutOfTime` after `seconds`.
        """
        deadline = time.monotonic() + seconds

        def check() -> None:
            if time.monotonic() > deadline:
                raise OutOfTime

        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            features = self._tracer.through(
                np.asarray(batch) if self._signature.layout == "matrix" else batch, check
            )
            narrow = self._additive.among is not None and _is_wide_and_sparse(features)
            shape = Shape(self._additive, text=self._signature.layout == "text")
            told: list[dict[str, Any]] = []
            for start, stop in self._slices(features, narrow=narrow):
                check()
                some = replace(features, x=_rows(features.x, start, stop))
                told += self._told(some, shape, check, narrow=narrow)
        return told

    def _slices(self, features: Features, *, narrow: bool) -> Iterator[tuple[int, int]]:
        """Rows that are worked on together; the sum over what each of them holds is bounded."""
        rows = features.x.shape[0]
        outputs = max(1, len(self._additive.base))
        width = len(features.names)
        if narrow:  # no wider than what stands in the rows
            width = max(1, int(np.diff(features.x.indptr).max(initial=0)))
        if outputs * width > MOST_CELLS:
            raise too_wide()
        at_once = max(1, _CELLS // max(1, outputs * width))
        if narrow:
            at_once = max(1, math.isqrt(at_once))  # rows together are as wide as all of them
        for start in range(0, rows, at_once):
            yield start, min(rows, start + at_once)

    def _told(
        self, features: Features, shape: Shape, check: Callable[[], None], *, narrow: bool
    ) -> list[dict[str, Any]]:
        x, names, sources = features.x, features.names, features.sources
        if narrow:
            assert self._additive.among is not None
            chosen = np.unique(x.indices) if x.nnz else np.zeros(1, dtype=np.int64)
            parts = self._additive.among(x, chosen)
            base = np.broadcast_to(self._additive.base, parts.shape[:2])
            names, sources = [names[index] for index in chosen], sources[chosen]
        else:
            parts, base = self._additive.apart(x, check)
        total = base + parts.sum(axis=2)
        self._check(x, base, parts, total)
        mixed = (features.sources == MIXED).any()  # of all features, whichever stand in these rows
        summed = None if mixed else by_column(parts, sources, len(self._columns))
        same = features.names == self._columns
        told = []
        for row in range(len(parts)):
            if not row & 15:
                check()
            told.append(
                shape.told(
                    base[row],
                    total[row],
                    features=(names, parts[row].T),
                    columns=None if summed is None else (self._columns, summed[row].T),
                    same=same,
                    few=not narrow,
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
        if not np.isfinite(total).all():
            raise NotExplainable(
                "What the features of one of the rows contribute is beyond what a number can hold, or the "
                "trees do not say how many training rows came through each of their branches."
            )
        if own.shape != total.shape:
            raise Mismatch(f"outputs of shape {own.shape}, sums of shape {total.shape}")
        shown = additive.shown(total)
        size = np.maximum(np.abs(base) + np.abs(parts).sum(axis=2), np.abs(total))
        if shown is total:
            allowed = additive.tolerance * np.maximum(np.abs(own), size)
        else:  # what rounding makes of a sum grows with the link
            rounded = [np.abs(additive.shown(total + side * _EXACT * size) - shown) for side in (-1, 1)]
            allowed = additive.tolerance * np.maximum(np.abs(own), np.abs(shown)) + np.maximum(*rounded)
        gap = np.abs(shown - own)
        if not (gap <= np.maximum(allowed, np.finfo(np.float64).tiny)).all():
            raise Mismatch(
                f"{additive.of} and the sum of its parts differ by {_order(gap, size)} of its size"
            )


def _order(gap: np.ndarray, size: np.ndarray) -> str:
    """The power of ten of the worst; digits would be numbers that a made-up model copies from its input."""
    worst = float(np.nan_to_num(gap / np.maximum(size, np.finfo(np.float64).tiny), nan=np.inf).max())
    return f"about 1e{math.floor(math.log10(worst)):+d}" if 0 < worst < math.inf else "more than all"


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


def _is_wide_and_sparse(features: Features) -> bool:
    return getattr(features.x, "format", None) == "csr" and len(features.names) > MOST_CONTRIBUTIONS
