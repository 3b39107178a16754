"""Answers and their cache in Redis.

An answer's key covers the version, the checksum of the file that computes it, the asked outputs and the input
as the model sees it: two bodies that mean the same share an answer, and nothing else does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any, Protocol

import orjson

from modelyard.serving.signature import Signature

LARGEST = 256 << 10  # bytes; larger answers cost more to keep than to compute

_STAMP = 8  # hexadecimal digits: seconds since the epoch
_FORM = b"stamped"  # of what is cached: releases that know another one must not find it, nor this one theirs

WIRE_NAMES = {"predict": "predictions", "predict_proba": "probabilities"}


class Cache(Protocol):
    """What of Redis the cache needs (`kit.resp.Connection`); posting does not wait for replies."""

    def get(self, name: str) -> bytes | None: ...
    def post(self, *command: Any) -> bool: ...
    def post_all(self, commands: Sequence[Sequence[Any]]) -> bool: ...
    def meanwhile(self, work: Callable[[], None]) -> None: ...


def digest(seed: bytes, outputs: Sequence[str], canonical: Iterable[bytes]) -> str:
    """The name of an answer within its user's keys."""
    state = blake2b(seed, digest_size=20, person=_FORM)
    state.update("\n".join(outputs).encode())
    for part in canonical:
        # Lengths between the parts: no two sequences of parts run together to the same bytes.
        state.update(b"\n%d\n" % len(part))
        state.update(part)
    return state.hexdigest()


def sealed(core: bytes, now: float) -> bytes:
    """What the cache holds: when the answer was made, and the answer."""
    return b"%08x" % int(now) + core


def opened(stored: bytes, now: float) -> tuple[bytes, int] | None:
    """A cached answer and its age in seconds; None for what `sealed` did not make."""
    if stored[_STAMP : _STAMP + 1] != b"{":
        return None
    try:
        made = int(stored[:_STAMP], 16)
    except ValueError:
        return None
    return stored[_STAMP:], max(0, int(now) - made)


def render(signature: Signature, outputs: dict[str, list[Any]]) -> bytes:
    """The part of the answer that depends on input and version only: a JSON object. NaN becomes null."""
    body: dict[str, Any] = {}
    for output, values in outputs.items():
        # What a model without `predict` gives (a transformer) is its prediction.
        first_choice = output == signature.outputs[0] and "predict" not in signature.outputs
        body["predictions" if first_choice else WIRE_NAMES.get(output, output)] = values
    if "predict_proba" in outputs and signature.classes is not None:
        body["classes"] = signature.classes
    return orjson.dumps(body)


def complete(core: bytes, *, model_id: str, model_version: str, prediction_id: str, cached: bool) -> str:
    """The whole body: `core` with what belongs to this one request."""
    own = orjson.dumps(
        {
            "model_id": model_id,
            "model_version": model_version,
            "prediction_id": prediction_id,
            "cached": cached,
        }
    )
    return (core[:-1] + b"," + own[1:]).decode()
