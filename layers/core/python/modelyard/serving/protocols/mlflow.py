"""MLflow's scoring protocol, which SageMaker endpoints speak as well: JSON in four forms, or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from modelyard.kit.errors import FieldError, UnsupportedMediaType
from modelyard.serving.decoding import Batch, Decoder, invalid
from modelyard.serving.errors import MalformedBody
from modelyard.serving.protocols.common import parse_object, read_form, read_rows
from modelyard.serving.rules import kind_of
from modelyard.serving.signature import Column

FORMS = {
    "dataframe_split": "dataframe_split",
    "dataframe_records": "records",
    "instances": "instances",
    "inputs": "inputs",
}
_FORMS_TEXT = ", ".join(f'"{form}"' for form in FORMS)
_JSON = frozenset({"", "application/json", "application/octet-stream"})  # the second: sent without a type
_MISSING = frozenset({"", "NaN", "nan", "NA", "N/A", "null", "NULL", "None"})  # as pandas reads its own CSV
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


class Invocation:
    """The body of an invocation. `header`: whether CSV must begin with the columns' names."""

    def __init__(self, body: bytes, content_type: str, *, header: bool) -> None:
        kind, _, parameters = content_type.partition(";")
        self._kind = kind.strip().lower()
        if self._kind not in _JSON and self._kind != "text/csv":
            raise UnsupportedMediaType("Send application/json or text/csv.")
        charset = [part for part in parameters.lower().split(";") if part.strip().startswith("charset=")]
        if charset and charset[0].partition("=")[2].strip().strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMediaType("Send the body in UTF-8.")
        self._body = body
        self._header = header
        self.outputs: tuple[str, ...] = ()  # known once the body was read

    def read(self, decoder: Decoder) -> tuple[Batch, tuple[str, ...]]:
        """Rows and asked outputs; raises `MalformedBody`, `InvalidInput` or `TooManyRows`."""
        if self._kind == "text/csv":
            return _csv(self._body, decoder, self._header), ()
        data = parse_object(self._body, f"one of {_FORMS_TEXT}")
        forms = [form for form in FORMS if form in data]
        if len(forms) != 1:
            raise invalid(
                [FieldError("", f"expected exactly one of {_FORMS_TEXT}, got {len(forms) or 'none'}")]
            )
        self.outputs = outputs = _outputs(data.get("params"))
        form = forms[0]
        if form == "instances" or (form == "inputs" and type(data[form]) is not dict):
            return read_rows(decoder, data[form], form), outputs
        return read_form(decoder, FORMS[form], data[form], form), outputs


def _outputs(params: Any) -> tuple[str, ...]:
    """`params.outputs` names what to answer; others are ignored, as in MLflow."""
    if params is None:
        return ()
    if type(params) is not dict:
        raise invalid([FieldError("/params", f"expected an object, got {kind_of(params)}")])
    asked = params.get("outputs", [])
    asked = [asked] if type(asked) is str else asked
    if type(asked) is not list or not all(type(output) is str for output in asked):
        raise invalid([FieldError("/params/outputs", "expected names of outputs")])
    return tuple(dict.fromkeys(asked))


def _csv(body: bytes, decoder: Decoder, header: bool) -> Batch:
    if decoder.signature.layout == "records":
        raise invalid([FieldError("", 'this model takes objects: send JSON with "dataframe_records"')])
    rows = _rows(body)
    order = _order(rows[0] if rows else [], decoder)
    first = 1
    if order is None:
        if header or not rows:
            expected = ", ".join(decoder.names[:10])
            raise invalid(
                [FieldError("/0", f"expected a first line with the names of all columns: {expected}")]
            )
        order, first = list(range(len(decoder.names))), 0
    width = len(order)
    for number, row in enumerate(rows[first:], start=first):
        if len(row) != width:
            raise invalid([FieldError(f"/{number}", f"expected {width} cells, got {len(row)}")])
    kinds = decoder.signature.columns
    columns: list[Sequence[Any]] = [
        [_value(row[place], column) for row in rows[first:]]
        for place, column in zip(order, kinds, strict=True)
    ]
    return decoder.take(columns, lambda row, column: f"/{row + first}/{order[column]}", "csv")


def _rows(body: bytes) -> list[list[str]]:
    try:
        text = body.decode("utf-8-sig")
        return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except UnicodeDecodeError:
        raise MalformedBody("The CSV is not UTF-8.") from None
    except csv.Error:
        raise MalformedBody("The CSV cannot be read: a quote is open, or a cell is too long.") from None


def _order(names: list[str], decoder: Decoder) -> list[int] | None:
    """Where each column stands in the line, if it is one of names: the model's own, or pandas' numbers."""
    names = [name.strip() for name in names]
    if not decoder.signature.named and names == [str(index) for index in range(len(decoder.names))]:
        return list(range(len(names)))
    if len(names) != len(decoder.names) or set(names) != set(decoder.names):
        return None
    return [names.index(name) for name in decoder.names]


def _value(cell: str, column: Column) -> Any:
    """A cell as its column's kind has it; what is none of that kind stays text, and is refused as such."""
    text = cell.strip()
    if text in _MISSING:
        return None if column.nullable or column.kind != "string" else cell
    if column.kind == "string":
        return cell
    if column.kind == "boolean":
        return _BOOLEANS.get(text.lower(), cell)
    if not text.isascii() or "_" in text:
        return cell  # Python reads other scripts' digits and 1_000 as numbers, which no CSV means
    try:
        return int(text) if text.lstrip("+-").isdecimal() and len(text) < 20 else float(text)
    except ValueError:
        return cell
