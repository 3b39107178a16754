"""The bytes of a chunk to a checked batch and the errors of its bad rows.

A table of plain numbers, the usual case, goes through one JSON parse of all its values; anything unusual in a
chunk sends that chunk through the slow reader, which names each bad row.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from modelyard.batch.layout import InputLayout
from modelyard.batch.splitting import records
from modelyard.kit.errors import FieldError
from modelyard.serving.decoding import Batch, Decoder
from modelyard.serving.rules import rules_of
from modelyard.serving.signature import Column

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}

Errors = dict[int, FieldError]


def parse_chunk(data: bytes, layout: InputLayout, decoder: Decoder) -> tuple[Batch, Errors, int]:
    """The good rows of `data`, the first error of each bad one by its place, and the number of rows."""
    if layout.format == "jsonl":
        return _json_lines(data, decoder)
    matrix = _plain_numbers(data, layout, decoder)
    if matrix is not None:
        columns: list[Sequence[Any]] = list(matrix)
        return Batch(columns, matrix.shape[1], "csv"), {}, matrix.shape[1]
    return _csv(data, layout, decoder)


# --- JSON Lines


def _json_lines(data: bytes, decoder: Decoder) -> tuple[Batch, Errors, int]:
    rows: list[Any] = []
    errors: Errors = {}
    lines = records(data, delimiter=None)
    for number, line in enumerate(lines):
        try:
            rows.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            errors[number] = FieldError(
                "", "expected one JSON array or object on the line, got no valid JSON"
            )
    return _decoded(rows, errors, len(lines), decoder)


def _decoded(rows: list[Any], errors: Errors, total: int, decoder: Decoder) -> tuple[Batch, Errors, int]:
    """Decodes the rows that could be read; their numbers skip those in `errors`."""
    batch, found = decoder.decode_rows(rows)
    if not found:
        return batch, errors, total
    numbers = [number for number in range(total) if number not in errors]
    return batch, errors | {numbers[index]: error for index, error in found.items()}, total


# --- CSV, fast


def _plain_numbers(data: bytes, layout: InputLayout, decoder: Decoder) -> NDArray[np.float64] | None:
    """Shape (columns, rows), or None where anything needs a closer look."""
    rules = rules_of(decoder.signature)
    if b'"' in data or any(rule.column.kind != "number" or rule.simple is None for rule in rules):
        return None
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    data = data.strip(b"\n")
    if not data or b"\r" in data or (layout.width == 1 and b"\n\n" in data) or not _even(data, layout):
        return None
    matrix = _by_json(data, layout)
    if matrix is None:
        matrix = _by_numpy(data, layout)
    if matrix is None:
        return None
    lowest, highest = matrix.min(axis=1), matrix.max(axis=1)  # NaN where a column holds one
    for rule, column, low, high in zip(rules, matrix, lowest, highest, strict=True):
        bound = np.finfo(np.float64).max if rule.largest is None else rule.largest
        if np.isnan(low):
            if not rule.nullable or not np.all(np.isnan(column) | (np.abs(column) <= bound)):
                return None
        elif low < -bound or high > bound:
            return None
    return matrix


def _even(data: bytes, layout: InputLayout) -> bool:
    """Whether every line has the same, right number of fields."""
    octets = np.frombuffer(data + b"\n", dtype=np.uint8)
    delimiter = ord(layout.delimiter)
    separators = octets[octets <= 0x2C] if delimiter <= 0x2C else octets
    # One comparison finds newlines and commas, and a few plus signs and spaces, which are sifted after.
    separators = separators[(separators == 0x0A) | (separators == delimiter)]
    if len(separators) % layout.width:
        return False
    table = separators.reshape(-1, layout.width)
    return bool((table[:, -1] == 0x0A).all() and (table[:, :-1] == delimiter).all())


def _by_json(data: bytes, layout: InputLayout) -> NDArray[np.float64] | None:
    """All values in one JSON array: faster than any CSV reader, for what JSON calls a number."""
    comma = layout.delimiter.encode()
    text = data.replace(b"\n", b",")
    if comma != b",":
        if b"," in data:
            return None  # decimal commas
        text = text.replace(comma, b",")
    values = None if b"u" in data or b"s" in data else _loaded(text)  # JSON's words: true, null, false
    if values is None:
        values = _loaded(_with_nulls(text))
    if values is None:
        return None
    try:
        flat = np.array(values, dtype=np.float64)
    except (ValueError, TypeError):
        return None
    if flat.ndim != 1:
        return None
    table = flat.reshape(-1, layout.width)
    return np.ascontiguousarray(table.T[layout.order])


def _loaded(text: bytes) -> list[Any] | None:
    try:
        values: list[Any] = orjson.loads(b"[" + text + b"]")
    except orjson.JSONDecodeError:
        return None
    return values


def _with_nulls(text: bytes) -> bytes:
    """Missing values as JSON writes them; what is a boolean to JSON is no number, and made unreadable."""
    if b"true" in text or b"false" in text:
        return b"?"
    text = b"," + text + b","
    for token in (b"NaN", b"nan", b"NA", b""):
        missing = b"," + token + b","
        if missing in text:
            # Twice: neighbours share a comma.
            text = text.replace(missing, b",null,").replace(missing, b",null,")
    return text[1:-1]


def _by_numpy(data: bytes, layout: InputLayout) -> NDArray[np.float64] | None:
    """For files with further columns of text, or numbers that JSON writes otherwise."""
    try:
        table = np.loadtxt(
            io.BytesIO(data),
            delimiter=layout.delimiter,
            usecols=layout.order,
            dtype=np.float64,
            comments=None,
            encoding="utf-8",
            ndmin=2,
        )
    except (ValueError, UnicodeDecodeError):
        return None
    return np.ascontiguousarray(table.T)


# --- CSV, careful


def _csv(data: bytes, layout: InputLayout, decoder: Decoder) -> tuple[Batch, Errors, int]:
    rows: list[Any] = []
    errors: Errors = {}
    lines = records(data, delimiter=layout.delimiter)
    for number, cells in enumerate(_cells(lines, layout)):
        if isinstance(cells, FieldError):
            errors[number] = cells
        elif len(cells) != layout.width:
            expected = f"expected {layout.width} fields as in the first line, got {len(cells)}"
            errors[number] = FieldError("", expected)
        else:
            columns = zip(layout.order, decoder.signature.columns, strict=True)
            rows.append([_value(cells[at], column) for at, column in columns])
    batch, found, total = _decoded(rows, errors, len(lines), decoder)
    return batch, {number: _by_name(error, decoder) for number, error in found.items()}, total


def _by_name(error: FieldError, decoder: Decoder) -> FieldError:
    """A CSV row is an array to the decoder; its owner knows the columns by name."""
    place = error.pointer[1:]
    if not place.isdigit():
        return error
    name = decoder.names[int(place)].replace("~", "~0").replace("/", "~1")
    return FieldError(f"/{name}", error.detail)


def _cells(lines: list[bytes], layout: InputLayout) -> list[list[str] | FieldError]:
    """The fields of each line; all in one go where every line is one good record."""
    csv.field_size_limit(2**31 - 1)  # lines are bounded already
    try:
        text = b"\n".join(lines).decode()
        rows: list[list[str] | FieldError] = list(
            csv.reader(io.StringIO(text, newline=""), delimiter=layout.delimiter)
        )
    except (UnicodeDecodeError, csv.Error):
        rows = []
    return rows if len(rows) == len(lines) else [_one(line, layout.delimiter) for line in lines]


def _one(line: bytes, delimiter: str) -> list[str] | FieldError:
    try:
        text = line.decode()
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except UnicodeDecodeError:
        return FieldError("", "expected text in UTF-8, got other bytes")
    except csv.Error:
        rows = []
    return rows[0] if len(rows) == 1 else FieldError("", "expected one row, got quotes that do not match")


def _value(cell: str, column: Column) -> Any:
    """The cell as the column's kind; what cannot be read stays text, and the decoder will say so."""
    if column.kind == "string":
        return None if not cell and column.nullable else cell
    text = cell.strip()
    folded = text.lower()
    if folded in MISSING:
        return None
    if column.kind == "boolean":
        return _TRUTH.get(folded, cell)
    if _INTEGER.fullmatch(text):
        return int(text)
    if "_" in text or not text.isascii():  # Python would read 1_000, and other scripts' digits
        return cell
    try:
        return float(text)
    except ValueError:
        return cell
