"""What it means to be explainable: an output that is a base plus one number per feature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelyard.intake.estimators import plain

Check = Callable[[], None]
"""Called now and then; raises `OutOfTime` past the deadline."""

MOST_CELLS = 20_000_000


class NotExplainable(Exception):
    """No exact explanation exists for this kind of model; the text is for the caller."""


class Mismatch(Exception):
    """The parts do not add up to what the estimator says; the text is for the log."""


class OutOfTime(Exception):
    """The deadline passed between two pieces of work."""


class TooLong(Exception):
    """What there is to tell would not fit into one answer."""


def too_wide() -> NotExplainable:
    return NotExplainable(
        "What this model makes of the columns is too wide to be explained: its features times its outputs "
        f"are more than {MOST_CELLS:,} numbers for each row."
    )


def same(total: np.ndarray) -> np.ndarray:
    return total


@dataclass(frozen=True, slots=True)
class Additive:
    """An estimator as a sum. With R rows, K outputs and F features:

    `parts(x, check)` → (R, K, F), or (R, K, F + 1) with what belongs to the base at the end; `base` (K,);
    `own(x)` → (R, K): what the estimator itself says, which must be `shown(base + parts summed)` within
    `tolerance`, relative to the sizes of what is summed.
    """

    of: str
    base: np.ndarray
    parts: Callable[[Any, Check], np.ndarray]
    own: Callable[[Any], np.ndarray]
    features: int
    classes: list[Any] | None = None  # of the outputs, in order
    toward: Any = None  # the class that positive contributions speak for, where there is one number for two
    has_toward: bool = False
    shown: Callable[[np.ndarray], np.ndarray] = same
    tolerance: float = 1e-6
    among: Callable[[Any, np.ndarray], np.ndarray] | None = None
    """`(x, chosen)` → the parts of the features `chosen`, where a feature of value 0 has no part."""

    def apart(self, x: Any, check: Check) -> tuple[np.ndarray, np.ndarray]:
        """Contributions (R, K, F) and the base (R, K)."""
        parts = self.parts(x, check)
        base = np.broadcast_to(self.base, parts.shape[:2])
        if parts.shape[2] > self.features:
            return parts[:, :, :-1], base + parts[:, :, -1]
        return parts, base


def labels_of(estimator: Any) -> list[Any] | None:
    classes = getattr(estimator, "classes_", None)
    if not isinstance(classes, np.ndarray):
        return None
    found: list[Any] = plain(classes)
    return found


def dense(x: Any) -> np.ndarray:
    """Numbers as a 2-D array of doubles, whatever table they came in."""
    if hasattr(x, "toarray"):
        if x.shape[0] * x.shape[1] > MOST_CELLS:
            raise too_wide()
        x = x.toarray()
    elif hasattr(x, "to_numpy"):
        x = x.to_numpy()
    return np.asarray(x, dtype=np.float64)
