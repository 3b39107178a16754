"""Requests that do not fit a model, of every kind and in every form, and what each must be told.

A fault is made in a table (a cell, a name, a row's length), which every form of `wire_forms` then writes down
as its protocol has it; what is wrong with a body as such, or with a tensor, is added per route.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tests.support.wire_forms import (
    BINARY,
    FORMS,
    KINDS,
    MLFLOW,
    PREDICT,
    SAGEMAKER,
    V1,
    V2,
    Case,
    Form,
    Inexpressible,
    Subject,
    Table,
    as_split,
    binary,
    columns_of,
    dumped,
    packed,
)  # fmt: skip

SECRET = "never-tell-2718"
"""Stands in wrong texts: no answer may hold it."""

TOO_MANY = 20_001
REFUSED = frozenset({400, 413, 415, 422})
_HUGE_INTEGER = b"9" * 400

# --- faults in a table


def _cells(subject: Subject, name: str) -> Iterator[tuple[str, Any, str]]:
    """What cannot stand in a column: label, value, the words that say so."""
    kind = subject.kinds[name]
    _, expected, _ = KINDS[kind]
    yield "an array", [SECRET], expected
    yield "an object", {SECRET: 1}, expected
    yield "a boolean", True, expected
    if name not in subject.nullable:
        yield "null", None, "got"
    if kind == "string":
        yield "a whole number", 7, expected
        yield "a number", 0.5, expected
        return
    yield "a text", SECRET, expected
    yield "a number in quotes", "1.5", expected
    yield "a long text", SECRET * 50_000, expected


def _text_cells(subject: Subject, name: str) -> Iterator[tuple[str, Any, str]]:
    """The same where all that is sent is text."""
    if subject.kinds[name] == "string":
        return
    for text in (SECRET, "0x10", "1_000", "1,5", "true", "1 2", "--1", "١٢", "1e", "\x00"):
        yield f"{text[:8]!r}", text, "a number"
    yield "a long text", SECRET * 5_000, "a number"
    for text in ("Infinity", "-inf", "1e400", "9" * 400):
        yield f"{text[:8]!r}", text, "finite"
    if name not in subject.nullable:
        yield "nothing", None, "null"
        yield "NaN", "NaN", "null"


def _wrong_cells(form: Form, subject: Subject) -> Iterator[Case]:
    for column, name in enumerate(subject.names):
        for label, value, words in (_text_cells if form.text else _cells)(subject, name):
            rows = [list(row) for row in subject.rows]
            rows[1][column] = value
            told = {"statuses": frozenset({422}), "words": (form.point(subject, (1, column)), words)}
            yield from _expressed(form, subject, f"{label} in {name}", Table(subject.names, rows), **told)


def _raw_cells(form: Form, subject: Subject) -> Iterator[Case]:
    """What Python's own JSON takes and others do not: lenient protocols read it where NaN is beside it."""
    deep = b"[" * 5_000 + b"]" * 5_000
    raw = (b"Infinity", b"-Infinity", b'"\\ud800"', b'{"\\ud800": 1}', _HUGE_INTEGER, b"9" * 5_000, deep)
    if form.text or form.content_type != "application/json":
        return
    for column, name in enumerate(subject.names):
        for value in raw:
            rows = [list(row) for row in subject.rows]
            rows[1][column] = "@raw@"
            rows[0][0] = rows[0][0] if column == 0 else "@nan@"
            for case in _expressed(form, subject, f"{value[:12]!r} in {name}", Table(subject.names, rows)):
                body = case.body.replace(b'"@raw@"', value)
                yield replace(case, body=body.replace(b'"@nan@"', b"NaN"))
                alone = body.replace(b'"@nan@"', json.dumps(subject.rows[0][0]).encode())
                yield replace(case, body=alone.replace(b"{", b'{"more": NaN, ', 1))
    names = [*subject.names[:-1], "@name@"]
    for case in _expressed(form, subject, "a surrogate for a name", Table(names, subject.rows)):
        if form.names:
            body = case.body.replace(b"@name@", b"\\ud800").replace(b"[", b"[NaN, ", 1)
            yield replace(case, body=body)


def _expressed(form: Form, subject: Subject, label: str, table: Table, **told: Any) -> Iterator[Case]:
    try:
        yield form.case(subject, label, table, **told)
    except Inexpressible:
        return


def _wrong_tables(form: Form, subject: Subject) -> Iterator[Case]:
    names, rows, width = subject.names, subject.rows, len(subject.names)
    unfit = frozenset({422})
    bare = form.text and form.path == SAGEMAKER  # a first line of other names is a row to it
    for column, name in enumerate(names):
        left = Table(names[:column] + names[column + 1 :], [row[:column] + row[column + 1 :] for row in rows])
        told = name if form.names and width > 1 and not bare else ""
        yield from _expressed(form, subject, f"without {name}", left, statuses=unfit, words=(told,))
        if form.names and not form.text and not (width == 1 and form.path == V2):
            other = Table([*names[:column], f"{name} ", *names[column + 1 :]], rows)
            told = (name, "column")
            yield from _expressed(form, subject, f"{name} misnamed", other, statuses=unfit, words=told)
    extra = Table([*names, "more"], [[*row, 0.5] for row in rows])
    yield from _expressed(form, subject, "a column more", extra, statuses=unfit, words=("expected",))
    renamed = Table([f"my {name}" for name in names], rows)
    if form.names and not bare and not (width == 1 and form.path == V2):
        told = (names[0], "column")
        yield from _expressed(form, subject, "other names", renamed, statuses=unfit, words=told)
    for label, row in (("short", rows[1][:-1]), ("long", [*rows[1], rows[1][-1]])):
        if width == 1 and (form.text or form.names) and form.write is not as_split:
            continue  # a column that is shorter: fewer rows, all of them whole
        if form.label == "v2 binary" or (label == "long" and form.names and form.write is not as_split):
            continue  # by name there is no cell beyond the last
        ragged = Table(names, [rows[0], row, *rows[2:]])
        yield from _expressed(form, subject, f"a {label} row", ragged, statuses=unfit)
    yield from _expressed(form, subject, "no rows", Table(names, []), statuses=unfit, words=("expected",))
    many = Table(names, [rows[0]] * TOO_MANY)
    if width * TOO_MANY < 150_000:
        yield from _expressed(
            form, subject, "too many rows", many, statuses=frozenset({413}), words=("at most 20000 rows",)
        )


# --- faults in a body


ROUTES = {
    PREDICT: ("inputs", "records", "dataframe_split"),
    V2: ("inputs",),
    V1: ("instances",),
    MLFLOW: ("dataframe_split", "dataframe_records", "instances", "inputs"),
    SAGEMAKER: ("dataframe_split", "dataframe_records", "instances", "inputs"),
}
_JSON = {"Content-Type": "application/json"}
_NOT_JSON = ("text/plain", "application/xml", "multipart/form-data; boundary=x", "image/png")


def _wrong_bodies(route: str, subject: Subject) -> Iterator[Case]:
    path = route.format(name=subject.name, id=subject.model_id)
    first = next(form for form in FORMS if form.path == route and _can(form, subject))
    good = first.case(subject, "", Table(subject.names, subject.rows)).body
    keys = ROUTES[route]

    def case(label: str, body: bytes, *statuses: int, words: tuple[str, ...] = (), **headers: str) -> Case:
        given = _JSON | {name.replace("_", "-"): value for name, value in headers.items()}
        return Case(f"{path.split('/')[1]} body: {label}", path, body, given, frozenset(statuses), words)

    malformed: list[tuple[str, bytes]] = [
        ("empty", b""),
        ("blank", b" \n\t "),
        ("cut off", good[:-2]),
        ("half", good[: len(good) // 2]),
        ("two values", good + good),
        ("text", SECRET.encode()),
        ("a form", b"inputs=" + SECRET.encode()),
        ("with a BOM", b"\xef\xbb\xbf" + good),
        ("UTF-16", good.decode().encode("utf-16")),
        ("UTF-32", good.decode().encode("utf-32")),
        ("latin-1", b'{"' + keys[0].encode() + b'": ["Gen\xe8ve"]}'),
        ("gzip", gzip.compress(good)),
        ("zeros", bytes(100)),
        ("brackets", b"[" * 100_000),
        ("deep", b'{"' + keys[0].encode() + b'":' + b"[" * 5_000 + b"]" * 5_000 + b"}"),
        ("single quotes", good.replace(b'"', b"'")),
        ("a comma more", good[:-1] + b",}"),
        ("a comment", b"/* */" + good),
        ("a surrogate", b'{"' + keys[0].encode() + b'": ["\\ud800"]}'),
    ]
    for label, body in malformed:
        hint = {"gzip": "without compression", "with a BOM": "byte order mark"}.get(label, "JSON")
        yield case(label, body, 400, words=(hint, f'"{keys[0]}"'))
    for label, digits in (("1e400", b"1e400"), ("400 digits", _HUGE_INTEGER)):
        body = b'{"%s": [[%s]]}' % (keys[0].encode(), digits)
        yield case(label, body, 400, words=("JSON", "1.8e308"))
    for label, body in (("an array", b"[]"), ("null", b"null"), ("a text", b'"x"'), ("a number", b"7")):
        yield case(label, body, 400, words=("object", f'"{keys[0]}"'))
    yield case("an empty object", b"{}", 422, words=("expected", keys[0]))
    yield case("an unknown key", b'{"%s": []}' % SECRET.encode()[:5], 422, words=("expected", keys[0]))
    for key in keys:
        for value in ("null", "7", '"x"', "true", "{}", "[]", "[null]", "[[]]", "[[[]]]", "[{}]", '{"a":7}'):
            body = b'{"%s": %s}' % (key.encode(), value.encode())
            yield case(f"{key}: {value}", body, 422, words=(f"/{key}",))
    if len(keys) > 1:
        both = {keys[0]: subject.rows, keys[1]: subject.rows}
        yield case("two forms at once", dumped(both), 422, words=("one of", keys[1]))
    strict = route not in (V1, V2)  # clients of these send no type, or another
    for kind in _NOT_JSON:
        statuses = (415,) if strict else (400,)
        yield case(
            f"as {kind}",
            SECRET.encode(),
            *statuses,
            words=("application/json",) if strict else ("JSON",),
            Content_Type=kind,
        )
    yield case(
        "an encoding", gzip.compress(good), 400, 415, words=("without compression",), Content_Encoding="gzip"
    )


def _can(form: Form, subject: Subject) -> bool:
    try:
        form.write(subject, Table(subject.names, subject.rows))
    except Inexpressible:
        return False
    return True


# --- faults in tensors


def _wrong_tensors(subject: Subject) -> Iterator[Case]:
    path = V2.format(name=subject.name, id=subject.model_id)
    rows = len(subject.rows)
    columns = columns_of(Table(subject.names, subject.rows))
    good = [
        {"name": name, "shape": [rows], "datatype": KINDS[kind][0], "data": columns[name]}
        for name, kind in subject.kinds.items()
    ]

    def case(label: str, first: dict[str, Any] | Any, *words: str, **more: Any) -> Case:
        body = dumped({"inputs": [first, *good[1:]], **more})
        return Case(f"v2 tensor: {label}", path, body, _JSON, frozenset({422}), words)

    one = good[0]
    at = "/inputs/0"
    for field_name in ("name", "shape", "datatype", "data"):
        left = {name: value for name, value in one.items() if name != field_name}
        yield case(f"without {field_name}", left, f"{at}/{field_name}", "expected")
        yield case(f"{field_name}: an object", one | {field_name: {}}, f"{at}/{field_name}", "expected")
    for shape in (
        [],
        [-rows],
        [rows + 1],
        [rows, 2],
        [0],
        [10**15],
        [1.5],
        ["2"],
        [True],
        [rows] * 9,
        [[rows]],
    ):
        yield case(f"shape {shape}", one | {"shape": shape}, at, "expected")
    for datatype in ("FP128", "fp64", "", "STRING", "BF16"):
        yield case(f"datatype {datatype}", one | {"datatype": datatype}, f"{at}/datatype", "expected one of")
    other = "BYTES" if subject.kinds[subject.names[0]] != "string" else "INT32"
    yield case(f"as {other}", one | {"datatype": other}, f"{at}/data/0", "expected")
    yield case("a text for a tensor", SECRET, at, "expected a tensor")
    yield case("ragged data", one | {"shape": [rows, 1], "data": [[1], [1, 2]]}, f"{at}/data", "expected")
    yield case("a number as id", one, "/id", "expected a string", id=7)
    yield case("outputs: a text", one, "/outputs", "expected an array", outputs=SECRET)
    yield case("outputs: no name", one, "/outputs/0", "expected", outputs=[{}])
    yield case("an unknown output", one, "expected some of predict", outputs=[{"name": SECRET}])
    yield case("shared memory", one | {"parameters": {"shared_memory_region": "r"}}, "shared memory")
    twice = dumped({"inputs": [*good, one]})
    yield Case("v2 tensor: twice", path, twice, _JSON, frozenset({422}), ("once",))
    yield from _wrong_binary(subject, path)


def _wrong_binary(subject: Subject, path: str) -> Iterator[Case]:
    columns = columns_of(Table(subject.names, subject.rows))
    rows = len(subject.rows)
    tensors = [
        {"name": name, "shape": [rows], "datatype": KINDS[kind][0]} for name, kind in subject.kinds.items()
    ]
    data = [packed(kind, columns[name]) for name, kind in subject.kinds.items()]
    first, size, at = data[0], len(data[0]), "/inputs/0"

    def case(
        label: str, tensor: dict[str, Any], part: bytes, *words: str, status: int = 422, **headers: str
    ) -> Case:
        body, own = binary([tensors[0] | tensor, *tensors[1:]], [part, *data[1:]])
        given = own | {name.replace("_", "-"): value for name, value in headers.items()}
        kind = {"Content-Type": BINARY}
        return Case(f"v2 binary: {label}", path, body, kind | given, frozenset({status}), words)

    stated = lambda count: {"parameters": {"binary_data_size": count}}  # noqa: E731
    length = "binary_data_size"
    yield case("a byte less", {}, first[:-1], f"{at}/parameters/{length}", "expected")
    yield case("a byte more", {}, first + b"\0", f"{at}/parameters/{length}", "expected")
    yield case("no bytes", {}, b"", f"{at}/parameters/{length}", "expected")
    yield case("size beyond the body", stated(10**9), first, f"{at}/parameters/{length}", "expected")
    for wrong in (-1, 1.5, str(size), True, None):
        yield case(f"size {wrong!r}", stated(wrong), first, f"{at}/parameters/{length}", "expected")
    yield case("more rows than bytes", {"shape": [10**12]}, first, f"{at}/parameters/{length}", "expected")
    head = "Inference-Header-Content-Length"
    for text in ("x", "-1", "1e3", "999999999", "99999999999999999999", "0x10", ""):
        yield case(f"header {text!r}", {}, first, head, status=400, **{head.replace("-", "_"): text})
    for text, words in (("0", "JSON"), ("7", "JSON")):
        yield case(f"header {text!r}", {}, first, words, status=400, **{head.replace("-", "_"): text})
    body, headers = binary(tensors, data)
    surplus = (("more than is stated", body + b"\0" * 9), ("less than is stated", body[:-1]))
    for label, sent in surplus:
        yield Case(f"v2 binary: {label}", path, sent, headers, frozenset({400, 422}), (length,))
    if subject.kinds[subject.names[0]] == "string":
        broken = packed("string", ["a"] * (rows - 1)) + struct.pack("<I", 2) + b"\xff\xfe"
        yield case("no UTF-8", {}, broken, f"{at}/data/{rows - 1}", "UTF-8")
        yield case("a length too long", {}, b"\xff\xff\xff\x7f" + first[4:], f"{at}/parameters", "expected")
    else:
        texts = packed("string", [SECRET] * rows)
        yield case("texts", {"datatype": "BYTES"}, texts, f"{at}/data/0", "expected a number")
        for label, number in (("inf", np.inf), ("-inf", -np.inf)):
            numbers = np.array([0.5] * (rows - 1) + [number]).tobytes()
            yield case(label, {"datatype": "FP64"}, numbers, f"{at}/data/{rows - 1}", "finite")
        if subject.names[0] not in subject.nullable:
            numbers = np.array([np.nan] * rows).tobytes()
            yield case("nan", {"datatype": "FP64"}, numbers, f"{at}/data/0", "NaN")
        yield case("booleans", {"datatype": "BOOL"}, b"\1" * rows, f"{at}/data/0", "expected a number")


# --- all of them


def wrong_cases(subject: Subject) -> list[Case]:
    """Every request that must be refused."""
    cases: list[Case] = []
    for form in FORMS:
        cases += _wrong_cells(form, subject)
        cases += _raw_cells(form, subject)
        cases += _wrong_tables(form, subject)
    for route in ROUTES:
        cases += _wrong_bodies(route, subject)
    cases += _wrong_tensors(subject)
    return cases


def extreme_cases(subject: Subject) -> list[Case]:
    """Odd values that may fit or not, as the model has it; the answer must never blame the platform."""
    odd: dict[str, list[Any]] = {
        "number": [1e39, -1e39, 1.7e308, -1.7e308, 5e-324, 2**63, -(2**64), 1e18],
        "integer": [1e39, 1.5, 2**63, -(2**64), 2**31],
        "string": ["", " ", "\x00", "\ufdd0", "😀" * 10_000, "a" * 500_000, "\u202e", "NaN", "null"],
    }
    cases = []
    for form in FORMS:
        for column, name in enumerate(subject.names):
            for value in odd[subject.kinds[name]]:
                rows = [list(row) for row in subject.rows]
                rows[1][column] = value
                told = {"statuses": REFUSED | {200}}
                label = f"{str(value)[:8]!r} in {name}"
                cases += _expressed(form, subject, label, Table(subject.names, rows), **told)
        flat = [list(row) for row in subject.rows]
        for row in flat:
            row[:] = [
                1.7e308 if subject.kinds[name] == "number" else cell
                for name, cell in zip(subject.names, row, strict=True)
            ]
        cases += _expressed(form, subject, "all huge", Table(subject.names, flat), statuses=REFUSED | {200})
    return cases


def reordered_cases(subject: Subject) -> list[Case]:
    """The same rows with their columns in another order: right wherever columns have names."""
    order = list(range(len(subject.names)))[::-1]
    table = Table([subject.names[at] for at in order], [[row[at] for at in order] for row in subject.rows])
    cases: list[Case] = []
    for form in FORMS:
        if form.names:
            cases += _expressed(form, subject, "reordered", table, statuses=frozenset({200}))
    return cases


def predictions_of(case: Case, body: Any) -> list[Any]:
    """The values of an answer, whatever its protocol."""
    return list(body["outputs"][0]["data"] if case.path.startswith("/v2/") else body["predictions"])


def complaints(case: Case, status: int, content_type: str, text: str) -> list[str]:
    """What is wrong with the answer to a wrong request; nothing: it is as it should be."""
    found = []
    if status not in case.statuses:
        found.append(f"status {status}, not one of {sorted(case.statuses)}")
    if SECRET in text or "Traceback" in text:
        found.append("what was sent, or a trace, is in the answer")
    if status != 200:
        found += _shape(case, content_type, text)
        told = json.dumps(json.loads(text), ensure_ascii=False).replace('\\"', '"')
        found += [f"does not say {word!r}" for word in case.words if word not in told]
    return [f"{case.label}: {what}: {text[:300]}" for what in found]


def _shape(case: Case, content_type: str, text: str) -> list[str]:
    body = json.loads(text)
    if case.path.startswith("/predict/"):
        expected, keys = (
            "application/problem+json",
            {"type", "title", "status", "detail", "instance", "request_id"},
        )
        if not keys <= body.keys():
            return ["not the members of a problem"]
    else:
        expected = "application/json"
        keys = {"error"} if case.path.startswith(("/v1/", "/v2/")) else {"error_code", "message"}
        if body.keys() != keys:
            return ["not the members of this protocol's errors"]
    return [] if content_type == expected else [f"content type {content_type}"]
