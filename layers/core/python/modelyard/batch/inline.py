"""Rows in the body of a request, in any form of the wire, become JSON Lines: one input for all workers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import orjson

from modelyard.batch.errors import InputRefused, InputTooLarge
from modelyard.kit.errors import FieldError
from modelyard.serving.decoding import FORMS
from modelyard.serving.rules import kind_of
from modelyard.serving.signature import Signature

Rows = list[Any]


def rows_of(body: dict[str, Any], signature: Signature, *, most: int) -> Rows:
    """The rows of the one form in `body`: arrays in the signature's order, or objects.

    What is wrong with the whole body raises `InputRefused`; what is wrong with one row is left to the worker,
    so that it costs that row only.
    """
    forms = [form for form in FORMS if form in body]
    if len(forms) != 1:
        raise _refused("", 'expected exactly one of "inputs", "records", "dataframe_split" and "input"')
    form = forms[0]
    value = body[form]
    if form == "dataframe_split":
        rows = _split(value, signature)
    elif form == "inputs" and type(value) is dict:
        rows = _columns(value, signature)
    else:
        rows = _list(value, f"/{form}")
        if (
            form == "inputs"
            and rows
            and len(signature.columns) > 1
            and not any(type(row) in (list, dict) for row in rows)
        ):
            rows = [rows]  # one row, not wrapped
    if not rows:
        raise _refused(f"/{form}", "expected at least one row, got none")
    if len(rows) > most:
        raise InputTooLarge(
            f"A job takes at most {most} rows in the body. Upload a CSV or JSON Lines file for more: "
            "POST /api/jobs/inputs."
        )
    return rows


def as_lines(rows: Rows, per_chunk: int) -> tuple[bytes, list[int]]:
    """`rows` as JSON Lines, and the offsets at which chunks of `per_chunk` rows begin, closed by the size."""
    blocks = [
        b"\n".join([orjson.dumps(row) for row in rows[at : at + per_chunk]]) + b"\n"
        for at in range(0, len(rows), per_chunk)
    ]
    offsets = [0]
    for block in blocks:
        offsets.append(offsets[-1] + len(block))
    assert all(first < end for first, end in pairwise(offsets))
    return b"".join(blocks), offsets


def _list(value: Any, where: str) -> Rows:
    if type(value) is not list:
        raise _refused(where, f"expected an array of rows, got {kind_of(value)}")
    return value


def _columns(data: dict[str, Any], signature: Signature) -> Rows:
    names = [column.name for column in signature.columns]
    _check_names(data, names, "/inputs")
    for name in names:
        if type(data[name]) is not list:
            raise _refused("/inputs", f"expected arrays of values, got {kind_of(data[name])}")
    if len({len(data[name]) for name in names}) > 1:
        raise _refused("/inputs", "expected columns of one length, got columns of several lengths")
    return [list(row) for row in zip(*(data[name] for name in names), strict=True)]


def _split(frame: Any, signature: Signature) -> Rows:
    where = "/dataframe_split"
    if type(frame) is not dict:
        raise _refused(where, f'expected an object with "columns" and "data", got {kind_of(frame)}')
    names = frame.get("columns")
    rows = _list(frame.get("data"), f"{where}/data")
    if type(names) is not list:
        raise _refused(f"{where}/columns", f"expected an array of names, got {kind_of(names)}")
    if not signature.named and names == list(range(len(names))):
        names = [f"x{index}" for index in names]  # pandas numbers the columns of an unnamed frame
    if not all(type(name) is str for name in names) or len(set(names)) != len(names):
        raise _refused(f"{where}/columns", "expected distinct names, all strings")
    wanted = [column.name for column in signature.columns]
    _check_names(dict.fromkeys(names), wanted, f"{where}/columns")
    order = [names.index(name) for name in wanted]
    if order == list(range(len(order))):
        return rows
    return [[row[at] for at in order] if _fits(row, len(names)) else row for row in rows]


def _fits(row: Any, width: int) -> bool:
    return type(row) is list and len(row) == width


def _check_names(names: dict[str, Any], wanted: Sequence[str], where: str) -> None:
    errors = [FieldError(where, f"missing column {name!r}") for name in wanted if name not in names]
    if any(name not in wanted for name in names):
        errors.append(FieldError(where, f"unknown column; expected {', '.join(wanted[:10])}"))
    if errors:
        raise InputRefused(f"The columns are not the model's: {errors[0].detail}.", errors=errors[:20])


def _refused(pointer: str, detail: str) -> InputRefused:
    return InputRefused(f"{pointer or '/'}: {detail}.", errors=[FieldError(pointer, detail)])
