"""Predictions with original estimators, one confined worker per version; the parent's side of
`predict_native`.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from modelyard.intake.confine import Budget
from modelyard.intake.process import Child, ChildDied
from modelyard.intake.transfer import TransferFailed, WrongFile, download
from modelyard.intake.verdict import Limits

MODULE = "modelyard.intake.native_worker"
LOAD_SECONDS = 90.0  # of waiting, over as many requests as it takes
_CPU_SECONDS = 6 * 3600
_RETIRE_AFTER = (
    _CPU_SECONDS / 4
)  # seconds of predicting, long before the kernel would end the worker mid-request
_EXPLAINING = 0.8  # of the request's time, for explanations
_WORTHWHILE = 0.1  # of the request's time: with less left after loading, the question waits for the next
_MODEL_FILE = "model"
Fetch = Callable[..., str]


@dataclass(slots=True)
class _Worker:
    child: Child
    loaded: bool = False
    waited: float = 0.0  # seconds that requests have spent on its loading
    busy: float = 0.0  # seconds of predicting
    size: int = 0


class Workers:
    """Keeps workers, least recently used first out once all of them together hold more than `keep_bytes`.

    Whatever a model does, `predict` answers within the request's deadline and a few hundred milliseconds; a
    worker that hangs, dies or answers nonsense is replaced at the next request.
    """

    def __init__(self, limits: Limits, *, keep_bytes: int, fetch: Fetch = download) -> None:
        self._limits = limits
        self._keep_bytes = keep_bytes
        self._fetch = fetch
        self._workers: OrderedDict[str, _Worker] = OrderedDict()

    def __len__(self) -> int:
        return len(self._workers)

    def predict(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request of docs/ARCHITECTURE.md: `{"outputs"}` or `{"error": {"kind", "detail"}}`."""
        seconds = min(float(request.get("deadline_seconds") or self._limits.prediction_seconds), 600.0)
        deadline = time.monotonic() + seconds
        key = f"{request['version_id']}:{request['artifact_sha256']}"
        try:
            worker = self._worker(key, request, deadline)
            if worker is None:
                return _error("timeout", "the model is still loading")
            if worker.waited and not worker.busy and deadline - time.monotonic() < _WORTHWHILE * seconds:
                # Loaded just now: better late than ended, and loaded again, for not answering at once.
                return _error("timeout", "the model took most of the time to load")
            return self._ask(key, worker, request, deadline)
        except ChildDied as death:
            self._drop(key)
            return _error("crashed" if death.kind == "protocol" else death.kind, death.detail)
        except (TransferFailed, WrongFile) as error:
            self._drop(key)
            return _error("load_failed", str(error))
        except BaseException:
            self._drop(key)  # an answer that nobody has read would be the next caller's
            raise

    def close(self) -> None:
        """End every worker."""
        for key in list(self._workers):
            self._drop(key)

    def _worker(self, key: str, request: dict[str, Any], deadline: float) -> _Worker | None:
        """A loaded worker; None where its loading goes on beyond the deadline. Raises what `predict`
        answers.
        """
        worker = self._workers.get(key)
        if worker is not None and (not worker.child.alive or worker.busy > _RETIRE_AFTER):
            self._drop(key)
            worker = None
        if worker is None:
            worker = self._start(key, request, deadline)
        self._workers.move_to_end(key)
        return worker if worker.loaded or self._wait_for_load(worker, deadline) else None

    def _start(self, key: str, request: dict[str, Any], deadline: float) -> _Worker:
        self._make_room(int(request.get("artifact_size") or 0))
        child = Child(MODULE, self._budget())
        self._workers[key] = worker = _Worker(child)
        path = child.scratch / _MODEL_FILE
        self._fetch(
            request["artifact_url"],
            path,
            max_bytes=self._limits.upload_bytes,
            sha256=request["artifact_sha256"],
            seconds=max(0.1, deadline - time.monotonic()),
        )
        load = {"path": str(path), "limits": asdict(self._limits), "signature": request["signature"]}
        child.send(load, seconds=max(0.1, deadline - time.monotonic()))
        return worker

    def _wait_for_load(self, worker: _Worker, deadline: float) -> bool:
        start = time.monotonic()
        ready = worker.child.waits(deadline - start)
        worker.waited += time.monotonic() - start
        if not ready:
            if worker.waited > LOAD_SECONDS:
                raise ChildDied("timeout", "the model did not load in time")
            return False
        answer = worker.child.receive(seconds=5.0)
        if not answer.get("loaded"):
            detail = str((answer.get("error") or {}).get("detail", "the model did not load"))
            raise TransferFailed(detail[:2000])
        worker.loaded = True
        worker.size = worker.child.memory()
        (worker.child.scratch / _MODEL_FILE).unlink(missing_ok=True)
        return True

    def _ask(self, key: str, worker: _Worker, request: dict[str, Any], deadline: float) -> dict[str, Any]:
        start = time.monotonic()
        question: dict[str, Any] = {"columns": request["columns"], "outputs": list(request["outputs"])}
        if request.get("explain"):
            self._make_room(worker.size, keep=key)  # taken apart, a model may need as much again
            # It ends by itself a little earlier, so that the worker need not be ended and loaded again.
            question["explain_seconds"] = max(0.05, (deadline - start) * _EXPLAINING)
        answer = worker.child.ask(question, seconds=max(0.05, deadline - start))
        worker.busy += time.monotonic() - start
        worker.size = worker.child.memory()
        error = answer.get("error")
        if isinstance(error, dict):
            if error.get("kind") == "out_of_memory":
                self._drop(key)  # a process that ran out of memory is not one to go on with
            return _error(str(error.get("kind")), str(error.get("detail"))[:2000])
        if not isinstance(answer.get("outputs"), dict):
            raise ChildDied("protocol", "its answer has the wrong shape")
        self._make_room(0, keep=key)
        return {name: answer[name] for name in ("outputs", "explanations") if name in answer}

    def _make_room(self, coming: int, keep: str | None = None) -> None:
        while self._workers and sum(w.size for w in self._workers.values()) + coming > self._keep_bytes:
            oldest = next(iter(self._workers))
            if oldest == keep:
                return
            self._drop(oldest)

    def _budget(self) -> Budget:
        return Budget(
            memory_bytes=self._limits.memory_bytes,
            cpu_seconds=_CPU_SECONDS,
            file_bytes=self._limits.inflated_bytes,
        )

    def _drop(self, key: str) -> None:
        worker = self._workers.pop(key, None)
        if worker is not None:
            worker.child.kill()


def _error(kind: str, detail: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "detail": detail}}
