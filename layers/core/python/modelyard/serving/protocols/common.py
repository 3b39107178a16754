"""What the protocols share: lenient JSON, pointers into the body as it was sent, outputs by their names."""

from __future__ import annotations

import json
from typing import Any

import orjson

from modelyard.kit.errors import FieldError
from modelyard.serving.answers import WIRE_NAMES
from modelyard.serving.decoding import Batch, Decoder, invalid, malformed
from modelyard.serving.errors import InvalidInput, MalformedBody
from modelyard.serving.rules import kind_of
from modelyard.serving.signature import Signature

_LONG_INTEGER = 19  # digits that 64 bits may not hold


def parse_object(body: bytes, expected: str) -> dict[str, Any]:
    """The body as a JSON object; raises `MalformedBody`.

    Clients of these protocols write missing numbers as `NaN`, as Python's own `json` does: it becomes null.
    """
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        data = _with_nan(body) if b"NaN" in body or b"Infinity" in body else None
        if data is None:
            raise malformed(body, error, expected) from None
    if type(data) is not dict:
        raise MalformedBody(f"The body must be a JSON object with {expected}, got {kind_of(data)}.")
    return data


def _with_nan(body: bytes) -> Any:
    """The body as Python reads it; None for what no protocol can mean."""

    def constant(text: str) -> float | None:
        return None if text == "NaN" else float(text)

    def integer(text: str) -> int | float:  # beyond 64 bits a float, as everywhere else
        return int(text) if len(text) < _LONG_INTEGER else float(text)

    try:
        data = json.loads(body, parse_constant=constant, parse_int=integer)
        orjson.dumps(data)  # refuses halves of characters and deep nesting, which Python reads
    except (ValueError, TypeError, RecursionError):
        return None
    return data


def read_form(decoder: Decoder, form: str, value: Any, sent_as: str) -> Batch:
    """The batch of one of our own forms that this protocol calls `sent_as`, as errors do then."""
    try:
        return decoder.decode({form: value})
    except InvalidInput as problem:
        if form == sent_as:
            raise
        raise invalid([_moved(error, form, sent_as) for error in problem.errors]) from None


def read_rows(decoder: Decoder, value: Any, sent_as: str) -> Batch:
    """Rows as arrays, as objects, or, for a single column, as bare values."""
    if type(value) is list and value and type(value[0]) is dict:
        return read_form(decoder, "records", value, sent_as)
    if type(value) is list and value and type(value[0]) is not list and len(decoder.names) > 1:
        # Our own form takes one bare row; in a list of instances each is a row.
        expected = f"expected an array or an object per row, got {kind_of(value[0])}"
        raise invalid([FieldError(f"/{sent_as}/0", expected)])
    return read_form(decoder, "inputs", value, sent_as)


def _moved(error: FieldError, form: str, sent_as: str) -> FieldError:
    rest = error.pointer.removeprefix(f"/{form}")
    return FieldError(f"/{sent_as}{rest}", error.detail) if rest != error.pointer else error


def values_of(core: dict[str, Any], signature: Signature, output: str) -> list[Any]:
    """The values of one output in an answer's core, one per row."""
    if output == signature.outputs[0] and "predict" not in signature.outputs:
        output = "predict"  # what a model without predictions gives stands in their place
    values: list[Any] = core[WIRE_NAMES.get(output, output)]
    return values


def wanted_outputs(signature: Signature, asked: tuple[str, ...]) -> tuple[str, ...]:
    return asked or (signature.outputs[0],)
