"""The child behind `predict_native`: one original estimator, opened as at its inspection, answering until
it ends.
"""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path
from typing import Any

from modelyard.intake.verdict import Limits, Refused
from modelyard.serving.signature import Signature

_TOO_LARGE = (
    "This model needs more memory to be explained than its sandbox has. Fewer rows may help; a model of "
    "fewer or smaller trees does."
)


def main() -> None:
    """Confine, load the one model that the parent names, then answer predictions."""
    from modelyard.intake.channel import Channel

    channel = Channel()
    channel.confine()
    request = channel.receive()
    if request is None:
        return
    try:
        model = Model.load(Path(request["path"]), Limits(**request["limits"]), request["signature"])
    except Refused as refusal:
        channel.send({"error": {"kind": "load_failed", "detail": f"{refusal.rule}: {refusal.detail}"}})
        os._exit(0)
    except Exception as error:  # what a stranger's file raises has no common base
        channel.send({"error": {"kind": "load_failed", "detail": _told(error)}})
        os._exit(0)
    channel.send({"loaded": True})
    while (request := channel.receive()) is not None:
        seconds = float(request["explain_seconds"]) if "explain_seconds" in request else None
        answer = model.answer(request["columns"], request["outputs"], explain_seconds=seconds)
        _send(channel, answer)
    os._exit(0)  # no destructors of what a stranger built


def _send(channel: Any, answer: dict[str, Any]) -> None:
    """What cannot be sent whole costs an answer, not the worker."""
    from modelyard.intake.process import MOST_ANSWER, encode

    try:
        frame = encode(answer)
    except MemoryError:
        frame = encode(_error("too_large", "the answer does not fit into memory"))
    except Exception as error:  # labels may be of any class
        frame = encode(_error("model_error", _told(error)))
    if len(frame) > MOST_ANSWER:
        frame = encode(_error("too_large", "the answer is larger than one call can carry"))
    channel.send_frame(frame)


class Model:
    """A loaded estimator and the way to feed it."""

    def __init__(self, estimator: Any, signature: Signature, missing: list[Any] | None) -> None:
        self._estimator = estimator
        self._signature = signature
        self._missing = missing
        self._explainer: Any = None

    @classmethod
    def load(cls, path: Path, limits: Limits, signature: dict[str, Any]) -> Model:
        """Scan and open again: the file may be the same, but trust is not kept on disk."""
        from modelyard.intake import gate, loading
        from modelyard.intake.estimators import single_thread

        estimator = loading.load(path, gate.scan(path, limits), limits)
        single_thread(estimator)
        described = Signature.from_json(signature)
        return cls(estimator, described, missing_strings(estimator, described))

    def answer(
        self, columns: list[list[Any]], outputs: list[str], *, explain_seconds: float | None = None
    ) -> dict[str, Any]:
        """`{"outputs"}` or `{"error"}`; never raises for what the model does. With `explain_seconds`, the
        time that it may take, `explanations` stand beside the outputs.
        """
        from modelyard.intake.estimators import call, plain
        from modelyard.intake.frames import native_input

        started = time.monotonic()
        unknown = [output for output in outputs if output not in self._signature.outputs]
        if unknown or not columns:
            return _error("model_error", "the request does not fit the model's signature")
        rows = len(columns[0])
        try:
            found = {}
            for output in outputs:
                batch = native_input(self._signature, columns, self._missing)
                found[output] = plain(call(self._estimator, output, batch))
                if len(found[output]) != rows:
                    return _error("model_error", "the model did not answer one row for each row")
            if explain_seconds is not None:
                left = explain_seconds - (time.monotonic() - started)
                explained = self._explained(columns, left)
                return explained if "error" in explained else explained | {"outputs": found}
        except MemoryError:
            return _error("out_of_memory", "the model needed more memory than it may use")
        except Exception as error:  # the model's own code may raise anything
            return _error("model_error", _told(error))
        return {"outputs": found}

    def _explained(self, columns: list[list[Any]], seconds: float) -> dict[str, Any]:
        from modelyard.intake.explanation.explainer import Explainer
        from modelyard.intake.explanation.sums import Mismatch, NotExplainable, OutOfTime, TooLong
        from modelyard.intake.frames import native_input

        started = time.monotonic()
        try:
            if self._explainer is None:
                self._explainer = Explainer(self._estimator, self._signature)
            batch = native_input(self._signature, columns, self._missing)
            left = seconds - (time.monotonic() - started)
            return {"explanations": self._explainer.explain(batch, left)}
        except NotExplainable as error:
            return _error("not_explainable", str(error))
        except Mismatch as error:
            return _error("explanation_mismatch", str(error))
        except OutOfTime:
            return _error("timeout", "the explanation takes longer than the request")
        except TooLong:
            return _error("too_large", "the explanations are larger than one answer can carry")
        except MemoryError:
            # What it took is given back with this frame, unlike what the estimator itself may have left.
            self._explainer = None
            return _error("not_explainable", _TOO_LARGE)


def missing_strings(estimator: Any, signature: Signature) -> list[Any] | None:
    """What stands for a missing string, column by column; a large model of numbers would take long to ask."""
    from modelyard.intake.inputs import inputs_of

    if any(column.kind == "string" for column in signature.columns):
        for unused in (False, True):
            facts = inputs_of(estimator, unused=unused)[2]
            if len(facts) == len(signature.columns):
                return [fact.missing for fact in facts]
    return None


def _told(error: BaseException) -> str:
    """Type and place, for the log; the message is left out because it may quote the caller's values."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))
    return f"{type(error).__name__} at {places}"[:2000]


def _error(kind: str, detail: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "detail": detail}}


if __name__ == "__main__":
    main()
