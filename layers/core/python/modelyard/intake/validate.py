"""Checks on a loaded estimator that compiled code takes for granted: indices in range, shapes that fit,
numbers.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from modelyard.intake.soundness import check_object
from modelyard.intake.verdict import Limits, Refused

OBJECTS = 20_000_000


def validate(estimator: Any, limits: Limits) -> None:
    """Raises `Refused` unless the estimator is fitted, can predict or transform, and is sound."""
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    deadline = time.monotonic() + limits.scan_seconds
    for count, item in enumerate(parts_of(estimator)):
        if count > OBJECTS:
            raise Refused("too_large", f"the model consists of more than {OBJECTS} objects")
        if not count & 1023 and time.monotonic() > deadline:
            raise Refused("timeout", f"checking the model takes more than {limits.scan_seconds:g} s")
        _check_shadowing(item)
        check_object(item)
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        raise Refused(
            "not_fitted", f"the {type(estimator).__name__} is not fitted; fit it before saving"
        ) from None
    if not any(callable(getattr(estimator, name, None)) for name in ("predict", "transform")):
        raise Refused(
            "no_predict",
            f"a {type(estimator).__name__} has neither predict nor transform, so there is nothing to serve;"
            " save an estimator that has",
        )


def parts_of(root: Any) -> Iterator[Any]:
    """Everything reachable from `root` that is not a plain value, each once, without recursion."""
    waiting, seen = [root], set()
    keep: list[Any] = []  # ids stay unique only while their objects live
    while waiting:
        item = waiting.pop()
        if isinstance(item, str | bytes | bytearray | int | float | complex | type(None) | np.generic | type):
            continue
        if id(item) in seen:
            continue
        seen.add(id(item))
        keep.append(item)
        if isinstance(item, dict):
            waiting += item.keys()
            waiting += item.values()
        elif isinstance(item, list | tuple | set | frozenset):
            waiting += item
        elif isinstance(item, np.ndarray):
            if item.dtype.hasobject and item.size:
                waiting += item.ravel().tolist()
        else:
            yield item
            waiting += getattr(item, "__dict__", {}).values()
            waiting += _inner(item)


def _inner(item: Any) -> tuple[Any, ...]:
    """What objects of compiled classes hold; only neighbour trees hold objects."""
    state = getattr(type(item), "__getstate__", None)
    if (
        state is None
        or hasattr(item, "__dict__")
        or not type(item).__module__.startswith("sklearn.neighbors.")
    ):
        return ()
    return tuple(item.__getstate__())


def _check_shadowing(item: Any) -> None:
    """No attribute may stand before a method of its class."""
    if not type(item).__module__.startswith(("sklearn.", "lightgbm.", "xgboost.")):
        return
    for key in getattr(item, "__dict__", ()):
        member = inspect.getattr_static(type(item), key, None)
        if member is None:
            continue
        replaces = callable(member) or (
            hasattr(type(member), "__get__") and not hasattr(type(member), "__set__")
        )
        if replaces:
            raise Refused(
                "attribute",
                f"the state of a {type(item).__name__} replaces its method {key}; save an unmodified"
                " estimator",
            )
