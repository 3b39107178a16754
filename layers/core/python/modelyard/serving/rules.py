"""What a value must be to stand in a column: the signature's columns, made quick to check."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from modelyard.serving.signature import MISSING_TEXT, Column, Signature

_ALLOWED: dict[str, frozenset[type]] = {
    "number": frozenset({int, float}),
    "string": frozenset({str}),
    "boolean": frozenset({bool}),
}
_EXPECTED = {"number": "a number", "string": "a string", "boolean": "true or false"}
_FOUND: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "an array",
    tuple: "an array",
    dict: "an object",
}
FLOAT32_MAX = 3.4028234663852886e38
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_SHOWN_CATEGORIES = 8


def kind_of(value: object) -> str:
    """How an error calls a value; never the value itself."""
    return _FOUND.get(type(value), "something else")


class ColumnRule:
    """One column's check. `integral` and `largest` come from the tensor that the column feeds; `largest`
    also from what makes the estimator raise.
    """

    __slots__ = ("_known", "allowed", "column", "dates", "integral", "largest", "nullable", "texts")

    def __init__(
        self, column: Column, *, tensor: str | None, rounded: bool, largest: float | None = None
    ) -> None:
        self.column = column
        self.texts = tensor == "string"  # where one text stands for a missing one
        self.dates = column.kind == "string" and column.dtype.startswith("datetime64")
        self.integral = tensor == "int64" and column.kind == "number"
        if tensor == "float" or rounded:
            largest = FLOAT32_MAX if largest is None else min(largest, FLOAT32_MAX)
        self.largest = largest if column.kind == "number" else None
        # int64 and bool tensors have no room for a missing value.
        self.nullable = column.nullable and tensor not in ("int64", "bool")
        self.allowed = _ALLOWED[column.kind] | ({type(None)} if self.nullable else frozenset())
        closed = column.categories is not None and not column.handle_unknown
        self._known: frozenset[Any] | None = frozenset(column.categories or ()) if closed else None

    @property
    def simple(self) -> tuple[frozenset[type], float | None, bool] | None:
        """What the check comes to where it does not depend on the column: equal if checked alike."""
        if self.integral or self.dates or self._known is not None:
            return None
        return self.allowed, self.largest, self.texts

    def fits(self, values: Sequence[Any]) -> bool:
        """Whether all of `values` (a list, a tuple or a 1-D array) are fine; quick where they are."""
        values = getattr(values, "tolist", lambda: values)()  # of an array
        kinds = set(map(type, values))
        if not kinds <= self.allowed:
            return False
        if type(None) in kinds:
            values = [value for value in values if value is not None]
        if self.column.kind == "number" and not self._numbers_fit(values):
            return False
        if self.texts and MISSING_TEXT in values:
            return False
        if self.dates and any(_date_problem(value, self.column.dtype) for value in values):
            return False
        return self._known is None or self._known.issuperset(values)

    def _numbers_fit(self, values: Sequence[float]) -> bool:
        total = sum(values)
        if (
            self.integral or total - total != 0
        ):  # NaN or infinite somewhere, or a sum beyond floats: look closer
            return all(self._number_problem(value) is None for value in values)
        bound = self.largest
        return bound is None or not values or (max(values) <= bound and min(values) >= -bound)

    def problem(self, value: Any) -> str | None:
        """What is wrong with one value, or None."""
        if value is None and self.nullable:
            return None
        if type(value) not in self.allowed:
            return f"expected {self.expected}, got {kind_of(value)}"
        if self.column.kind == "number":
            trouble = self._number_problem(value)
            if trouble is not None:
                return trouble
        if self.texts and value == MISSING_TEXT:
            return "expected text, got a code point that Unicode keeps free of characters"
        if self.dates:
            return _date_problem(value, self.column.dtype)
        if self._known is not None and value == value and value not in self._known:
            return (
                f"expected one of the {len(self._known)} categories seen in training{self._some_categories()}"
            )
        return None

    def _number_problem(self, value: float) -> str | None:
        if value != value:  # NaN: JSON cannot hold it, CSV and binary tensors can
            return None if self.nullable else f"expected {self.expected}, got NaN"
        if math.isinf(value):
            return "expected a finite number, got an infinite one"
        if self.largest is not None and not -self.largest <= value <= self.largest:
            return f"expected a number {self._range}, got a larger one"
        if self.integral:
            if value != int(value):
                return "expected a whole number, got a fraction"
            if not _INT64_MIN <= value <= _INT64_MAX:
                return "expected a whole number of at most 64 bits, got a larger one"
        return None

    @property
    def _range(self) -> str:
        if self.largest == FLOAT32_MAX:
            return "within the range of 32-bit floats"
        return f"between -{self.largest:g} and {self.largest:g}"

    @property
    def expected(self) -> str:
        return _EXPECTED[self.column.kind] + (" or null" if self.nullable else "")

    def _some_categories(self) -> str:
        """The model's own categories, so that the caller need not guess; long ones are left out."""
        assert self._known is not None
        shown = [repr(c) for c in self.column.categories or () if not isinstance(c, str) or len(c) <= 32]
        if not shown or len(shown) > _SHOWN_CATEGORIES:
            return ""
        return ": " + ", ".join(shown)


def _date_problem(value: str, dtype: str) -> str | None:
    """As `intake.frames` reads dates, so that the model never meets a text that is none."""
    import numpy as np  # few models take dates

    try:
        missing = bool(np.isnat(np.array([value], dtype=dtype))[0])
    except (ValueError, TypeError, OverflowError):
        missing = True
    return "expected a date such as 2026-01-31, got another text" if missing else None


def rules_of(signature: Signature) -> list[ColumnRule]:
    """One rule per column, in the signature's order."""
    tensors: dict[int, tuple[str, bool]] = {}
    if signature.runtime == "onnx" and signature.onnx is not None:
        for graph_input in signature.onnx.inputs:
            for index in graph_input.columns:
                tensors[index] = (graph_input.type, graph_input.round_to_float32)
    rules = []
    for index, column in enumerate(signature.columns):
        tensor, rounded = tensors.get(index, (None, False))
        rules.append(ColumnRule(column, tensor=tensor, rounded=rounded, largest=signature.largest))
    return rules
