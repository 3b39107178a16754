"""Rows to compare on: ordinary ones, and the kinds on which compiled models have been seen to differ."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelyard.intake.fact import Fact
from modelyard.serving.signature import Column, Signature

DOMAINS = ("any", "seen", "positive", "binary", "zero")
"""What numbers are drawn from: some estimators take only counts, or only points near those they were
trained on.
"""
Batch = list[list[Any]]
"""Column-major values, as `serving.decoding` hands them on."""

_UNSEEN = ["unseen", "", "ß", "Ünïcödé", "日本語", "a-b", "don't", "x" * 200, "  spaced  ", "0", "NaN", "🙂"]
_WORDS = [
    "Naïve café",
    "STRASSE straße",
    "don't can't it's",
    "state-of-the-art e-mail",
    "ПРИВЕТ мир",
    "日本語 テキスト",
    "x y z ab c",
    "under_score __init__",
    "3.14 1,000 a1 1a",
    "e\u0301le\u0300ve",
    "tab\tnew\nline",
    "🙂 ok 👍",
    "",
    " ",
    "½ ² Ⅷ",
    "http://a.b/c?d=e&f",
    "ÀÉÎ õü ÇŞ",
    "naïve\u00a0space",
    "«quoted» “text”",
]


@dataclass(frozen=True, slots=True)
class Family:
    """Rows of one kind. `strict` families count for label flips as for everything else."""

    name: str
    columns: Batch

    @property
    def rows(self) -> int:
        return len(self.columns[0]) if self.columns else 0


class Rows:
    """Draws rows for one signature. The same model always gets the same rows."""

    def __init__(
        self, signature: Signature, facts: Sequence[Fact], *, vocabulary: Sequence[str] = ()
    ) -> None:
        self.columns = signature.columns
        self.facts = list(facts)
        self.vocabulary = list(vocabulary)
        self.random = np.random.default_rng(zlib.crc32(signature.estimator.encode()))
        self.domain = "any"
        self.seen: np.ndarray | None = None  # training rows that the estimator keeps, shape (rows, columns)
        self.texts = signature.layout == "text" or any(fact.text for fact in facts)

    def typical(self, count: int) -> Batch:
        """Values within what the model was trained on, as far as it shows."""
        if self.domain == "seen" and self.seen is not None:
            picked = self.seen[self.random.integers(0, len(self.seen), count)]
            return picked.T.tolist()  # type: ignore[no-any-return]
        return [self._typical(column, fact, count) for fact, column in self._pairs()]

    def families(self, scale: int = 1) -> Iterator[Family]:
        """Every kind of rows; `scale` divides the counts for models that are slow."""
        free = self.domain in ("any", "positive")
        numbers = any(column.kind == "number" for column in self.columns)
        yield Family("typical", self.typical(2000 // scale))
        if free:
            yield Family("rounded", self._rounded(600 // scale))
        if self.domain == "any" and any(fact.points for fact in self.facts):
            yield Family("thresholds", self._at_thresholds(2000 // scale))
        if free and numbers:
            yield Family("large", self._large(300 // scale))
        if any(column.nullable for column in self.columns):
            yield Family("missing", self._missing(400 // scale))
        if any(column.kind == "string" for column in self.columns):
            yield Family("strings", self._strings(300 // scale))
        if any(fact.categories and column.kind != "string" for fact, column in self._pairs()):
            yield Family("unseen numbers", self._unseen_numbers(200 // scale))

    def _pairs(self) -> Iterator[tuple[Fact, Column]]:
        return zip(self.facts, self.columns, strict=True)

    def _typical(self, column: Column, fact: Fact, count: int) -> list[Any]:
        if column.kind == "boolean":
            return [bool(value) for value in self.random.integers(0, 2, count)]
        if column.categories:
            return [column.categories[i] for i in self.random.integers(0, len(column.categories), count)]
        if column.kind == "string":
            return [self._sentence() for _ in range(count)]
        low, high = _range(fact)
        values = self.random.uniform(low, high, count)
        if column.dtype.startswith("int"):
            values = np.round(values)
        return self._within(values).tolist()  # type: ignore[no-any-return]

    def _within(self, values: np.ndarray) -> np.ndarray:
        """Numbers brought into the domain."""
        if self.domain == "positive":
            return np.asarray(np.abs(values))
        if self.domain == "binary":
            return np.asarray(np.floor(np.abs(values)) % 2)
        return np.zeros_like(values) if self.domain == "zero" else values

    def _sentence(self) -> str:
        words = self.vocabulary or ["alpha", "beta", "gamma", "delta"]
        chosen = self.random.integers(0, len(words), int(self.random.integers(1, 9)))
        return " ".join(words[i] for i in chosen)

    def _rounded(self, count: int) -> Batch:
        """Two decimals, whole numbers and halves: where float32 and float64 take different branches."""
        batch = self.typical(count)
        for index, (fact, column) in enumerate(self._pairs()):
            if column.kind == "number" and not column.categories:
                values = np.array(batch[index], dtype=np.float64)
                third = count // 3
                values[:third] = np.round(values[:third], 2)
                values[third : 2 * third] = np.round(values[third : 2 * third])
                if fact.low is not None and fact.high is not None and not column.dtype.startswith("int"):
                    values[2 * third :] = np.where(
                        self.random.random(count - 2 * third) < 0.5, fact.low, fact.high
                    )
                elif not column.dtype.startswith("int"):
                    values[2 * third :] = np.round(values[2 * third :] * 2) / 2
                batch[index] = values.tolist()
        return batch

    def _at_thresholds(self, count: int) -> Batch:
        """Split points themselves, their float64 neighbours and their float32 neighbours."""
        batch = self.typical(count)
        for index, (fact, column) in enumerate(self._pairs()):
            if not fact.points or column.kind != "number" or column.dtype.startswith("int"):
                continue
            points = np.array(fact.points)[self.random.integers(0, len(fact.points), count)]
            single = points.astype(np.float32)
            kinds = np.stack(
                [
                    points,
                    np.nextafter(points, np.inf),
                    np.nextafter(points, -np.inf),
                    single.astype(np.float64),
                    np.nextafter(single, np.float32(np.inf)).astype(np.float64),
                    np.nextafter(single, np.float32(-np.inf)).astype(np.float64),
                ]
            )
            chosen = kinds[self.random.integers(0, len(kinds), count), np.arange(count)]
            keep = self.random.random(count) < 0.8
            values = np.where(keep & np.isfinite(chosen), chosen, np.array(batch[index], dtype=np.float64))
            batch[index] = values.tolist()
        return batch

    def _large(self, count: int) -> Batch:
        batch = self.typical(count)
        factors = np.array([10.0, -10.0, 1e3, -1e3, 1e6, -1e6, 1e-6, 0.0])
        for index, (_, column) in enumerate(self._pairs()):
            if column.kind == "number" and not column.categories:
                values = np.array(batch[index], dtype=np.float64)
                chosen = self.random.random(count) < 0.5
                scaled = values * factors[self.random.integers(0, len(factors), count)]
                values = self._within(np.where(chosen, scaled, values))
                if column.dtype.startswith("int"):
                    values = np.round(values)
                batch[index] = values.tolist()
        return batch

    def _missing(self, count: int) -> Batch:
        batch = self.typical(count)
        for index, (_, column) in enumerate(self._pairs()):
            if column.nullable:
                gone = self.random.random(count) < 0.3
                gone[0] = True  # one row with everything missing
                batch[index] = [None if g else value for g, value in zip(gone, batch[index], strict=True)]
        return batch

    def _strings(self, count: int) -> Batch:
        """Unseen categories where they are allowed, and free text that tokenisers disagree on."""
        batch = self.typical(count)
        for index, (fact, column) in enumerate(self._pairs()):
            if column.kind != "string" or (column.categories and not column.handle_unknown):
                continue
            odd = self._odd_texts() if fact.text or (self.texts and not column.categories) else _UNSEEN
            if column.categories:
                odd = [
                    *odd,
                    *(mangle(value) for value in column.categories[:5] for mangle in (str.upper, _padded)),
                ]
            chosen = self.random.random(count) < 0.7
            picks = self.random.integers(0, len(odd), count)
            batch[index] = [
                odd[p] if c else value for c, p, value in zip(chosen, picks, batch[index], strict=True)
            ]
        return batch

    def _odd_texts(self) -> list[str]:
        words = self.vocabulary[:: max(1, len(self.vocabulary) // 50)] or ["alpha"]
        mixed = [f"{a} {b}-{a}'s {b.upper()}, {a}_{b}." for a, b in zip(words, reversed(words), strict=True)]
        return [*_WORDS, *mixed, *(f"{word} {odd}" for word, odd in zip(words, _WORDS, strict=False))]

    def _unseen_numbers(self, count: int) -> Batch:
        batch = self.typical(count)
        for index, (fact, column) in enumerate(self._pairs()):
            if fact.categories and column.kind == "number" and column.handle_unknown:
                high = max(fact.categories) + 1
                batch[index] = [high if i % 2 else value for i, value in enumerate(batch[index])]
        return batch


def _padded(value: str) -> str:
    return f" {value} "


def _range(fact: Fact) -> tuple[float, float]:
    """A little wider than what is known; the unit normal's range where nothing is."""
    low, high = fact.span or (-3.0, 3.0)
    if fact.low is not None and fact.high is not None:
        return fact.low, fact.high
    width = high - low or abs(low) or 1.0
    if not math.isfinite(width):
        return -3.0, 3.0
    return low - 0.1 * width, high + 0.1 * width


def take(batch: Batch, rows: Sequence[int]) -> Batch:
    """Some rows of a batch."""
    return [[column[row] for row in rows] for column in batch]
