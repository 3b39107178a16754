"""Tensors as V2's binary extension writes them: little-endian, row-major; texts with their length before."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelyard.kit.errors import FieldError
from modelyard.serving.decoding import invalid

ITEM_TYPES = {
    "BOOL": "?",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""V2's datatype → numpy's; BYTES has none."""

_LENGTH_BYTES = 4


def read_tensor(data: bytes, datatype: str, count: int, where: str) -> list[Any]:
    """`count` values; `where` is the tensor's JSON pointer. Raises `InvalidInput`."""
    if datatype == "BYTES":
        return _texts(data, count, where)
    item = np.dtype(ITEM_TYPES[datatype])
    if len(data) != count * item.itemsize:
        expected = f"expected {count * item.itemsize} bytes for {count} values of {datatype}, got {len(data)}"
        raise invalid([FieldError(f"{where}/parameters/binary_data_size", expected)])
    if datatype == "BOOL":  # any byte but 0 is true; numpy would keep the byte
        return [byte != 0 for byte in data]
    values: list[Any] = np.frombuffer(data, item).tolist()
    return values


def _texts(data: bytes, count: int, where: str) -> list[Any]:
    values = []
    at = 0
    for number in range(count):
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(data[at:begin], "little")
        if begin > len(data) or at > len(data):
            expected = f"expected {count} texts, each after its length in 4 bytes, got fewer"
            raise invalid([FieldError(f"{where}/parameters/binary_data_size", expected)])
        try:
            values.append(data[begin:at].decode())
        except UnicodeDecodeError:
            raise invalid([FieldError(f"{where}/data/{number}", "expected text in UTF-8")]) from None
    if at != len(data):
        expected = f"expected {count} texts, as the shape says, and nothing behind them"
        raise invalid([FieldError(f"{where}/parameters/binary_data_size", expected)])
    return values
