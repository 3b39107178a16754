"""What a single fitted estimator shows about its columns: categories, bounds, thresholds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from modelyard.intake.fact import Fact, finite, span, thin, wider


def leaf_facts(estimator: Any, width: int) -> list[Fact]:
    facts = [Fact() for _ in range(width)]
    for reader in (_categories, _statistics, _bounds, _spread, _thresholds, _boosters):
        reader(estimator, facts)
    return facts


def _categories(estimator: Any, facts: list[Fact]) -> None:
    """OneHotEncoder, OrdinalEncoder, TargetEncoder."""
    found = getattr(estimator, "categories_", None)
    if not isinstance(found, list) or len(found) != len(facts):
        return
    unknown = getattr(estimator, "handle_unknown", "ignore") != "error"
    for fact, values in zip(facts, found, strict=True):
        fact.handle_unknown = unknown
        known = [value for value in values.tolist() if value is not None and value == value]
        if any(value is None for value in values.tolist()):
            fact.missing = None
        fact.categories = known
        if known and all(isinstance(value, bool) for value in known):
            fact.kind, fact.dtype = "boolean", "bool"
        elif known and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
            whole = values.dtype.kind in "iu" or all(isinstance(value, int) for value in known)
            fact.kind, fact.dtype = "number", "int64" if whole else "float64"
            fact.span = span(known)
        elif values.dtype.kind == "M":
            fact.kind, fact.dtype = "string", str(values.dtype)
            fact.categories = [value for value in values.astype(str).tolist() if value != "NaT"]
        else:
            fact.kind, fact.dtype = "string", "object"
            fact.categories = [str(value) for value in known]


def _statistics(estimator: Any, facts: list[Fact]) -> None:
    """SimpleImputer: what it fills in tells strings from numbers."""
    values = getattr(estimator, "statistics_", None)
    if not isinstance(values, np.ndarray) or len(values) != len(facts):
        return
    for fact, value in zip(facts, values.tolist(), strict=True):
        if isinstance(value, str):
            fact.kind, fact.dtype = "string", "object"
            if getattr(estimator, "missing_values", math.nan) is None:
                fact.missing = None
        elif isinstance(value, int | float) and math.isfinite(value):
            fact.span = (value - 1.0, value + 1.0)


def _bounds(estimator: Any, facts: list[Fact]) -> None:
    """Training minimum and maximum, where the estimator keeps them."""
    low = high = None
    if _shaped(estimator, "data_min_", len(facts)) and _shaped(estimator, "data_max_", len(facts)):
        low, high = estimator.data_min_, estimator.data_max_
    elif isinstance(getattr(estimator, "quantiles_", None), np.ndarray):
        table = estimator.quantiles_
        if table.ndim == 2 and table.shape[1] == len(facts):
            low, high = table[0], table[-1]
    else:
        for name in ("_fit_X", "X_fit_", "X_train_"):
            table = vars(estimator).get(name)
            if (
                isinstance(table, np.ndarray)
                and table.ndim == 2
                and table.shape == (table.shape[0], len(facts))
            ):
                if table.dtype.kind in "fiu" and len(table):
                    low, high = table.min(axis=0), table.max(axis=0)
                break
    if low is not None and high is not None:
        for fact, bottom, top in zip(facts, low.tolist(), high.tolist(), strict=True):
            if math.isfinite(bottom) and math.isfinite(top):
                fact.low, fact.high, fact.span = float(bottom), float(top), span((bottom, top))
    edges = getattr(estimator, "bin_edges_", None)
    if isinstance(edges, np.ndarray) and edges.dtype == object and len(edges) == len(facts):
        for fact, values in zip(facts, edges, strict=True):
            fact.points, fact.span = finite(values), span(values)
            fact.low, fact.high = float(values[0]), float(values[-1])


def _spread(estimator: Any, facts: list[Fact]) -> None:
    """Where the training data lay, roughly: means, centres, support vectors."""
    if any(fact.span for fact in facts):
        return
    width = len(facts)
    rows: np.ndarray | None = None
    if _shaped(estimator, "mean_", width) and _shaped(estimator, "scale_", width):
        rows = np.stack([estimator.mean_ - 3 * estimator.scale_, estimator.mean_ + 3 * estimator.scale_])
    elif _shaped(estimator, "center_", width) and _shaped(estimator, "scale_", width):
        rows = np.stack([estimator.center_ - 3 * estimator.scale_, estimator.center_ + 3 * estimator.scale_])
    elif _shaped(estimator, "max_abs_", width):
        rows = np.stack([-estimator.max_abs_, estimator.max_abs_])
    else:
        for name in (
            "support_vectors_",
            "cluster_centers_",
            "theta_",
            "means_",
            "centroids_",
            "subcluster_centers_",
        ):
            table = vars(estimator).get(name)
            if isinstance(table, np.ndarray) and table.ndim == 2 and table.shape[1] == width and len(table):
                rows = np.stack([table.min(axis=0), table.max(axis=0)])
                break
        else:
            if _shaped(estimator, "mean_", width):
                rows = np.stack([estimator.mean_ - 3, estimator.mean_ + 3])
    if rows is not None:
        for index, fact in enumerate(facts):
            fact.span = span(rows[:, index])


def _thresholds(estimator: Any, facts: list[Fact]) -> None:
    """Split points of trees, forests and histogram boosting."""
    found: dict[int, list[float]] = {}
    tree = vars(estimator).get("tree_") if hasattr(estimator, "__dict__") else None
    if tree is not None and hasattr(tree, "threshold"):
        for feature, threshold in zip(tree.feature.tolist(), tree.threshold.tolist(), strict=True):
            if feature >= 0:
                found.setdefault(feature, []).append(threshold)
    for stage in vars(estimator).get("_predictors") or ():
        for predictor in stage:
            nodes = predictor.nodes
            for node in nodes[nodes["is_leaf"] == 0]:
                if not node["is_categorical"]:
                    found.setdefault(int(node["feature_idx"]), []).append(float(node["num_threshold"]))
    for index, values in found.items():
        if index < len(facts):
            points = finite(values)
            facts[index].points = thin(points)
            facts[index].span = wider(facts[index].span, span(points))


def _boosters(estimator: Any, facts: list[Fact]) -> None:
    """LightGBM and XGBoost keep their columns in the booster."""
    module = type(estimator).__module__
    if module.startswith("lightgbm"):
        from modelyard.intake import boosters

        boosters.lightgbm_facts(estimator, facts)
    elif module.startswith("xgboost"):
        from modelyard.intake import boosters

        boosters.xgboost_facts(estimator, facts)


def _shaped(estimator: Any, name: str, width: int) -> bool:
    value = vars(estimator).get(name) if hasattr(estimator, "__dict__") else None
    return isinstance(value, np.ndarray) and value.shape == (width,) and value.dtype.kind in "fiu"
