"""Contributions as the JSON of one row: by column where each feature comes from one, the largest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelyard.intake.estimators import plain
from modelyard.intake.explanation.sums import Additive, TooLong
from modelyard.serving.explanation_terms import MOST_CONTRIBUTIONS

_MOST_BYTES = 6_000_000  # no function answers more
_NUMBER = 4  # bytes at the very least, as in "0.0,"


def by_column(parts: np.ndarray, sources: np.ndarray, columns: int) -> np.ndarray:
    """Contributions per column, (rows, outputs, columns); `sources[i]` is the column of feature i."""
    order = np.argsort(sources, kind="stable")
    ordered = sources[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    summed = np.zeros((*parts.shape[:2], columns))
    if len(order) == len(starts):  # no column twice
        summed[:, :, sources] = parts
    else:
        moved = parts if (order[:-1] < order[1:]).all() else parts[:, :, order]
        summed[:, :, ordered[starts]] = np.add.reduceat(moved, starts, axis=2)
    return summed


class Shape:
    """Numbers where there is one output, lists over the outputs otherwise. Raises `TooLong` once what it told
    is certainly more than one answer can carry.
    """

    def __init__(self, additive: Additive, *, text: bool) -> None:
        self._additive = additive
        self._text = text
        self._told = 0  # bytes, at the very least
        classes = additive.classes
        self._classes = 0 if classes is None else sum(len(str(label)) for label in classes)

    def told(
        self,
        base: np.ndarray,
        total: np.ndarray,
        *,
        features: tuple[Sequence[str], np.ndarray],
        columns: tuple[Sequence[str], np.ndarray] | None,
        same: bool,
        few: bool = True,
    ) -> dict[str, Any]:
        """By column where each feature comes from one, with those of the features beside them.

        Features are not `few` where those that are nothing were left out before.
        """
        single = len(base) == 1 and self._additive.classes is None
        by_feature = columns is None or self._text
        told: dict[str, Any] = {"of": self._additive.of}
        if self._additive.classes is not None:
            told["classes"] = self._additive.classes
            self._count(self._classes)
        if self._additive.has_toward:
            told["toward"] = self._additive.toward
        told |= {"per": "feature" if by_feature else "column", "base": _number(base, single=single)}
        main = features if columns is None or self._text else columns
        told["contributions"], others = self._listed(*main, single=single, few=few or not by_feature)
        if others is not None:
            told["others"] = others
        if not by_feature and not same:
            told["features"], _ = self._listed(*features, single=single, few=few)
        told["sum"] = _number(total, single=single)
        return told

    def _listed(
        self, names: Sequence[str], values: np.ndarray, *, single: bool, few: bool = True
    ) -> tuple[dict[str, Any], Any]:
        """The largest first; the sum of those left out, None where none is. `values`: (names, outputs)."""
        sizes = np.abs(values).max(axis=1, initial=0)
        kept = _largest(sizes, few=few)
        self._count(sum(len(names[index]) for index in kept) + len(kept) * values.shape[1] * _NUMBER)
        listed = {names[index]: _number(values[index], single=single) for index in kept}
        left = np.ones(len(sizes), dtype=bool)
        left[kept] = False
        others = _number(values[left].sum(axis=0), single=single) if sizes[left].any() else None
        return listed, others

    def _count(self, size: int) -> None:
        self._told += size
        if self._told > _MOST_BYTES:
            raise TooLong


def _largest(sizes: np.ndarray, *, few: bool) -> np.ndarray:
    """Which are told, in order: all of a few, of many the largest that are not zero."""
    if few and len(sizes) <= MOST_CONTRIBUTIONS:
        return np.argsort(-sizes, kind="stable")
    chosen = np.flatnonzero(sizes > 0)
    if len(chosen) > MOST_CONTRIBUTIONS:
        chosen = chosen[sizes[chosen] >= np.partition(sizes, -MOST_CONTRIBUTIONS)[-MOST_CONTRIBUTIONS]]
    found: np.ndarray = chosen[np.argsort(-sizes[chosen], kind="stable")][:MOST_CONTRIBUTIONS]
    return found


def _number(values: np.ndarray, *, single: bool) -> Any:
    values = values + 0.0  # no negative zeros
    return plain(values[0]) if single else plain(values)
