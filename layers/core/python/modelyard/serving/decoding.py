"""Request bodies to batches: every form of the wire, checked against the signature, wrong places named.

Nothing that a caller sends may get past this module and then fail in a runtime: what the model cannot take is
refused here, with a JSON pointer to the place, what was expected, and the kind of thing that stood there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson

from modelyard.kit.errors import FieldError
from modelyard.serving.errors import InvalidInput, MalformedBody, TooManyRows
from modelyard.serving.rules import kind_of, rules_of
from modelyard.serving.signature import Signature

MAX_ROWS = 20_000
MAX_ERRORS = 20  # told to the caller; more help nobody
FORMS = ("inputs", "records", "dataframe_split")
_FORMS_TEXT = '"inputs", "records" or "dataframe_split"'
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_LONGEST_NAME = 64  # of a foreign column name in an error

Pointer = Callable[[int, int], str]
"""The JSON pointer of (row, column) in the body as it was sent."""


@dataclass(slots=True)
class Batch:
    """Checked rows, column-major in the order of `Signature.columns`; None is a missing value.

    A model of layout `records` has one column whose values are objects.
    """

    columns: list[Sequence[Any]]
    rows: int
    form: str = "columns"  # how the body was read


def decode(body: bytes | dict[str, Any], signature: Signature) -> Batch:
    """`Decoder(signature).decode(body)`; keep a `Decoder` where many bodies meet one signature."""
    return Decoder(signature).decode(body)


def decode_rows(rows: Sequence[Any], signature: Signature) -> tuple[Batch, dict[int, FieldError]]:
    """`Decoder(signature).decode_rows(rows)`."""
    return Decoder(signature).decode_rows(rows)


def parse(body: bytes) -> dict[str, Any]:
    """The body as a JSON object; raises `MalformedBody`."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise malformed(
            body, error, _FORMS_TEXT, "JSON has no NaN or Infinity: null is a missing value. "
        ) from None
    if type(data) is not dict:
        raise MalformedBody(f"The body must be a JSON object with {_FORMS_TEXT}, got {kind_of(data)}.")
    return data


def malformed(body: bytes, error: orjson.JSONDecodeError, expected: str, hint: str = "") -> MalformedBody:
    """The answer to a body that is no JSON: what it seems to be instead, and what to send."""
    if not body.strip():
        what = "is empty."
    elif body.startswith(_GZIP):
        what = "is compressed; send it without compression."
    elif body.startswith(_BYTE_ORDER_MARKS):
        what = "begins with a byte order mark; send plain UTF-8."
    else:
        what = (
            f"is not valid JSON in UTF-8 (line {error.lineno}, column {error.colno}). {hint}"
            "Numbers go up to 1.8e308."
        )
    return MalformedBody(f"The body {what} Send a JSON object with {expected}.")


class Decoder:
    """Reads bodies for one signature."""

    def __init__(self, signature: Signature, *, max_rows: int = MAX_ROWS) -> None:
        self.signature = signature
        self.max_rows = max_rows
        self.names = [column.name for column in signature.columns]
        self._width = len(self.names)
        self._index = {name: index for index, name in enumerate(self.names)}
        self._rules = rules_of(signature)
        self._objects = signature.layout == "records"
        # Columns that are checked alike are checked in one go, whatever their number.
        alike = {rule.simple for rule in self._rules}
        self._uniform = self._rules[0] if len(alike) == 1 and None not in alike else None

    # --- whole bodies

    def decode(self, body: bytes | dict[str, Any]) -> Batch:
        """The batch of a body; raises `MalformedBody`, `InvalidInput` or `TooManyRows`."""
        data = parse(body) if isinstance(body, (bytes, bytearray)) else body
        forms = [form for form in FORMS if form in data]
        if len(forms) != 1 or len(data) != 1:
            raise _wrong_keys(data, forms)
        form = forms[0]
        value = data[form]
        if self._objects:
            return self._free_records(form, value)
        if form == "records":
            columns, pointer = self._records(value)
        elif form == "dataframe_split":
            columns, pointer = self._split(value)
        elif type(value) is dict:
            columns, pointer = self._by_column(value)
        else:
            columns, pointer = self._inputs(value)
        self._check(columns, pointer)
        return Batch(columns, len(columns[0]), form)

    def _inputs(self, rows: Any) -> tuple[list[Sequence[Any]], Pointer]:
        self._expect_rows(rows, "/inputs", 'rows such as [[1, 2], [3, 4]], or columns such as {"a": [1, 3]}')
        if type(rows[0]) is not list:
            return self._one_dimension(rows)
        return self._positional(rows, "/inputs"), lambda row, column: f"/inputs/{row}/{column}"

    def _one_dimension(self, values: list[Any]) -> tuple[list[Sequence[Any]], Pointer]:
        """One row, or one value per row where the model has a single column."""
        if any(type(value) in (list, dict) for value in values):
            kinds = {kind_of(value) for value in values}
            hint = ' Objects go under "records".' if "an object" in kinds else ""
            raise invalid([FieldError("/inputs", f"expected rows that are all arrays.{hint}".rstrip("."))])
        if self._width == 1:
            return [values], lambda row, _: f"/inputs/{row}"
        if len(values) != self._width:
            raise invalid([FieldError("/inputs", self._width_problem(len(values)))])
        return [[value] for value in values], lambda _, column: f"/inputs/{column}"

    def _positional(self, rows: Sequence[Any], where: str) -> list[Sequence[Any]]:
        errors = []
        for number, row in enumerate(rows):
            if type(row) is not list:
                errors.append(FieldError(f"{where}/{number}", f"expected an array, got {kind_of(row)}"))
            elif len(row) != self._width:
                errors.append(FieldError(f"{where}/{number}", self._width_problem(len(row))))
            if len(errors) == MAX_ERRORS:
                break
        if errors:
            raise invalid(errors)
        return list(zip(*rows, strict=True))

    def _by_column(self, data: dict[str, Any]) -> tuple[list[Sequence[Any]], Pointer]:
        errors = self._name_errors(data, "/inputs")
        for name, values in data.items():
            if type(values) is not list:
                got = kind_of(values)
                errors.append(FieldError(join("/inputs", name), f"expected an array of values, got {got}"))
        lengths = {len(values) for values in data.values() if type(values) is list}
        if len(lengths) > 1:
            errors.append(
                FieldError("/inputs", "expected columns of one length, got columns of several lengths")
            )
        if errors:
            raise invalid(errors)
        self._expect_rows(data[self.names[0]], join("/inputs", self.names[0]), "an array of values")
        names = self.names
        return [data[name] for name in names], lambda row, column: f"{join('/inputs', names[column])}/{row}"

    def _records(self, records: Any) -> tuple[list[Sequence[Any]], Pointer]:
        self._expect_rows(records, "/records", 'objects such as [{"a": 1, "b": 2}]')
        names, width = self.names, self._width
        try:
            if all(len(record) == width for record in records):
                columns: list[Sequence[Any]] = [[record[name] for record in records] for name in names]
                return columns, lambda row, column: join(f"/records/{row}", names[column])
        except (KeyError, TypeError):
            pass  # some record is no object, or lacks a name: say which
        errors: list[FieldError] = []
        for number, record in enumerate(records):
            errors += self._record_errors(record, f"/records/{number}")
            if len(errors) >= MAX_ERRORS:
                break
        raise invalid(errors)

    def _split(self, frame: Any) -> tuple[list[Sequence[Any]], Pointer]:
        where = "/dataframe_split"
        if type(frame) is not dict:
            raise invalid(
                [FieldError(where, f'expected an object with "columns" and "data", got {kind_of(frame)}')]
            )
        names, rows = frame.get("columns"), frame.get("data")
        if type(names) is not list:
            raise invalid(
                [FieldError(f"{where}/columns", f"expected an array of names, got {kind_of(names)}")]
            )
        if not self.signature.named and names == list(range(len(names))):
            names = [f"x{index}" for index in names]  # pandas numbers the columns of an unnamed frame
        if not all(type(name) is str for name in names) or len(set(names)) != len(names):
            raise invalid([FieldError(f"{where}/columns", "expected distinct names, all strings")])
        errors = self._name_errors(dict.fromkeys(names), f"{where}/columns", keyed=False)
        if errors:
            raise invalid(errors)
        sent = self._positional(
            self._expect_rows(rows, f"{where}/data", "rows such as [[1, 2]]"), f"{where}/data"
        )
        order = [names.index(name) for name in self.names]
        return [sent[place] for place in order], lambda row, column: f"{where}/data/{row}/{order[column]}"

    def _free_records(self, form: str, value: Any) -> Batch:
        """Objects of any keys, for models that take dictionaries: one column of objects."""
        if form != "records":
            raise invalid([FieldError(f"/{form}", 'this model takes objects: send "records" instead')])
        self._expect_rows(value, "/records", 'objects such as [{"a": 1}]')
        errors = []
        for number, record in enumerate(value):
            trouble = _free_record_problem(record)
            if trouble:
                errors.append(FieldError(f"/records/{number}", trouble))
            if len(errors) == MAX_ERRORS:
                break
        if errors:
            raise invalid(errors)
        return Batch([value], len(value), form)

    # --- what other protocols have read

    def take(self, columns: list[Sequence[Any]], pointer: Pointer, form: str) -> Batch:
        """The batch of `columns`, of equal length and in the signature's order, checked like any other."""
        rows = len(columns[0])
        self.check_count(rows, pointer(0, 0))
        self._check(columns, pointer)
        return Batch(columns, rows, form)

    # --- rows of a job

    def decode_rows(self, rows: Sequence[Any]) -> tuple[Batch, dict[int, FieldError]]:
        """The good rows as a batch, and the first error of each bad one by its index in `rows`.

        A row is an array in column order or an object by column name. Pointers begin at the row: `/price`.
        """
        errors: dict[int, FieldError] = {}
        good: list[Sequence[Any]] = []
        for number, row in enumerate(rows):
            values = self._row(row)
            if isinstance(values, FieldError):
                errors[number] = values
            else:
                good.append(values)
        columns: list[Sequence[Any]] = list(zip(*good, strict=True)) if good else [()] * max(self._width, 1)
        if not self._objects and not self._fits(columns):
            return self._sift(rows)
        return Batch(columns, len(good), "rows"), errors

    def _sift(self, rows: Sequence[Any]) -> tuple[Batch, dict[int, FieldError]]:
        """The slow way of `decode_rows`, value by value."""
        errors: dict[int, FieldError] = {}
        good: list[Sequence[Any]] = []
        for number, row in enumerate(rows):
            values = self._row(row)
            if isinstance(values, FieldError):
                errors[number] = values
                continue
            for column, value in enumerate(values):
                trouble = self._rules[column].problem(value)
                if trouble:
                    pointer = join("", self.names[column]) if type(row) is dict else f"/{column}"
                    errors[number] = FieldError(pointer, trouble)
                    break
            else:
                good.append(values)
        columns: list[Sequence[Any]] = list(zip(*good, strict=True)) if good else [()] * self._width
        return Batch(columns, len(good), "rows"), errors

    def _row(self, row: Any) -> Sequence[Any] | FieldError:
        """One row's values in column order, of the right number; their kinds are not checked yet."""
        if self._objects:
            trouble = _free_record_problem(row)
            return FieldError("", trouble) if trouble else (row,)
        if type(row) is dict:
            if len(row) == self._width:
                try:
                    return [row[name] for name in self.names]
                except KeyError:
                    pass
            return self._record_errors(row, "")[0]
        if type(row) is not list and type(row) is not tuple:
            if self._width == 1:
                return (row,)
            return FieldError("", f"expected an array or an object, got {kind_of(row)}")
        return row if len(row) == self._width else FieldError("", self._width_problem(len(row)))

    # --- checks

    def _fits(self, columns: list[Sequence[Any]]) -> bool:
        if self._uniform is not None:
            return self._uniform.fits(columns[0] if self._width == 1 else list(chain.from_iterable(columns)))
        return all(rule.fits(column) for rule, column in zip(self._rules, columns, strict=True))

    def _check(self, columns: list[Sequence[Any]], pointer: Pointer) -> None:
        """Raises `InvalidInput` naming the wrong values, row by row."""
        if self._fits(columns):
            return
        found = []
        for index, (rule, column) in enumerate(zip(self._rules, columns, strict=True)):
            in_column = 0
            for row, value in enumerate(column):
                trouble = rule.problem(value)
                if trouble:
                    found.append((row, index, trouble))
                    in_column += 1
                    if in_column == MAX_ERRORS:
                        break
        if not found:
            return
        found.sort()
        raise invalid([FieldError(pointer(row, column), trouble) for row, column, trouble in found])

    def _expect_rows(self, rows: Any, where: str, form: str) -> list[Any]:
        if type(rows) is not list:
            raise invalid([FieldError(where, f"expected {form}, got {kind_of(rows)}")])
        self.check_count(len(rows), where)
        return rows

    def check_count(self, rows: int, where: str) -> None:
        """Raises `InvalidInput` for no rows and `TooManyRows`."""
        if not rows:
            raise invalid([FieldError(where, "expected at least one row, got none")])
        if rows > self.max_rows:
            raise TooManyRows(
                f"One request takes at most {self.max_rows} rows. Send more as a job to /api/predict/batch/…"
            )

    def _width_problem(self, got: int) -> str:
        return f"expected {self._width} value{'s' * (self._width != 1)} ({_listed(self.names)}), got {got}"

    def _record_errors(self, record: Any, where: str) -> list[FieldError]:
        if type(record) is not dict:
            return [FieldError(where, f"expected an object, got {kind_of(record)}")]
        return self._name_errors(record, where)

    def _name_errors(self, names: dict[str, Any], where: str, *, keyed: bool = True) -> list[FieldError]:
        """Missing and foreign names. `keyed`: the pointer may go on with the name."""
        errors = []
        for missing in (name for name in self.names if name not in names):
            errors.append(FieldError(join(where, missing) if keyed else where, f"missing column {missing!r}"))
        expected = f"unknown column; expected {_listed(self.names)}"
        for extra in (name for name in names if name not in self._index):
            named = keyed and len(extra) <= _LONGEST_NAME
            errors.append(FieldError(join(where, extra) if named else where, expected))
        return errors[:MAX_ERRORS]


def _free_record_problem(record: Any) -> str | None:
    if type(record) is not dict:
        return f"expected an object, got {kind_of(record)}"
    for value in record.values():
        if type(value) not in (int, float, str, bool):
            return f"expected values that are numbers, strings or booleans, got {kind_of(value)}"
        if type(value) is float and value - value != 0:
            return "expected finite numbers, got an infinite one or NaN"
    return None


def _wrong_keys(data: dict[str, Any], forms: list[str]) -> InvalidInput:
    if len(forms) > 1:
        return invalid([FieldError("", f"expected one of {_FORMS_TEXT}, got {len(forms)} of them")])
    if not forms:
        return invalid([FieldError("", f"expected {_FORMS_TEXT}, found none of them")])
    extra = [name for name in data if name not in FORMS]
    where = join("", extra[0]) if len(extra[0]) <= _LONGEST_NAME else ""
    return invalid([FieldError(where, f"unknown key; the body holds {_FORMS_TEXT} and nothing else")])


def invalid(errors: list[FieldError]) -> InvalidInput:
    """The answer to rows with these errors."""
    shown = errors[:MAX_ERRORS]
    what = "1 place is wrong" if len(errors) == 1 else f"{len(errors)} places are wrong"
    if len(errors) > MAX_ERRORS:
        what = f"More than {MAX_ERRORS} places are wrong"
    return InvalidInput(f"{what}; the first: {shown[0].pointer or '/'}: {shown[0].detail}.", errors=shown)


def _listed(names: list[str], most: int = 10) -> str:
    text = ", ".join(names[:most])
    return text if len(names) <= most else f"{text}, … {len(names) - most} more"


def join(pointer: str, name: str) -> str:
    """RFC 6901: `~` and `/` are escaped."""
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
