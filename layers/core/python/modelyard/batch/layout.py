"""What an input file is: its format, and for CSV which of its columns feed the model.

Only the first bytes are looked at, so that a file that cannot work is refused when the job is created.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from modelyard.batch.errors import InputRefused, UnsupportedInput
from modelyard.kit.errors import FieldError
from modelyard.serving.signature import Signature

Format = Literal["csv", "jsonl"]
SAMPLE_BYTES = 256 * 1024
DELIMITERS = (",", ";", "\t", "|")
_BOM = b"\xef\xbb\xbf"
_MAGIC = {
    b"PAR1": "Parquet",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip or Excel",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"ARROW1": "Arrow",
    b"\x80\x04": "pickle",
}
_EXTENSIONS: dict[str, Format] = {
    "csv": "csv",
    "tsv": "csv",
    "txt": "csv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
}
_HINT = "Send CSV or JSON Lines (one array or object a line), UTF-8, not compressed."


@dataclass(frozen=True, slots=True)
class InputLayout:
    """How the rows of an input file are read; stored with the job.

    `first_byte` is where rows begin. For CSV, `width` fields make a row, and `order[i]` is the field
    that feeds column i of the signature.
    """

    format: Format
    first_byte: int = 0
    delimiter: str = ","
    width: int = 0
    order: list[int] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> InputLayout:
        return cls(**data)


def inspect(
    sample: bytes,
    signature: Signature,
    *,
    name: str = "",
    wished: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
) -> InputLayout:
    """The layout of the file that begins with `sample`.

    `wished` is the format that the caller named, else the extension of `name` and then the content decide.
    Raises `UnsupportedInput` for what is no text table, `InputRefused` where its columns are not the model's.
    """
    for magic, what in _MAGIC.items():
        if sample.startswith(magic):
            raise UnsupportedInput(f"The file is in {what} format, which jobs do not read. {_HINT}")
    if b"\0" in sample:
        raise UnsupportedInput(f"The file is binary, or text in another encoding than UTF-8. {_HINT}")
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    kind = _format(sample, wished, extension)
    if kind == "jsonl":
        return InputLayout("jsonl", first_byte=len(_BOM) if sample.startswith(_BOM) else 0)
    if signature.layout == "records":
        raise InputRefused("This model takes objects. Send JSON Lines with one object a line instead of CSV.")
    return _csv_layout(sample, signature, delimiter or ("\t" if extension == "tsv" else None), header)


def _format(sample: bytes, wished: str | None, extension: str) -> Format:
    if wished is not None:
        if wished not in _EXTENSIONS:
            raise UnsupportedInput(f"This input format is not supported. {_HINT}")
        return _EXTENSIONS[wished]
    if extension in _EXTENSIONS:
        return _EXTENSIONS[extension]
    start = sample.removeprefix(_BOM).lstrip()[:1]
    return "jsonl" if start in (b"{", b"[") else "csv"


def _csv_layout(
    sample: bytes, signature: Signature, delimiter: str | None, header: bool | None
) -> InputLayout:
    if delimiter is not None and delimiter not in DELIMITERS:
        raise InputRefused("The delimiter is one of comma, semicolon, tab and vertical bar.")
    names = [column.name for column in signature.columns]
    start = len(_BOM) if sample.startswith(_BOM) else 0
    line, end = _first_record(sample, start)
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise UnsupportedInput(f"The first line is not UTF-8. {_HINT}") from None
    delimiter = delimiter or _guess_delimiter(text, names)
    cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    if not cells:
        raise InputRefused("The file is empty. Send at least one row.")
    if header is None:
        header = _looks_like_header(cells, signature)
    if not header:
        _expect_width(cells, names)
        return InputLayout("csv", start, delimiter, len(cells), list(range(len(names))))
    order = _order(cells, names, signature)
    return InputLayout("csv", end, delimiter, len(cells), order)


def _first_record(sample: bytes, start: int) -> tuple[bytes, int]:
    """The first record that is not blank, and the offset after it."""
    while True:
        position, quoted = start, False
        while position < len(sample) and (quoted or sample[position] != 0x0A):
            quoted ^= sample[position] == 0x22
            position += 1
        line = sample[start:position].rstrip(b"\r")
        if line or position >= len(sample):
            if len(sample) >= SAMPLE_BYTES and position >= len(sample):
                raise InputRefused(
                    "The first line is longer than a row may be, or a quote in it is not closed."
                )
            return line, min(position + 1, len(sample))
        start = position + 1


def _guess_delimiter(line: str, names: Sequence[str]) -> str:
    """The delimiter that gives the first line as many fields as the model has columns, or most fields."""
    counts = {
        candidate: len(next(csv.reader(io.StringIO(line, newline=""), delimiter=candidate), []))
        for candidate in DELIMITERS
    }
    if len(names) > 1:
        for candidate, count in counts.items():
            if count == len(names):
                return candidate
        return max(counts, key=lambda candidate: counts[candidate])
    return ","


def _looks_like_header(cells: Sequence[str], signature: Signature) -> bool:
    names = {column.name for column in signature.columns}
    if names <= {cell.strip() for cell in cells}:
        return True
    if signature.named:
        # A model that knows its columns by name wants them named, unless the line cannot hold names.
        return not (len(cells) == len(names) and any(_is_number(cell) for cell in cells))
    numeric = [index for index, column in enumerate(signature.columns) if column.kind == "number"]
    if not numeric or len(cells) != len(signature.columns):
        return not any(_is_number(cell) for cell in cells) and bool(numeric)
    return not any(_is_number(cells[index]) or not cells[index].strip() for index in numeric)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _order(cells: Sequence[str], names: Sequence[str], signature: Signature) -> list[int]:
    places: dict[str, int] = {}
    for index, cell in enumerate(cells):
        name = cell.strip()
        if name in places and name in names:
            raise InputRefused("The header names a column of the model twice.")
        places.setdefault(name, index)
    missing = [name for name in names if name not in places]
    if not missing:
        return [places[name] for name in names]
    if not signature.named and len(cells) == len(names):
        return list(range(len(names)))  # trained without names: any header will do, position counts
    shown = ", ".join(missing[:10]) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
    errors = [FieldError("/input", f"missing column {name!r}") for name in missing[:10]]
    raise InputRefused(f"The header of the file lacks columns of the model: {shown}.", errors=errors)


def _expect_width(cells: Sequence[str], names: Sequence[str]) -> None:
    if len(cells) != len(names):
        raise InputRefused(
            f"The file has no header and {len(cells)} fields in its first row; the model takes {len(names)}. "
            "Add a header line with column names, or send exactly the model's columns in order."
        )
