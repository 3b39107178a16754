"""What a shadow version is to be asked later: a request and its answer, posted beside the cached answer.

The caller waits for none of it: the entry leaves in the same write as the answer's own `SET`, and nobody
waits for a reply. Inputs are kept in Redis only, for minutes, in a list that cannot grow beyond its bounds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any
from zlib import crc32

import orjson

from modelyard.kit.ids import is_id
from modelyard.serving.decoding import Batch
from modelyard.serving.route import Route

LARGEST_ENTRY = 32 << 10  # bytes; larger requests are not mirrored
MOST_ENTRIES = 500  # the newest
KEEP_SECONDS = 900  # after the last one
_END_OF_TIME = 2.5e11  # seconds since the epoch: what a `datetime` holds

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
    # The least that it can come to, two bytes for a value and its comma: writing megabytes down to find them
    # too many would be time that the caller waits for.
    if len(core) + 2 * batch.rows * len(batch.columns) > LARGEST_ENTRY:
        return []
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
        return found if _sound(found) else None
    except (ValueError, TypeError):
        return None


def _sound(found: Mirrored) -> bool:
    """Whether every member is what its row in PostgreSQL and the comparison take it for: entries are written
    together, so one that is not would take its neighbours with it.
    """
    return (
        type(found.prediction_id) is str
        and is_id(found.prediction_id, "prd")
        and type(found.at) is float
        and 0 <= found.at < _END_OF_TIME
        and type(found.number) is int
        and 0 < found.number < 2**31
        and type(found.rows) is int
        and bool(found.columns)
        and all(type(column) is list and len(column) == found.rows for column in found.columns)
        and all(type(output) is str for output in found.outputs)
        and type(found.answer) is dict
        and type(found.milliseconds) in (float, NoneType)
    )


def _plain(column: Any) -> Any:
    """Columns of binary tensors are arrays; as lists their numbers keep every digit."""
    return column.tolist()
