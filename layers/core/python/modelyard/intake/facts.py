"""What a fitted estimator shows about each of its input columns, read off its attributes; nothing is run
here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MAX_POINTS = 4096  # thresholds kept per column
_META = ("best_estimator_", "estimator_", "regressor_", "classifier_", "base_estimator_", "_preprocessor")
_META_LISTS = ("estimators_", "calibrated_classifiers_", "transformer_list")


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
        self.span = _wider(self.span, other.span)
        self.points = _thin([*self.points, *other.points])
        return self


def read(estimator: Any, width: int, names: Sequence[str] | None = None, depth: int = 0) -> list[Fact]:
    """Facts of each of `width` input columns; `names` are those the estimator was trained with."""
    if depth > 12 or estimator is None or isinstance(estimator, str):
        return [Fact() for _ in range(width)]
    for known, reader in _READERS:
        if known(estimator):
            found: list[Fact] = reader(estimator, width, names, depth)
            return found
    facts = _leaf(estimator, width)
    inside = [
        read(part, width, names, depth + 1)
        for part in parts(estimator)
        if getattr(part, "n_features_in_", width) == width
    ]
    for part_facts in inside:
        _merge(facts, part_facts)
    for index, fact in enumerate(facts):
        # A column that no part uses is one that a ColumnTransformer drops.
        fact.used = not inside or any(part_facts[index].used for part_facts in inside)
    return facts


def parts(estimator: Any) -> Iterable[Any]:
    """The fitted estimators inside a meta-estimator that see the same columns as it does."""
    for name in _META:
        part = vars(estimator).get(name)
        if part is not None and not isinstance(part, str):
            yield part
    for name in _META_LISTS:
        several = vars(estimator).get(name)
        if isinstance(several, np.ndarray):
            several = several.ravel().tolist()
        if isinstance(several, list | tuple):
            yield from (_bare(item) for item in several[:64])


def _bare(item: Any) -> Any:
    if isinstance(item, tuple) and len(item) >= 2:
        item = item[1]
    return getattr(item, "estimator", item) if type(item).__name__ == "_CalibratedClassifier" else item


# --- compositions


def _pipeline(estimator: Any, width: int, names: Sequence[str] | None, depth: int) -> list[Fact]:
    """Facts of the first step, and of later ones as long as every step before keeps columns one to one."""
    facts = [Fact() for _ in range(width)]
    undo: list[Any] = []
    first = True
    for _, step in estimator.steps:
        if step is None or step == "passthrough":
            continue
        found = read(step, width, names, depth + 1)
        for before in reversed(undo):
            _unscale(before, found)
        if first:
            facts, first = found, False
        else:
            _merge(facts, found)
        if not _one_to_one(step, width):
            break
        undo.append(step)
    return facts


def _one_to_one(step: Any, width: int) -> bool:
    kept = type(step).__name__ in _SCALERS or type(step).__name__ in {
        "SimpleImputer",
        "OrdinalEncoder",
        "Normalizer",
    }
    if type(step).__name__ == "SimpleImputer":
        indicator = getattr(step, "add_indicator", False)
        dropped = len(getattr(step, "statistics_", ())) != width
        return not indicator and not dropped
    return kept


_SCALERS = {
    "StandardScaler",
    "MinMaxScaler",
    "MaxAbsScaler",
    "RobustScaler",
    "PowerTransformer",
    "QuantileTransformer",
}


def _unscale(step: Any, facts: list[Fact]) -> None:
    """Bring thresholds and spans from a scaler's output back to its input; categories do not survive
    scaling.
    """
    name = type(step).__name__
    if name == "SimpleImputer":
        return
    if name not in _SCALERS:
        for fact in facts:
            fact.points, fact.span, fact.low, fact.high, fact.categories = [], None, None, None, None
        return
    rows = max((len(fact.points) for fact in facts), default=0) + 4
    table = np.zeros((rows, len(facts)))
    for index, fact in enumerate(facts):
        values = [*fact.points, *(fact.span or ()), *((fact.low, fact.high) if fact.low is not None else ())]
        table[: len(values), index] = values
    with np.errstate(all="ignore"):
        back = step.inverse_transform(table)
    for index, fact in enumerate(facts):
        count = len(fact.points)
        fact.points = _finite(back[:count, index])
        if fact.span is not None:
            fact.span = _span(back[count : count + 2, index])
            count += 2
        if fact.low is not None:
            fact.low, fact.high = (float(v) for v in sorted(back[count : count + 2, index]))


def _column_transformer(estimator: Any, width: int, names: Sequence[str] | None, depth: int) -> list[Fact]:
    facts = [Fact(used=False) for _ in range(width)]
    for _, transformer, columns in estimator.transformers_:
        chosen = positions(columns, width, names)
        if transformer == "drop" or not chosen:
            continue
        scalar = isinstance(columns, str | int | np.integer)
        found = read(transformer, len(chosen), [names[i] for i in chosen] if names else None, depth + 1)
        if scalar and not any(fact.text for fact in found):
            found[0].text = vectorizes(transformer)
        for fact in found:
            if fact.text:
                fact.kind, fact.dtype = "string", "object"
        for index, fact in zip(chosen, found, strict=True):
            if facts[index].used:
                facts[index].merge(fact)
            else:
                facts[index] = fact
    return facts


def positions(columns: Any, width: int, names: Sequence[str] | None) -> list[int]:
    """Column positions behind a ColumnTransformer's selection: names, numbers, slices or masks."""
    known = list(names) if names else []
    if callable(columns):
        return []
    if isinstance(columns, slice):
        if isinstance(columns.start, str) or isinstance(columns.stop, str):
            start = known.index(columns.start) if columns.start is not None else 0
            stop = known.index(columns.stop) + 1 if columns.stop is not None else width
            return list(range(width))[start : stop : columns.step]
        return list(range(width))[columns]
    items = [columns] if isinstance(columns, str | int | np.integer) else list(columns)
    if items and all(isinstance(item, bool | np.bool_) for item in items):
        return [index for index, chosen in enumerate(items) if chosen]
    return [known.index(item) if isinstance(item, str) else int(item) % width for item in items]


def _feature_union(estimator: Any, width: int, names: Sequence[str] | None, depth: int) -> list[Fact]:
    facts = [Fact() for _ in range(width)]
    for _, part in estimator.transformer_list:
        if part not in ("drop", "passthrough"):
            _merge(facts, read(part, width, names, depth + 1))
    return facts


def vectorizes(estimator: Any) -> bool:
    """Whether the estimator takes texts: a vectoriser, or something that begins with one."""
    name = type(estimator).__name__
    if name in {"CountVectorizer", "TfidfVectorizer", "HashingVectorizer"}:
        return True
    if name == "Pipeline":
        steps = [step for _, step in estimator.steps if step is not None and step != "passthrough"]
        return bool(steps) and vectorizes(steps[0])
    if name == "FeatureUnion":
        return any(vectorizes(part) for _, part in estimator.transformer_list)
    return any(vectorizes(part) for part in parts(estimator)) if hasattr(estimator, "__dict__") else False


# --- leaves


def _leaf(estimator: Any, width: int) -> list[Fact]:
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
            fact.span = _span(known)
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
                fact.low, fact.high, fact.span = float(bottom), float(top), _span((bottom, top))
    edges = getattr(estimator, "bin_edges_", None)
    if isinstance(edges, np.ndarray) and edges.dtype == object and len(edges) == len(facts):
        for fact, values in zip(facts, edges, strict=True):
            fact.points, fact.span = _finite(values), _span(values)
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
            fact.span = _span(rows[:, index])


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
            points = _finite(values)
            facts[index].points = _thin(points)
            facts[index].span = _wider(facts[index].span, _span(points))


def _boosters(estimator: Any, facts: list[Fact]) -> None:
    """LightGBM and XGBoost keep their columns in the booster."""
    module = type(estimator).__module__
    if module.startswith("lightgbm"):
        from modelyard.intake import boosters

        boosters.lightgbm_facts(estimator, facts)
    elif module.startswith("xgboost"):
        from modelyard.intake import boosters

        boosters.xgboost_facts(estimator, facts)


# --- small things


def _merge(facts: list[Fact], others: list[Fact]) -> None:
    for mine, theirs in zip(facts, others, strict=True):
        mine.merge(theirs)


def _shaped(estimator: Any, name: str, width: int) -> bool:
    value = vars(estimator).get(name) if hasattr(estimator, "__dict__") else None
    return isinstance(value, np.ndarray) and value.shape == (width,) and value.dtype.kind in "fiu"


def _finite(values: Iterable[float]) -> list[float]:
    return sorted({float(value) for value in values if math.isfinite(value) and abs(value) < 1e300})


def _thin(points: list[float]) -> list[float]:
    points = sorted(set(points))
    return points if len(points) <= MAX_POINTS else points[:: len(points) // MAX_POINTS + 1]


def _span(values: Iterable[float]) -> tuple[float, float] | None:
    finite = _finite(values)
    return (finite[0], finite[-1]) if finite else None


def _wider(one: tuple[float, float] | None, other: tuple[float, float] | None) -> tuple[float, float] | None:
    if one is None or other is None:
        return one or other
    return min(one[0], other[0]), max(one[1], other[1])


def _named(*names: str) -> Any:
    return lambda estimator: type(estimator).__name__ in names


def _inner_preprocessor(estimator: Any, width: int, names: Sequence[str] | None, depth: int) -> list[Fact]:
    """Histogram boosting on a frame with categories: its own ColumnTransformer sees the frame first."""
    facts = read(estimator._preprocessor, width, names, depth + 1)
    for fact in facts:
        fact.handle_unknown = True  # unknown categories are treated as missing
    return facts


_READERS: tuple[tuple[Any, Any], ...] = (
    (_named("Pipeline"), _pipeline),
    (_named("ColumnTransformer"), _column_transformer),
    (_named("FeatureUnion"), _feature_union),
    (
        lambda e: vars(e).get("_preprocessor") is not None if hasattr(e, "__dict__") else False,
        _inner_preprocessor,
    ),
)
