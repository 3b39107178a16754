"""LightGBM and XGBoost explain themselves, exactly; here their answers get the common shape."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from modelyard.intake.explanation.sums import Additive, Check, NotExplainable, dense, labels_of
from modelyard.serving.explanation_terms import KINDS

_FLOAT32 = 1e-4
"""XGBoost adds hundreds of trees in 32-bit floats."""

_SHORT = 0.2  # seconds: as long as a few rows take no longer, more of them are asked for at a time

# Objectives whose prediction is the sum itself, with nothing between.
_DIRECT_LIGHTGBM = frozenset(
    {
        "regression",
        "regression_l2",
        "l2",
        "mse",
        "regression_l1",
        "l1",
        "mae",
        "huber",
        "fair",
        "quantile",
        "mape",
    }
)
_DIRECT_XGBOOST = frozenset(
    {"reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror"}
)
Everything = Callable[[Any], np.ndarray]


def analyse(estimator: Any) -> Additive:
    home = type(estimator).__module__.partition(".")[0]
    if not (hasattr(estimator, "booster_") if home == "lightgbm" else hasattr(estimator, "get_booster")):
        raise NotExplainable(f"A model of the kind {type(estimator).__name__} cannot be explained: {KINDS}")
    return _lightgbm(estimator) if home == "lightgbm" else _xgboost(estimator)


def _lightgbm(estimator: Any) -> Additive:
    text = estimator.booster_.model_to_string(num_iteration=1)
    if estimator.get_params().get("linear_tree") or "linear_tree: 1" in text or "is_linear=1" in text:
        raise NotExplainable("LightGBM does not explain trees with linear models in their leaves.")
    booster = estimator.booster_
    width, outputs = booster.num_feature(), booster.num_model_per_iteration()
    share = 1 / _averaged(estimator)

    def everything(x: Any) -> np.ndarray:
        found = np.asarray(estimator.predict(x, pred_contrib=True, num_threads=1), dtype=np.float64)
        return found.reshape(len(found), outputs, width + 1) * share

    def own(x: Any) -> np.ndarray:
        found = np.asarray(estimator.predict(x, raw_score=True, num_threads=1), dtype=np.float64)
        return found.reshape(len(found), -1) * share

    def predicted(x: Any) -> np.ndarray:
        found = np.asarray(estimator.predict(x, num_threads=1), dtype=np.float64)
        return found.reshape(len(found), -1)

    direct = not hasattr(estimator, "classes_") and (
        str(estimator.get_params().get("objective") or "regression") in _DIRECT_LIGHTGBM
    )
    return _booster(
        estimator,
        everything,
        predicted if direct else own,
        width,
        outputs,
        direct=direct,
        tolerance=1e-6,
    )


def _averaged(estimator: Any) -> int:
    """How many rounds a forest's answer is the mean of; its raw scores and contributions are their sum."""
    text = estimator.booster_.model_to_string(num_iteration=1)
    if "average_output" not in text.partition("\nTree=0")[0].split("\n"):
        return 1
    best = estimator._best_iteration or 0
    return int(best if best > 0 else estimator.booster_.current_iteration()) or 1


def _xgboost(estimator: Any) -> Additive:
    import xgboost

    booster = estimator.get_booster()
    width, outputs = booster.num_features(), _outputs(booster)
    if estimator.get_params().get("multi_strategy") == "multi_output_tree":
        raise NotExplainable("XGBoost does not explain trees of several outputs.")
    booster.set_param({"nthread": 1})
    options = {
        "missing": estimator.missing,
        "enable_categorical": bool(estimator.enable_categorical),
        "feature_types": estimator.feature_types,
        "nthread": 1,
    }
    rounds = estimator._get_iteration_range(None)

    def table(x: Any) -> Any:
        return xgboost.DMatrix(x if hasattr(x, "dtypes") else dense(x), **options)

    def everything(x: Any) -> np.ndarray:
        found = booster.predict(table(x), pred_contribs=True, iteration_range=rounds, validate_features=False)
        found = np.asarray(found, dtype=np.float64)
        return found.reshape(len(found), -1, width + 1)

    def own(x: Any) -> np.ndarray:
        found = np.asarray(estimator.predict(x, output_margin=not direct), dtype=np.float64)
        return found.reshape(len(found), -1)

    objective = str(estimator.get_params().get("objective") or "")
    direct = not hasattr(estimator, "classes_") and (not objective or objective in _DIRECT_XGBOOST)
    return _booster(estimator, everything, own, width, outputs, direct=direct, tolerance=_FLOAT32)


def _outputs(booster: Any) -> int:
    told = json.loads(booster.save_config())["learner"]["learner_model_param"]
    return max(1, int(told["num_class"]), int(told["num_target"]))


def _booster(
    estimator: Any,
    everything: Everything,
    own: Everything,
    width: int,
    outputs: int,
    *,
    direct: bool,
    tolerance: float,
) -> Additive:
    """`everything(x)` is (rows, outputs, features + 1): the library's contributions, the base last."""
    classes = labels_of(estimator) if hasattr(estimator, "predict_proba") else None

    def parts(x: Any, check: Check) -> np.ndarray:
        found: list[np.ndarray] = []
        start, step = 0, 1
        while start < x.shape[0] or not found:  # there is no clock within compiled code
            check()
            begun = time.monotonic()
            found.append(
                everything(x.iloc[start : start + step] if hasattr(x, "iloc") else x[start : start + step])
            )
            start += step
            step *= 2 if time.monotonic() - begun < _SHORT else 1
        return np.concatenate(found)

    two = classes is not None and len(classes) == 2
    return Additive(
        of="predict" if direct else "margin",
        base=np.zeros(outputs),
        parts=parts,
        own=own,
        features=width,
        classes=None if two else classes,
        toward=classes[1] if two and classes is not None else None,
        has_toward=two,
        tolerance=tolerance,
    )
