"""What a shadow version is to be asked later: a request and its answer, posted beside the cached answer.

The caller waits for none of it: the entry leaves in the same write as the answer's own `SET`, and nobody
waits for a reply. Inputs are kept in Redis only, for minutes, in a list that cannot grow beyond its bounds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import orjson

from modelyard.serving.decoding import Batch
from modelyard.serving.route import Route

LARGEST_ENTRY = 32 << 10  # bytes; larger requests are not mirrored
MOST_ENTRIES = 500  # the newest
KEEP_SECONDS = 900  # after the last one

Command = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Mirrored:
    """One request that a version answered.

    `columns` are column-major, as that version's signature lists them; `answer` is what `answers.render`
    made; `at` is in seconds since the epoch, `milliseconds` the time that the model took, None where unknown.
    """

    prediction_id: str
    at: float
    number: int
    columns: list[list[Any]]
    rows: int
    outputs: tuple[str, ...]
    answer: dict[str, Any]
    milliseconds: float | None = None


def mirror_key(user_id: str, model_id: str) -> str:
    """The Redis key of a model's list."""
    return f"{{{user_id}}}:shadow:{model_id}"


def chosen(route: Route, prediction_id: str) -> bool:
    """Whether this request is among the percent that the shadow is asked."""
    return route.shadow_percent >= 100 or crc32(prediction_id.encode()) % 100 < route.shadow_percent


def commands(
    route: Route,
    *,
    prediction_id: str,
    number: int,
    batch: Batch,
    outputs: Sequence[str],
    core: bytes,
    seconds: float | None,
) -> list[Command]:
    """What puts the request on the model's list; nothing where it is too large, or cannot be JSON."""
    try:
        entry = orjson.dumps(
            [
                prediction_id,
                time.time(),
                number,
                batch.columns,
                batch.rows,
                outputs,
                orjson.Fragment(core),
                None if seconds is None else seconds * 1000,
            ],
            default=_plain,
        )
    except (TypeError, ValueError):
        return []
    if len(entry) > LARGEST_ENTRY:
        return []
    key = mirror_key(route.user_id, route.model_id)
    return [
        ("RPUSH", key, entry),
        ("LTRIM", key, -MOST_ENTRIES, -1),
        ("EXPIRE", key, KEEP_SECONDS),
    ]


def read(entry: bytes) -> Mirrored | None:
    """The inverse; None for what no version of this code wrote."""
    try:
        prediction_id, at, number, columns, rows, outputs, answer, milliseconds = orjson.loads(entry)
        found = Mirrored(prediction_id, at, number, columns, rows, tuple(outputs), answer, milliseconds)
        return found if isinstance(answer, dict) and isinstance(columns, list) else None
    except (ValueError, TypeError):
        return None


def _plain(column: Any) -> Any:
    """Columns of binary tensors are arrays; as lists their numbers keep every digit."""
    return column.tolist()
