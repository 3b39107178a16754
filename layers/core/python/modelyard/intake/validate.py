"""Checks on a loaded estimator that compiled code takes for granted: indices in range, shapes that fit, numbers."""

from __future__ import annotations

from typing import Any

from modelyard.intake.verdict import Limits, Refused


def validate(estimator: Any, limits: Limits) -> None:
    """Raises `Refused` unless the estimator is fitted, can predict or transform, and is sound."""
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if not any(callable(getattr(estimator, name, None)) for name in ("predict", "transform")):
        raise Refused(
            "no_predict",
            f"a {type(estimator).__name__} has neither predict nor transform, so there is nothing to serve;"
            " save an estimator that has",
        )
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        raise Refused("not_fitted", f"the {type(estimator).__name__} is not fitted; fit it before saving") from None
