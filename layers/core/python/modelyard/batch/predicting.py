"""A checked batch through a runtime: cut to what one call can take, a row that breaks the model set apart."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import orjson

from modelyard.kit.errors import FieldError, ModelError
from modelyard.serving.decoding import Batch
from modelyard.serving.errors import InvalidInput, PredictionTimeout, TooManyRows
from modelyard.serving.runtime import Outputs, Runtime

NATIVE_PAYLOAD = 4 * 1024 * 1024  # of the 6 MB that an Invoke takes, the rest is for the signature
CALL_SECONDS = 90.0  # the longest that one call may take; `predict_native` lives for 120
_EXTRA_CALLS = 40  # to find rows that break the model, before it counts as broken


class BatchPredictor:
    """Predicts one batch; a call that fails is tried again in halves, down to single rows.

    A model that fails on every row, or too often to tell rows apart, raises what its runtime raised.
    """

    def __init__(self, runtime: Runtime, outputs: Sequence[str], deadline: float, *, native: bool) -> None:
        self._runtime = runtime
        self._outputs = outputs
        self._deadline = deadline
        self._native = native
        self._spare = _EXTRA_CALLS

    def predict(self, batch: Batch) -> tuple[Outputs, dict[int, FieldError]]:
        """The values of the rows that could be predicted, in order, and the errors of the others."""
        values: Outputs = {name: [] for name in self._outputs}
        errors: dict[int, FieldError] = {}
        if batch.rows == 0:
            return values, errors
        if self._native:
            batch = Batch([_as_json(column) for column in batch.columns], batch.rows, batch.form)
        step = self._step(batch)
        for first in range(0, batch.rows, step):
            self._range(batch, first, min(first + step, batch.rows), values, errors)
        if len(errors) == batch.rows:
            raise ModelError("The model raised an error on every row. Its owner finds the trace in the log.")
        return values, errors

    def _step(self, batch: Batch) -> int:
        if not self._native:
            return batch.rows
        size = len(orjson.dumps(batch.columns))
        return max(1, min(batch.rows, batch.rows * NATIVE_PAYLOAD // max(size, 1)))

    def _range(
        self, batch: Batch, first: int, end: int, values: Outputs, errors: dict[int, FieldError]
    ) -> None:
        part = Batch([column[first:end] for column in batch.columns], end - first, batch.form)
        deadline = min(self._deadline, time.monotonic() + CALL_SECONDS)
        try:
            found = self._runtime.predict(part, self._outputs, deadline)
        except (ModelError, InvalidInput, TooManyRows, PredictionTimeout) as error:
            if end - first == 1:
                if isinstance(error, TooManyRows | PredictionTimeout):
                    raise
                errors[first] = FieldError("", error.title)
                return
            self._spare -= 1
            if self._spare < 0 or time.monotonic() > self._deadline:
                raise
            middle = (first + end) // 2
            self._range(batch, first, middle, values, errors)
            self._range(batch, middle, end, values, errors)
            return
        for name in self._outputs:
            values[name] += found[name]


def _as_json(column: Sequence[Any]) -> list[Any]:
    """A column of plain values: the sandbox takes JSON, which has no NaN."""
    values: list[Any] = column.tolist() if hasattr(column, "tolist") else list(column)
    return [None if value != value else value for value in values]
