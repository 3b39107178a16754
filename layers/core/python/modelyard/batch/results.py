"""What came of a chunk, column-wise as JSON, and what its owner gets to see: items, CSV, JSON Lines, JSON.

Values stand at the row they belong to; a failed row has null in every output and an entry in `errors`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from modelyard.kit.errors import FieldError
from modelyard.serving.signature import Signature

ResultFormat = Literal["csv", "jsonl", "json"]

_ITEM_KEYS = {"predict": "prediction", "predict_proba": "probabilities"}
_COLUMN_STEMS = {"probabilities": "probability"}


def item_keys(outputs: Sequence[str], signature: Signature) -> dict[str, str]:
    """Output → the key of its value in an item. What a model without `predict` gives is its prediction."""
    keys = {name: _ITEM_KEYS.get(name, name) for name in outputs}
    if "predict" not in signature.outputs and signature.outputs[0] in keys:
        keys[signature.outputs[0]] = "prediction"
    return keys


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """`outputs` maps an output's name to one value per row; `errors` maps a row of the chunk to its error."""

    first_row: int
    rows: int
    outputs: dict[str, list[Any]]
    errors: dict[int, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, first_row: int, rows: int, values: dict[str, list[Any]], errors: dict[int, FieldError]
    ) -> ChunkResult:
        """From the values of the good rows, in order, and the errors of the others."""
        outputs = {name: _spread(column, rows, errors) for name, column in values.items()}
        return cls(first_row, rows, outputs, {row: error.as_dict() for row, error in sorted(errors.items())})

    def dump(self) -> bytes:
        data = {
            "first_row": self.first_row,
            "rows": self.rows,
            "outputs": self.outputs,
            "errors": {str(row): error for row, error in self.errors.items()},
        }
        return orjson.dumps(data)

    @classmethod
    def load(cls, data: bytes) -> ChunkResult:
        read = orjson.loads(data)
        errors = {int(row): error for row, error in read["errors"].items()}
        return cls(read["first_row"], read["rows"], read["outputs"], errors)

    def items(self, names: Mapping[str, str], first: int, end: int) -> Iterator[dict[str, Any]]:
        """The rows `first` to `end` (exclusive; numbers of the chunk) as the API shows them.

        `names` maps outputs to keys (`item_keys`).
        """
        keys = [(names[name], values) for name, values in self.outputs.items()]
        for row in range(first, min(end, self.rows)):
            item: dict[str, Any] = {"row": self.first_row + row}
            item |= {key: values[row] for key, values in keys}
            if row in self.errors:
                item["error"] = self.errors[row]
            yield item


def _spread(values: list[Any], rows: int, errors: dict[int, FieldError]) -> list[Any]:
    if not errors:
        return values
    remaining = iter(values)
    return [None if row in errors else next(remaining) for row in range(rows)]


def render(
    chunks: Iterable[ChunkResult], kind: ResultFormat, names: Mapping[str, str], signature: Signature
) -> Iterator[bytes]:
    """The whole result file, chunk by chunk, in the order of the input; `names` as for `items`."""
    if kind == "csv":
        yield from _csv(chunks, names, signature)
    elif kind == "jsonl":
        for chunk in chunks:
            yield b"".join([orjson.dumps(item) + b"\n" for item in chunk.items(names, 0, chunk.rows)])
    else:
        opening = b"["
        for chunk in chunks:
            yield opening + b",\n".join([orjson.dumps(item) for item in chunk.items(names, 0, chunk.rows)])
            opening = b",\n"
        yield b"]\n" if opening == b",\n" else b"[]\n"


# --- CSV


def _csv(chunks: Iterable[ChunkResult], names: Mapping[str, str], signature: Signature) -> Iterator[bytes]:
    widths: list[int | None] | None = None
    for chunk in chunks:
        if widths is None:
            widths = [_width(chunk.outputs.get(name, ()), name, signature) for name in names]
            yield _line(["row", *_header(names, widths, signature), "error"]).encode()
        yield _csv_rows(chunk, list(names), widths).encode()


def _width(values: Sequence[Any], output: str, signature: Signature) -> int | None:
    """How many cells make one value of this output; None for a plain value."""
    for value in values:
        if value is not None:
            return len(_flat(value)) if isinstance(value, list) else None
    # No good row in the first chunk: the signature knows as well, for what is asked for most.
    if output == "predict_proba" and signature.classes:
        return len(_flat(signature.classes))
    return signature.n_outputs if output == "predict" and signature.n_outputs > 1 else None


def _header(names: Mapping[str, str], widths: Sequence[int | None], signature: Signature) -> list[str]:
    header = []
    for (output, key), width in zip(names.items(), widths, strict=True):
        stem = _COLUMN_STEMS.get(key, key)
        if width is None:
            header.append(stem)
            continue
        labels: list[Any] = list(range(width))
        classes = signature.classes or []
        if output == "predict_proba" and len(classes) == width and not isinstance(classes[0], list):
            labels = list(classes)
        header += [f"{stem}_{label}" for label in labels]
    return header


def _csv_rows(chunk: ChunkResult, outputs: Sequence[str], widths: Sequence[int | None]) -> str:
    columns = [chunk.outputs[name] for name in outputs]
    if not chunk.errors and list(widths) == [None] and not _has_text(columns[0]):
        # One plain number a row, the usual case: joined without a CSV writer.
        numbers = enumerate(columns[0], chunk.first_row)
        return "".join([f"{row},{'' if value is None else value},\n" for row, value in numbers])
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    empty = [""] * sum(width or 1 for width in widths)
    for row in range(chunk.rows):
        error = chunk.errors.get(row)
        if error is not None:
            text = f"{error['pointer'] or '/'}: {error['detail']}"
            writer.writerow([chunk.first_row + row, *empty, text])
        else:
            values = zip(columns, widths, strict=True)
            cells = [cell for column, width in values for cell in _cells(column[row], width)]
            writer.writerow([chunk.first_row + row, *cells, ""])
    return buffer.getvalue()


def _cells(value: Any, width: int | None) -> list[Any]:
    """Exactly the cells that the header promises, whatever the model gave for this row."""
    if width is None:
        return [orjson.dumps(value).decode() if isinstance(value, list) else value]
    cells = _flat(value)[:width]
    return cells + [""] * (width - len(cells))


def _has_text(values: Sequence[Any]) -> bool:
    return any(type(value) is not int and type(value) is not float for value in values)


def _flat(value: Any) -> list[Any]:
    """A value as cells: nested lists (several outputs, each with probabilities) side by side."""
    if isinstance(value, list):
        return [cell for item in value for cell in _flat(item)]
    return [value]


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()
