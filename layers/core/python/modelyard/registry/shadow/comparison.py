"""Two answers to one request, compared row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from modelyard.serving.protocols.common import values_of
from modelyard.serving.signature import Signature

MOST_PAIRS = 50  # of one request
LONGEST_LABEL = 100  # characters of a label within a pair
_FARTHEST = 1e300  # sums of differences stay within what a double holds


@dataclass(frozen=True, slots=True)
class Side:
    """One version's answer: `core` as `serving.answers.render` makes it, read from JSON."""

    signature: Signature
    core: dict[str, Any]

    def values(self, output: str) -> list[Any]:
        return values_of(self.core, self.signature, output)

    def labels(self, output: str) -> bool:
        """Whether this output says which one, and not how much."""
        return output == "predict" and self.signature.task in ("classifier", "clusterer", "outlier_detector")


@dataclass(slots=True)
class Comparison:
    """`measured` counts the rows with numbers on both sides; a row's difference is the largest among its
    numbers, `largest` the largest of these and `total` their sum. `pairs` are [answered, shadow, rows] of the
    rows whose labels differ, the most frequent first.
    """

    differing: int = 0
    measured: int = 0
    largest: float | None = None
    total: float | None = None
    pairs: list[list[Any]] = field(default_factory=list)

    def measure(self, distance: float) -> None:
        self.measured += 1
        self.largest = distance if self.largest is None else max(self.largest, distance)
        self.total = min((self.total or 0.0) + distance, _FARTHEST)


def compare(
    answered: Side, shadow: Side, outputs: Sequence[str], rows: int, *, tolerance: float
) -> Comparison:
    """A row agrees where all of `outputs` do.

    Labels agree where they are equal. Numbers a and b agree where |a - b| ≤ tolerance · max(1, |a|, |b|), so
    the tolerance is absolute for small ones and relative for large ones. Nothing agrees with nothing only.
    """
    found = Comparison()
    differs, distances = [False] * rows, [None] * rows  # type: tuple[list[bool], list[float | None]]
    pairs: Counter[bytes] = Counter()
    for output in outputs:
        labels = answered.labels(output) or shadow.labels(output)
        paired = _paired(answered, shadow, output, rows)
        for row, (ours, theirs) in enumerate(paired):
            if row == 0 or paired[row] is not paired[row - 1]:  # a whole answer is looked at once
                same, distance = _difference(ours, theirs, 0.0 if labels else tolerance)
                pair = orjson.dumps([_short(ours), _short(theirs)]) if labels and not same else None
            differs[row] |= not same
            if pair is not None:
                pairs[pair] += 1
            if not labels:
                distances[row] = _farther(distances[row], distance)
    found.differing = sum(differs)
    for distance in distances:
        if distance is not None:
            found.measure(distance)
    found.pairs = [[*orjson.loads(pair), number] for pair, number in pairs.most_common(MOST_PAIRS)]
    return found


def _paired(answered: Side, shadow: Side, output: str, rows: int) -> list[tuple[Any, Any]]:
    """Both answers to each row. Answers that are not one per row are compared as a whole, once per row."""
    ours, theirs = answered.values(output), shadow.values(output)
    if output == "predict_proba":
        ours, theirs = _by_class(ours, answered), _by_class(theirs, shadow)
        ours, theirs = _with_all_classes(ours, theirs)
    if len(ours) == rows == len(theirs):
        return list(zip(ours, theirs, strict=True))
    return [(ours, theirs)] * rows


def _by_class(values: list[Any], side: Side) -> list[Any]:
    """Probabilities by label, so that the order of the classes does not matter; those of several targets,
    whose classes are lists, stay as they are.
    """
    classes = side.core.get("classes")
    if not classes or any(isinstance(label, list) for label in classes):
        return values
    names = [orjson.dumps(label) for label in classes]
    if any(not isinstance(row, list) or len(row) != len(names) for row in values):
        return values
    return [dict(zip(names, row, strict=True)) for row in values]


def _with_all_classes(ours: list[Any], theirs: list[Any]) -> tuple[list[Any], list[Any]]:
    """A class that one side does not know has the probability zero there."""
    if not (ours and theirs and isinstance(ours[0], dict) and isinstance(theirs[0], dict)):
        return ours, theirs
    names = list(dict.fromkeys([*ours[0], *theirs[0]]))
    spread = [[[row.get(name, 0.0) for name in names] for row in side] for side in (ours, theirs)]
    return spread[0], spread[1]


def _difference(ours: Any, theirs: Any, tolerance: float) -> tuple[bool, float | None]:
    """Whether two values agree, and how far their numbers are apart; None where there are none to compare."""
    if isinstance(ours, list) and isinstance(theirs, list):
        same, farthest = len(ours) == len(theirs), None
        for one, other in zip(ours, theirs, strict=False):
            agree, distance = _difference(one, other, tolerance)
            same &= agree
            farthest = _farther(farthest, distance)
        return same, farthest
    if _number(ours) and _number(theirs):
        distance = abs(ours - theirs)
        return distance <= tolerance * max(1.0, abs(ours), abs(theirs)), min(float(distance), _FARTHEST)
    return type(ours) is type(theirs) and ours == theirs, None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _farther(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def _short(label: Any) -> Any:
    return label[:LONGEST_LABEL] if isinstance(label, str) else label
