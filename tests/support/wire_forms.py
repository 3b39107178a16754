"""Tables as every form of every prediction protocol writes them, right or wrong."""

from __future__ import annotations

import csv
import io
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

KINDS = {
    "number": ("FP64", "number", np.float64),
    "integer": ("INT64", "number", np.int64),
    "string": ("BYTES", "a string", np.object_),
}


@dataclass(frozen=True)
class Subject:
    """A model to be asked wrongly. `kinds`: number, integer or string by column; `rows` fit, two at least."""

    name: str
    model_id: str
    kinds: dict[str, str]
    rows: list[list[Any]]
    named: bool = False
    nullable: frozenset[str] = frozenset()

    @property
    def names(self) -> list[str]:
        return list(self.kinds)

    @property
    def numeric(self) -> bool:
        return "string" not in self.kinds.values()


@dataclass(frozen=True)
class Case:
    """One request; `words` stand in the error, which has one of `statuses`."""

    label: str
    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    statuses: frozenset[int] = frozenset({400, 413, 415, 422})
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """What is sent: rows under names."""

    names: list[str]
    rows: list[list[Any]]


class Inexpressible(Exception):
    """This form cannot say that."""


Where = tuple[int, int]
"""Row and column of the wrong cell."""


@dataclass(frozen=True)
class Form:
    """How one protocol writes a table. `names`: whether columns are told by name."""

    label: str
    path: str  # with {name} and {id}
    write: Callable[[Subject, Table], bytes | tuple[bytes, dict[str, str]]]
    point: Callable[[Subject, Where], str]
    names: bool
    content_type: str = "application/json"
    text: bool = False  # every cell is text

    def case(self, subject: Subject, label: str, table: Table, **told: Any) -> Case:
        written = self.write(subject, table)
        body, more = written if isinstance(written, tuple) else (written, {})
        path = self.path.format(name=subject.name, id=subject.model_id)
        headers = {"Content-Type": self.content_type, **more}
        return Case(f"{self.label}: {label}", path, body, headers, **told)


# --- forms


def dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _objects(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table.names, row, strict=False)) for row in table.rows]


def columns_of(table: Table) -> dict[str, list[Any]]:
    """Column by column; a short row makes its last column shorter."""
    return {
        name: [row[index] for row in table.rows if index < len(row)] for index, name in enumerate(table.names)
    }


def _rows_under(key: str) -> Callable[[Subject, Table], bytes]:
    return lambda _, table: dumped({key: table.rows})


def _records_under(key: str) -> Callable[[Subject, Table], bytes]:
    return lambda _, table: dumped({key: _objects(table)})


def _columns_under(key: str) -> Callable[[Subject, Table], bytes]:
    return lambda _, table: dumped({key: columns_of(table)})


def as_split(_: Subject, table: Table) -> bytes:
    return dumped({"dataframe_split": {"columns": table.names, "data": table.rows}})


def _csv(*, header: bool) -> Callable[[Subject, Table], bytes]:
    def write(_: Subject, table: Table) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([table.names] if header else [])
        writer.writerows([["" if cell is None else cell for cell in row] for row in table.rows])
        return text.getvalue().encode()

    return write


def _one_tensor(subject: Subject, table: Table) -> bytes:
    if not subject.numeric:
        raise Inexpressible
    flat = [cell for row in table.rows for cell in row]
    shape = [len(table.rows), len(table.names)]
    return dumped({"inputs": [{"name": "input", "shape": shape, "datatype": "FP64", "data": flat}]})


def _kind(subject: Subject, name: str, values: list[Any]) -> str:
    unknown = "string" if values and isinstance(values[0], str) else "number"
    return subject.kinds.get(name, unknown)


def _tensors(subject: Subject, table: Table) -> bytes:
    shape = [len(table.rows), 1]
    return dumped(
        {
            "inputs": [
                {
                    "name": name,
                    "shape": shape,
                    "datatype": KINDS[_kind(subject, name, values)][0],
                    "data": values,
                }
                for name, values in columns_of(table).items()
            ]
        }
    )


def packed(kind: str, values: list[Any]) -> bytes:
    """A tensor as the binary extension has it."""
    if kind != "string" and any(type(value) not in (int, float, type(None)) for value in values):
        raise TypeError
    if kind == "string":
        texts = [value.encode() for value in values]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return np.array(values, KINDS[kind][2]).tobytes()


def binary(tensors: list[dict[str, Any]], data: list[bytes], **more: Any) -> tuple[bytes, dict[str, str]]:
    """A body of the binary extension: `tensors` get the sizes of `data`, unless they state their own."""
    inputs = [
        {**tensor, "parameters": {"binary_data_size": len(part), **tensor.get("parameters", {})}}
        for tensor, part in zip(tensors, data, strict=True)
    ]
    head = dumped({"inputs": inputs, **more})
    return head + b"".join(data), {"Inference-Header-Content-Length": str(len(head))}


def _binary(subject: Subject, table: Table) -> tuple[bytes, dict[str, str]]:
    shape = [len(table.rows), 1]
    columns = columns_of(table)
    try:
        data = [packed(_kind(subject, name, values), values) for name, values in columns.items()]
    except (TypeError, ValueError, AttributeError, OverflowError):
        raise Inexpressible from None
    return binary(
        [
            {"name": name, "shape": shape, "datatype": KINDS[_kind(subject, name, values)][0]}
            for name, values in columns.items()
        ],
        data,
    )


def _at_row_column(key: str) -> Callable[[Subject, Where], str]:
    return lambda _, where: f"/{key}/{where[0]}/{where[1]}"


def _at_row_name(key: str) -> Callable[[Subject, Where], str]:
    return lambda subject, where: f"/{key}/{where[0]}/{subject.names[where[1]]}"


def _at_name_row(key: str) -> Callable[[Subject, Where], str]:
    return lambda subject, where: f"/{key}/{subject.names[where[1]]}/{where[0]}"


def _at_line(first: int) -> Callable[[Subject, Where], str]:
    return lambda _, where: f"/{where[0] + first}/{where[1]}"


PREDICT, V2, V1 = "/predict/{id}", "/v2/models/{name}/infer", "/v1/models/{name}:predict"
MLFLOW, SAGEMAKER = "/models/{name}/invocations", "/endpoints/{name}/invocations"
CSV = "text/csv"
BINARY = "application/octet-stream"


def _scoring(path: str, label: str, *, header: bool) -> list[Form]:
    split = _at_row_column("dataframe_split/data")
    return [
        Form(f"{label} split", path, as_split, split, names=True),
        Form(
            f"{label} records",
            path,
            _records_under("dataframe_records"),
            _at_row_name("dataframe_records"),
            names=True,
        ),
        Form(f"{label} instances", path, _rows_under("instances"), _at_row_column("instances"), names=False),
        Form(f"{label} inputs", path, _rows_under("inputs"), _at_row_column("inputs"), names=False),
        Form(f"{label} columns", path, _columns_under("inputs"), _at_name_row("inputs"), names=True),
        Form(f"{label} csv", path, _csv(header=True), _at_line(1), names=True, content_type=CSV, text=True),
        *(
            []
            if header
            else [
                Form(
                    f"{label} bare csv",
                    path,
                    _csv(header=False),
                    _at_line(0),
                    names=False,
                    content_type=CSV,
                    text=True,
                )
            ]
        ),
    ]


FORMS = (
    Form("rows", PREDICT, _rows_under("inputs"), _at_row_column("inputs"), names=False),
    Form("columns", PREDICT, _columns_under("inputs"), _at_name_row("inputs"), names=True),
    Form("records", PREDICT, _records_under("records"), _at_row_name("records"), names=True),
    Form("split", PREDICT, as_split, _at_row_column("dataframe_split/data"), names=True),
    Form(
        "v2 tensor",
        V2,
        _one_tensor,
        lambda subject, where: f"/inputs/0/data/{where[0] * len(subject.names) + where[1]}",
        names=False,
    ),
    Form("v2 tensors", V2, _tensors, lambda _, where: f"/inputs/{where[1]}/data/{where[0]}", names=True),
    Form(
        "v2 binary",
        V2,
        _binary,
        lambda _, where: f"/inputs/{where[1]}/data/{where[0]}",
        names=True,
        content_type=BINARY,
    ),
    Form("v1 rows", V1, _rows_under("instances"), _at_row_column("instances"), names=False),
    Form("v1 records", V1, _records_under("instances"), _at_row_name("instances"), names=True),
    *_scoring(MLFLOW, "mlflow", header=True),
    *_scoring(SAGEMAKER, "sagemaker", header=False),
)
