"""From the caller's columns to the features of the final estimator: their values, their names, and the one
column that each comes from, where it comes from one.

Nothing is tried out: what a transformer does to columns is known by its class. One that is not known here
mixes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_MOST_NAMED = 300_000  # features of one step: to name and follow more of them takes many seconds …
_QUICKLY_NAMED = {"OneHotEncoder", "CountVectorizer", "TfidfVectorizer"}  # … except here
MIXED = -1  # the source of a feature that several columns went into
Sources = list[int]

_COLUMN_BY_COLUMN = {
    "StandardScaler",
    "MinMaxScaler",
    "MaxAbsScaler",
    "RobustScaler",
    "QuantileTransformer",
    "PowerTransformer",
    "Binarizer",
    "OrdinalEncoder",
}
_SELECTORS = {
    "VarianceThreshold",
    "SelectKBest",
    "SelectPercentile",
    "SelectFpr",
    "SelectFdr",
    "SelectFwe",
    "SelectFromModel",
    "GenericUnivariateSelect",
    "RFE",
    "RFECV",
    "SequentialFeatureSelector",
}


@dataclass(frozen=True, slots=True)
class Features:
    """What the final estimator sees. `sources[i]` is an index of the input's columns, or `MIXED`."""

    x: Any
    names: list[str]
    sources: np.ndarray


class Tracer:
    """Takes rows of `columns` through `steps`; the final estimator has `width` features.

    What the features are called and where they come from does not depend on rows: that is found once.
    """

    def __init__(self, steps: Sequence[Any], columns: Sequence[str], width: int) -> None:
        self._steps = steps
        self._columns = list(columns)
        self._width = width
        self._known: dict[tuple[int, ...], tuple[list[str], np.ndarray]] = {}

    def through(self, x: Any, check: Callable[[], None]) -> Features:
        """`check` is called now and then and may raise."""
        widths = []
        for step in self._steps:
            check()
            x = step.transform(x)
            widths.append(int(x.shape[1]))
        found = tuple(widths)
        if found not in self._known:
            check()
            self._known = {found: self._traced(found)}
        names, sources = self._known[found]
        return Features(x, names, sources)

    def _traced(self, widths: Sequence[int]) -> tuple[list[str], np.ndarray]:
        names, sources = self._columns, list(range(len(self._columns)))
        for step, width in zip(self._steps, widths, strict=True):
            named, traced = None, None
            if width <= _MOST_NAMED or type(step).__name__ in _QUICKLY_NAMED:
                named, traced = output_names(step, names), _trace_or_none(step, sources, names)
            names = named if named is not None and len(named) == width else _numbered(step, width)
            sources = traced if traced is not None and len(traced) == width else _shared(sources, width)
        if len(names) != self._width:  # an estimator that takes a text apart itself, or drops columns
            names = [f"feature {i}" for i in range(self._width)]
            sources = _shared(sources, self._width)
        return distinct(names), np.asarray(sources, dtype=np.int64)


def output_names(step: Any, names: Sequence[str]) -> list[str] | None:
    """The transformer's own names of its features, if it has them."""
    for given in (names, None):
        try:
            found = step.get_feature_names_out(None if given is None else np.asarray(given, dtype=object))
        except Exception:  # a part without names, or names of training that differ: numbers will do
            found = None
        if found is not None:
            return [str(name) for name in found]
    return None


def _numbered(step: Any, width: int) -> list[str]:
    return [f"{type(step).__name__.lower()}{index}" for index in range(width)]


def distinct(names: Sequence[str]) -> list[str]:
    """The same names, with a number behind those that stand there twice, and in characters that UTF-8 has."""
    taken: dict[str, int] = {}
    found = []
    for name in names:
        one = name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()
        plain, number = one, taken.get(one, 0)
        while one in taken:
            number += 1
            one = f"{plain} #{number}"
        taken[one] = 1
        if one is not plain:
            taken[plain] = number
        found.append(one)
    return found


def _shared(sources: Sources, width: int) -> Sources:
    """What only one column went into comes from that column, whatever happened to it."""
    return [sources[0] if len(set(sources)) == 1 else MIXED] * width


# --- one transformer


def _trace_or_none(step: Any, sources: Sources, names: Sequence[str]) -> Sources | None:
    try:
        return trace(step, sources, names)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # of another version's making
        return None


def trace(step: Any, sources: Sources, names: Sequence[str]) -> Sources | None:
    """The source of each output feature; None where not even their number is known from the class."""
    kind = type(step).__name__
    if kind in _COLUMN_BY_COLUMN or (kind == "FunctionTransformer" and _elementwise(step)):
        return list(sources)
    if kind in _SELECTORS:
        return [source for source, kept in zip(sources, step.get_support(), strict=False) if kept]
    if kind in _BY_KIND:
        return _BY_KIND[kind](step, sources, names)
    return None


def _elementwise(step: Any) -> bool:
    return step.func is None or (isinstance(step.func, np.ufunc) and step.func.nin == 1)


def _pipeline(step: Any, sources: Sources, names: Sequence[str]) -> Sources | None:
    found: Sources | None = sources
    named: list[str] | None = list(names)
    for _, part in step.steps:
        if part is None or part == "passthrough":
            continue
        if found is None or named is None:
            return None
        before = found
        found, named = trace(part, found, named), output_names(part, named)
        if found is None and named is not None:
            found = _shared(before, len(named))
    return found


def _columns(step: Any, sources: Sources, names: Sequence[str]) -> Sources | None:
    """A ColumnTransformer lays the outputs of its parts side by side."""
    width = max((part.stop for part in step.output_indices_.values()), default=0)
    found: Sources = [MIXED] * width
    trained = [str(name) for name in getattr(step, "feature_names_in_", ())]
    place = {name: index for index, name in enumerate(names)}
    for name, part, _ in step.transformers_:
        picked = list(np.atleast_1d(step._transformer_to_input_indices[name]))
        if trained:
            picked = [place.get(trained[index], -1) for index in picked]
        room = step.output_indices_[name]
        if part == "drop" or room.stop == room.start or not picked or min(picked) < 0:
            continue
        inner = [sources[index] for index in picked]
        known = [names[index] for index in picked]
        traced = inner if part == "passthrough" else trace(part, inner, known)
        size = room.stop - room.start
        found[room] = traced if traced is not None and len(traced) == size else _shared(inner, size)
    return found


def _union(step: Any, sources: Sources, names: Sequence[str]) -> Sources | None:
    found: Sources = []
    for _, part in step.transformer_list:
        if part == "drop" or part is None:
            continue
        traced = sources if part == "passthrough" else trace(part, sources, names)
        if traced is None:
            named = output_names(part, names)
            if named is None:
                return None
            traced = _shared(sources, len(named))
        found += traced
    return found


def _imputer(step: Any, sources: Sources, names: Sequence[str]) -> Sources:
    """Columns without any value in training are dropped; indicators of what was missing come last."""
    empty = [bool(np.ndim(value) == 0 and value != value) for value in step.statistics_]
    keeps = getattr(step, "keep_empty_features", False)
    kept = [source for source, gone in zip(sources, empty, strict=False) if keeps or not gone]
    return kept + ([] if step.indicator_ is None else _indicator(step.indicator_, sources, names))


def _indicator(step: Any, sources: Sources, _: Sequence[str]) -> Sources:
    return [sources[index] for index in step.features_]


def _one_hot(step: Any, sources: Sources, _: Sequence[str]) -> Sources:
    return [s for s, count in zip(sources, step._n_features_outs, strict=False) for _ in range(int(count))]


def _bins(step: Any, sources: Sources, _: Sequence[str]) -> Sources:
    if step.encode == "ordinal":
        return list(sources)
    return [s for s, count in zip(sources, step.n_bins_, strict=False) for _ in range(int(count))]


def _splines(step: Any, sources: Sources, _: Sequence[str]) -> Sources | None:
    if getattr(step, "handle_missing", "error") != "error":
        return None  # indicators may stand among the splines
    each, over = divmod(int(step.n_features_out_), len(sources))
    return None if over else [source for source in sources for _ in range(each)]


def _powers(step: Any, sources: Sources, _: Sequence[str]) -> Sources:
    found = []
    for powers in step.powers_:
        used = {sources[index] for index in np.flatnonzero(powers)}
        found.append(used.pop() if len(used) == 1 else MIXED)
    return found


def _target(step: Any, sources: Sources, _: Sequence[str]) -> Sources | None:
    """One number per column, and per class where there are several."""
    each, over = divmod(len(step.encodings_), len(sources))
    return None if over else [source for source in sources for _ in range(each)]


def _records(step: Any, sources: Sources, names: Sequence[str]) -> Sources:
    """DictVectorizer: `city=Bonn` comes from `city`."""
    place = dict(zip(names, sources, strict=True))
    return [
        place.get(str(feature), place.get(str(feature).partition(step.separator)[0], MIXED))
        for feature in step.feature_names_
    ]


_BY_KIND: dict[str, Callable[[Any, Sources, Sequence[str]], Sources | None]] = {
    "Pipeline": _pipeline,
    "ColumnTransformer": _columns,
    "FeatureUnion": _union,
    "SimpleImputer": _imputer,
    "MissingIndicator": _indicator,
    "OneHotEncoder": _one_hot,
    "KBinsDiscretizer": _bins,
    "SplineTransformer": _splines,
    "PolynomialFeatures": _powers,
    "TargetEncoder": _target,
    "DictVectorizer": _records,
}
