"""What the allowed classes can do, without importing them: the methods that no state may replace."""

from __future__ import annotations

from functools import cache

from modelyard.intake.allowlist_methods_data import TABLE

COMMON = frozenset(
    [
        "fit",
        "predict",
        "transform",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
        "fit_transform",
        "fit_predict",
        "score",
        "score_samples",
        "inverse_transform",
        "get_params",
        "set_params",
        "get_feature_names_out",
        "set_output",
        "kneighbors",
    ]
)
"""For classes of older versions, which the installed libraries do not know any more."""

RESERVED = frozenset(
    [
        "fit",
        "predict",
        "transform",
        "predict_proba",
        "decision_function",
        "fit_predict",
        "get_params",
        "set_params",
    ]
)
"""Never the name of an attribute, whatever the class."""


@cache
def _parsed() -> dict[str, tuple[list[str], frozenset[str]]]:
    table: dict[str, tuple[list[str], frozenset[str]]] = {}
    for line in TABLE.replace("\n  ", " ").splitlines():
        head, _, methods = line.partition(":")
        path, _, bases = head.partition(" < ")
        table[path.strip()] = (bases.split(), frozenset(methods.split()))
    return table


@cache
def methods_of(key: tuple[str, str]) -> frozenset[str]:
    """All method names of the class, inherited ones included."""
    table = _parsed()
    waiting = [f"{key[0]}.{key[1]}"]
    seen: set[str] = set()
    names: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        bases, methods = table.get(path, ([], COMMON if not seen - {path} else frozenset()))
        waiting += bases
        names |= methods
    return frozenset(names)


@cache
def is_estimator(key: tuple[str, str]) -> bool:
    """Whether the class is an estimator: it can be fitted and takes parameters."""
    return {"fit", "get_params"} <= methods_of(key) and not key[1].startswith("_")
