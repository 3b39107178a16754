"""One input column of an estimator, as far as the estimator shows it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MAX_POINTS = 4096  # thresholds kept per column


@dataclass(slots=True)
class Fact:
    """One column. `low`/`high` are bounds of the training data; `span` is merely where interesting values
    lie.
    """

    kind: str | None = None
    dtype: str | None = None
    categories: list[Any] | None = None
    handle_unknown: bool = True
    low: float | None = None
    high: float | None = None
    span: tuple[float, float] | None = None
    points: list[float] = field(default_factory=list)  # split thresholds, bin edges
    text: bool = False  # free text
    missing: Any = math.nan  # how the estimator knows a missing string: nan, or None
    used: bool = True

    def merge(self, other: Fact) -> Fact:
        """Add what another part of the estimator knows about the same column."""
        if not other.used:
            return self
        if not self.used:
            self.used = True
        if other.kind is not None and (self.kind is None or other.kind == "string"):
            self.kind, self.dtype = other.kind, other.dtype
        if other.categories is not None and self.categories is None:
            self.categories, self.missing = other.categories, other.missing
        self.handle_unknown = self.handle_unknown and other.handle_unknown
        self.text = self.text or other.text
        if self.low is None:
            self.low, self.high = other.low, other.high
        self.span = wider(self.span, other.span)
        self.points = thin([*self.points, *other.points])
        return self


def finite(values: Iterable[float]) -> list[float]:
    return sorted({float(value) for value in values if math.isfinite(value) and abs(value) < 1e300})


def thin(points: list[float]) -> list[float]:
    points = sorted(set(points))
    return points if len(points) <= MAX_POINTS else points[:: len(points) // MAX_POINTS + 1]


def span(values: Iterable[float]) -> tuple[float, float] | None:
    known = finite(values)
    return (known[0], known[-1]) if known else None


def wider(one: tuple[float, float] | None, other: tuple[float, float] | None) -> tuple[float, float] | None:
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])
