"""The Open Inference Protocol V2: tensors in, as JSON or as the binary extension lays them out, JSON out.

Answers are JSON also where a client wished for binary: every client takes that, as the extension demands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from modelyard.kit.errors import FieldError
from modelyard.serving.decoding import MAX_ERRORS, Batch, Decoder, Pointer, invalid
from modelyard.serving.errors import MalformedBody
from modelyard.serving.protocols.binary import ITEM_TYPES, read_tensor
from modelyard.serving.protocols.common import parse_object
from modelyard.serving.rules import kind_of

_ACCEPTED: dict[str, tuple[frozenset[type], str]] = {
    "BOOL": (frozenset({bool, type(None)}), "true or false"),
    "BYTES": (frozenset({str, type(None)}), "a string"),
    "INT": (frozenset({int, type(None)}), "a whole number"),
    "FP": (frozenset({int, float, type(None)}), "a number"),
}
_HIGHEST_RANK = 8


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input; `values` in row-major order, as many as `shape` says."""

    name: str
    shape: list[int]
    values: list[Any]


class InferRequest:
    """The body of an `infer`. `header_length`: the header Inference-Header-Content-Length, if it was sent."""

    def __init__(self, body: bytes, header_length: str | None = None) -> None:
        self._body = body
        self._header_length = header_length
        self._data: dict[str, Any] | None = None
        self._tensors: list[Tensor] = []
        self.outputs: tuple[str, ...] = ()

    @property
    def id(self) -> str | None:
        """The client's own id; known once the request was read."""
        return None if self._data is None else self._data.get("id")

    def read(self, decoder: Decoder) -> tuple[Batch, tuple[str, ...]]:
        """Rows and asked outputs; raises `MalformedBody`, `InvalidInput` or `TooManyRows`."""
        if self._data is None:
            self._parse()
        return _batch(self._tensors, decoder), self.outputs

    def _parse(self) -> None:
        head, tail = self._split()
        data = parse_object(head, '"inputs"')
        if type(data.get("id")) not in (str, type(None)):
            raise invalid([FieldError("/id", f"expected a string, got {kind_of(data['id'])}")])
        inputs = data.get("inputs")
        if type(inputs) is not list or not inputs:
            raise invalid([FieldError("/inputs", f"expected an array of tensors, got {_found(inputs)}")])
        at = 0
        tensors = []
        for number, item in enumerate(inputs):
            tensor, used = _tensor(item, f"/inputs/{number}", tail, at)
            tensors.append(tensor)
            at += used
        if at != len(tail):
            raise MalformedBody(
                "The tensors after the JSON header are not as long as their binary_data_size say together."
            )
        self.outputs = _asked(data.get("outputs"))
        self._tensors, self._data = tensors, data

    def _split(self) -> tuple[bytes, bytes]:
        """The JSON header and the tensors behind it."""
        if self._header_length is None:
            return self._body, b""
        text = self._header_length.strip()
        if not (text.isascii() and text.isdecimal() and len(text) < 10) or int(text) > len(self._body):
            raise MalformedBody(
                "Inference-Header-Content-Length must be the length in bytes of the JSON before the tensors."
            )
        return self._body[: int(text)], self._body[int(text) :]


def only_ready(body: bytes) -> bool:
    """Whether a request for the repository's index wishes for ready versions only."""
    wished = parse_object(body, '"ready", or nothing').get("ready", False) if body.strip() else False
    if type(wished) is not bool:
        raise invalid([FieldError("/ready", f"expected true or false, got {kind_of(wished)}")])
    return wished


def _asked(outputs: Any) -> tuple[str, ...]:
    if outputs is None:
        return ()
    if type(outputs) is not list:
        raise invalid([FieldError("/outputs", f"expected an array, got {kind_of(outputs)}")])
    for number, output in enumerate(outputs):
        if type(output) is not dict or type(output.get("name")) is not str:
            raise invalid([FieldError(f"/outputs/{number}", "expected an object with a name")])
    return tuple(dict.fromkeys(output["name"] for output in outputs))


def _tensor(item: Any, where: str, tail: bytes, at: int) -> tuple[Tensor, int]:
    """The tensor, and how many bytes of `tail` it took."""
    if type(item) is not dict:
        raise invalid([FieldError(where, f"expected a tensor, got {kind_of(item)}")])
    name, shape, datatype = item.get("name"), item.get("shape"), item.get("datatype")
    if type(name) is not str:
        raise invalid([FieldError(f"{where}/name", f"expected a string, got {_found(name)}")])
    if type(shape) is not list or not all(type(size) is int and size >= 0 for size in shape):
        raise invalid([FieldError(f"{where}/shape", "expected an array of whole numbers from 0")])
    if not 1 <= len(shape) <= _HIGHEST_RANK:
        raise invalid([FieldError(f"{where}/shape", "expected the number of rows first")])
    if type(datatype) is not str or (datatype not in ITEM_TYPES and datatype != "BYTES"):
        raise invalid([FieldError(f"{where}/datatype", f"expected one of BYTES, {', '.join(ITEM_TYPES)}")])
    parameters = item.get("parameters")
    parameters = parameters if type(parameters) is dict else {}
    if any(key.startswith("shared_memory") for key in parameters):
        raise invalid(
            [FieldError(f"{where}/parameters", "shared memory is not offered: send the data itself")]
        )
    count = math.prod(shape)
    if "binary_data_size" in parameters:
        size = parameters["binary_data_size"]
        if type(size) is not int or size < 0 or at + size > len(tail):
            expected = "expected the tensor's length in bytes, no longer than what follows the JSON header"
            raise invalid([FieldError(f"{where}/parameters/binary_data_size", expected)])
        return Tensor(name, shape, read_tensor(tail[at : at + size], datatype, count, where)), size
    if type(item.get("data")) is not list:
        raise invalid([FieldError(f"{where}/data", f"expected an array, got {_found(item.get('data'))}")])
    values = _flat(item["data"], shape, f"{where}/data")
    _check_kinds(values, datatype, where)
    return Tensor(name, shape, values), 0


def _flat(data: list[Any], shape: list[int], where: str) -> list[Any]:
    """Nested or flat data, flat; as many values as the shape says."""
    for size in shape[1:]:
        if not data or type(data[0]) is not list:
            break
        if any(type(part) is not list or len(part) != size for part in data):
            raise invalid([FieldError(where, f"expected arrays of {size} all over, as the shape says")])
        data = list(chain.from_iterable(data))
    count = math.prod(shape)
    if len(data) != count:
        raise invalid([FieldError(where, f"expected {count} values, as the shape says, got {len(data)}")])
    return data


def _check_kinds(values: list[Any], datatype: str, where: str) -> None:
    family = datatype if datatype in _ACCEPTED else "FP" if datatype.startswith("FP") else "INT"
    accepted, expected = _ACCEPTED[family]
    if set(map(type, values)) <= accepted:
        return
    wrong = [
        FieldError(f"{where}/data/{at}", f"expected {expected} or null for {datatype}, got {kind_of(value)}")
        for at, value in enumerate(values)
        if type(value) not in accepted
    ]
    raise invalid(wrong[: MAX_ERRORS + 1])


def _batch(tensors: list[Tensor], decoder: Decoder) -> Batch:
    """One tensor with all columns, or one tensor per column."""
    if decoder.signature.layout == "records":
        detail = "this model takes objects, which are no tensors: send them to /api/v1/models/{name}:predict"
        raise invalid([FieldError("/inputs", detail)])
    width = len(decoder.names)
    if len(tensors) == 1:
        shape, values = tensors[0].shape, tensors[0].values
        if shape == [shape[0], width] or (width == 1 and shape == [shape[0]]):
            decoder.check_count(shape[0], "/inputs/0/shape")
            columns: list[Sequence[Any]] = [values[at::width] for at in range(width)]
            return decoder.take(
                columns, lambda row, column: f"/inputs/0/data/{row * width + column}", "tensor"
            )
        if tensors[0].name not in decoder.names:
            detail = (
                f"expected [rows, {width}], or a tensor per column, named {', '.join(decoder.names[:10])}"
            )
            raise invalid([FieldError("/inputs/0/shape", detail)])
    return _by_column(tensors, decoder)


def _by_column(tensors: list[Tensor], decoder: Decoder) -> Batch:
    place = {tensor.name: number for number, tensor in enumerate(tensors)}
    errors = [
        FieldError("/inputs", f"missing a tensor for column {name!r}")
        for name in decoder.names
        if name not in place
    ]
    rows = tensors[0].shape[0]
    for number, tensor in enumerate(tensors):
        if tensor.name not in decoder.names or place[tensor.name] != number:
            expected = f"expected each of {', '.join(decoder.names[:10])} once"
            errors.append(FieldError(f"/inputs/{number}/name", expected))
        elif tensor.shape not in ([rows], [rows, 1]):
            expected = "expected [rows] or [rows, 1], with as many rows as the first tensor has"
            errors.append(FieldError(f"/inputs/{number}/shape", expected))
    if errors:
        raise invalid(errors)
    decoder.check_count(rows, "/inputs/0/shape")
    order = [place[name] for name in decoder.names]
    pointer: Pointer = lambda row, column: f"/inputs/{order[column]}/data/{row}"  # noqa: E731
    return decoder.take([tensors[at].values for at in order], pointer, "tensors")


def _found(value: Any) -> str:
    return "none" if value is None else "an empty one" if value == [] else kind_of(value)
