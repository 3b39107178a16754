"""Running a batch: here through ONNX Runtime, or in the sandbox function where only the original will do."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import orjson

from modelyard.kit.errors import ModelError
from modelyard.serving.decoding import Batch
from modelyard.serving.errors import ArtifactUnavailable, InvalidInput, PredictionTimeout, TooManyRows
from modelyard.serving.feeds import build_feeds
from modelyard.serving.signature import Signature

if TYPE_CHECKING:
    from modelyard.serving.route import VersionRoute

Outputs = dict[str, list[Any]]
"""Per asked output a list over the rows; probabilities of a multi-output model: a list over its outputs."""

_MOST_VALUES = 4_000_000
"""An answer of Lambda holds 6 MB, which is fewer numbers than this however short they are."""

_WATCHED_ROWS = 64
"""Fewer rows than this end long before any deadline, since accepted graphs have no loops."""


_QUICK_SECONDS = 0.0002


class Runtime(Protocol):
    """A loaded model. `deadline` is a moment of `time.monotonic()`."""

    size: int  # bytes that it holds in memory, about
    quick: bool  # whether one more run costs less than waiting for the network does

    def prepare(self, batch: Batch) -> Any:
        """What `run` takes, made once: also the input in canonical form."""

    def canonical(self, prepared: Any) -> Iterator[bytes]:
        """Bytes that are equal for equal inputs and differ for different ones."""

    def run(self, prepared: Any, rows: int, outputs: Sequence[str], deadline: float) -> Outputs: ...

    def predict(self, batch: Batch, outputs: Sequence[str], deadline: float) -> Outputs: ...


class OnnxRuntime:
    """One ONNX Runtime session, one thread. Safe to share between threads, as sessions are."""

    def __init__(self, signature: Signature, model: bytes | Path) -> None:
        if signature.onnx is None:
            raise ValueError("this model has no ONNX graph")
        self.signature = signature
        self.quick = False  # until a run was
        self.size = len(model) if isinstance(model, bytes) else model.stat().st_size
        self._session = _open_session(model)
        self._graph_outputs = signature.onnx.outputs
        self._label = _label_type(signature.classes)

    def predict(self, batch: Batch, outputs: Sequence[str], deadline: float) -> Outputs:
        return self.run(self.prepare(batch), batch.rows, outputs, deadline)

    def prepare(self, batch: Batch) -> dict[str, np.ndarray]:
        try:
            return build_feeds(self.signature, batch.columns)
        except (ValueError, TypeError, OverflowError) as error:
            raise InvalidInput("The rows cannot be turned into what the model takes.") from error

    def canonical(self, prepared: dict[str, np.ndarray]) -> Iterator[bytes]:
        for tensor in prepared.values():
            yield f"{tensor.dtype.char}{tensor.shape}".encode()
            yield orjson.dumps(tensor.tolist()) if tensor.dtype == object else tensor.tobytes()

    def run(
        self, prepared: dict[str, np.ndarray], rows: int, outputs: Sequence[str], deadline: float
    ) -> Outputs:
        """Raises `PredictionTimeout` past the deadline, `TooManyRows` for an answer beyond any request, and
        `ModelError` for whatever the graph raises.
        """
        names = [self._graph_outputs[output] for output in outputs]
        try:
            if rows < _WATCHED_ROWS:
                begun = time.perf_counter()
                values = self._session.run(names, prepared, None)
                self.quick = time.perf_counter() - begun < _QUICK_SECONDS
            else:
                values = self._run_watched(names, prepared, deadline)
        except PredictionTimeout:
            raise
        except Exception as error:
            log_model_error(error)
            raise ModelError("The model raised an error on this input. The log holds its trace.") from error
        # As lists they would take ten times the room, only to be refused.
        if sum(value.size for value in values if isinstance(value, np.ndarray)) > _MOST_VALUES:
            raise _too_large()
        return {output: self._to_list(output, value) for output, value in zip(outputs, values, strict=True)}

    def _run_watched(self, names: list[str], feeds: dict[str, np.ndarray], deadline: float) -> list[Any]:
        import onnxruntime

        options = onnxruntime.RunOptions()
        # Give back what a large batch made the arena grow by.
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise _too_slow()
        timer = threading.Timer(seconds, lambda: setattr(options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            values: list[Any] = self._session.run(names, feeds, options)
        except Exception as error:
            if options.terminate:
                raise _too_slow() from error
            raise
        finally:
            timer.cancel()
        return values

    def _to_list(self, output: str, value: Any) -> list[Any]:
        if isinstance(value, list):  # a sequence: dictionaries of a ZipMap, or one array per output
            return [self._unzipped(item) for item in value]
        if output in ("predict", "decision_function") and value.ndim == 2 and value.shape[1] == 1:
            value = value.reshape(-1)
        if output == "predict" and self._label is not None:
            value = value.astype(self._label)
        items: list[Any] = value.tolist()
        return items

    def _unzipped(self, item: Any) -> Any:
        if isinstance(item, dict):
            return [float(item[name]) for name in self.signature.classes or item]
        return item.tolist()


def _open_session(model: bytes | Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    source = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    # Around what runs the graph stands a wrapper that checks inputs (`build_feeds` made them) and knows other
    # devices: a third of the time that a small model takes.
    return getattr(session, "_sess", session)


def _label_type(classes: list[Any] | None) -> type | None:
    """What labels are cast to, to equal the estimator's own: a graph has no float or boolean labels."""
    flat = [item for entry in classes or () for item in (entry if isinstance(entry, list) else [entry])]
    for label in (bool, float):
        if flat and all(type(item) is label for item in flat):
            return label
    return None


Invoke = Callable[[dict[str, Any], str, float], dict[str, Any]]
"""Calls `predict_native` with (payload, tenant id, seconds to wait) and returns its answer."""

LONGEST_PREDICTION = 10.0
"""Seconds that one prediction of an original estimator may take; loading it does not count."""

_LONGEST_SLACK = 1.0  # seconds left to the sandbox's answer after the prediction's own deadline
_SHORTEST_CALL = 0.05


class NativeRuntime:
    """The original estimator in its tenant's sandbox function; this side holds nothing but its address."""

    size = 0
    quick = False

    def __init__(
        self,
        signature: Signature,
        version: VersionRoute,
        *,
        tenant: str,
        presign: Callable[[str], str],
        invoke: Invoke,
    ) -> None:
        self._signature = _of_input(signature)
        self._version = version
        self._tenant = tenant
        self._presign = presign
        self._invoke = invoke

    def predict(self, batch: Batch, outputs: Sequence[str], deadline: float) -> Outputs:
        return self.run(self.prepare(batch), batch.rows, outputs, deadline)

    def prepare(self, batch: Batch) -> list[Any]:
        # Arrays of large batches become lists here, and nowhere else.
        return [getattr(column, "tolist", lambda kept=column: kept)() for column in batch.columns]

    def canonical(self, prepared: list[Any]) -> Iterator[bytes]:
        yield orjson.dumps(prepared)

    def run(self, prepared: list[Any], rows: int, outputs: Sequence[str], deadline: float) -> Outputs:
        answer = self.ask(prepared, outputs, deadline, longest=LONGEST_PREDICTION, too_slow=_too_slow)
        if "outputs" in answer:
            return checked(answer["outputs"], outputs, rows)
        raise native_problem(answer.get("error") or {})

    def ask(
        self,
        prepared: list[Any],
        outputs: Sequence[str],
        deadline: float,
        *,
        longest: float,
        too_slow: Callable[[], Exception],
        **more: Any,
    ) -> dict[str, Any]:
        """The sandbox's answer as docs/ARCHITECTURE.md has it; `more` goes into the request."""
        seconds = deadline - time.monotonic()
        if seconds < _SHORTEST_CALL:
            raise too_slow()
        slack = min(_LONGEST_SLACK, seconds / 5)
        version = self._version
        payload = {
            "version_id": version.version_id,
            "artifact_url": self._presign(version.artifact_key),
            "artifact_sha256": version.artifact_sha256,
            "artifact_format": version.artifact_format,
            "artifact_size": version.artifact_size,
            "signature": self._signature,
            "columns": prepared,
            "outputs": list(outputs),
            "deadline_seconds": round(min(seconds - slack, longest), 3),
        } | more
        return self._invoke(payload, self._tenant, seconds)


def checked(told: Any, outputs: Sequence[str], rows: int) -> Outputs:
    """What was asked of a sandbox's answer, and nothing else that it wrote; raises `ModelError`."""
    found: Outputs = {}
    for output in outputs:
        values = told.get(output) if isinstance(told, dict) else None
        if not isinstance(values, list) or len(values) != rows:
            raise ModelError("The model did not answer one row for each row.")
        found[output] = values
    return found


def _of_input(signature: Signature) -> dict[str, Any]:
    """What the sandbox needs to know. The whole signature of a model of very many columns leaves no room for
    rows within the 6 MB of a call.
    """
    columns: list[dict[str, Any]] = []
    for column in signature.columns:
        told: dict[str, Any] = {"name": column.name, "kind": column.kind, "dtype": column.dtype}
        if column.categories is not None:
            told["categories"] = column.categories
        columns.append(told)
    return {
        "estimator": signature.estimator,
        "task": signature.task,
        "layout": signature.layout,
        "columns": columns,
        "outputs": signature.offered,
    }


def native_problem(error: dict[str, Any]) -> Exception:
    kind = error.get("kind")
    if kind == "timeout":
        return _too_slow()
    if kind == "load_failed":
        return ArtifactUnavailable(
            "The model could not be loaded in its sandbox. Try again shortly.", retry_after=10
        )
    if kind == "too_large":
        return _too_large()
    if kind == "out_of_memory":
        return ModelError("The model ran out of memory on this input. Send fewer rows at a time.")
    if kind == "crashed":
        return ModelError("The model's process died on this input. The log holds the reason.")
    return ModelError("The model raised an error on this input. The log holds its trace.")


def _too_large() -> TooManyRows:
    return TooManyRows("The answer is too large for one request. Send fewer rows, or a batch job.")


def _too_slow() -> PredictionTimeout:
    return PredictionTimeout(
        "The model did not answer within the time of one request. "
        "Send fewer rows, or all of them as a job to /api/predict/batch/{model_id}."
    )


def log_model_error(error: BaseException) -> None:
    """One structured line with the trace, which the answer never shows."""
    import json

    trace = "".join(traceback.format_exception(error))
    line = {"level": "ERROR", "message": "model_error", "service": "serving", "trace": trace[-8000:]}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
