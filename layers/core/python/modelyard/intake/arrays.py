"""numpy's types and arrays as a stream describes them: sizes must add up before anything is allocated."""

from __future__ import annotations

import re
from typing import Any

from modelyard.intake.machine import Machine
from modelyard.intake.symbols import ArrayFacts, Blob, Dtype, Instance, Map, Seq, Tup

_CODE = re.compile(r"([?bBhHiIlLqQpPuefdgcFDGOSUVMm])([0-9]{0,6})")
_SIZES = {
    "?": 1,
    "b": 1,
    "B": 1,
    "h": 2,
    "H": 2,
    "l": 8,
    "L": 8,
    "q": 8,
    "Q": 8,
    "e": 2,
    "d": 8,
    "g": 16,
    "D": 16,
}
_SIZES |= {"G": 32, "I": 4, "p": 8, "P": 8, "F": 8}
_KINDS = {"?": "b", "p": "i", "P": "u"}
_SIGNED, _UNSIGNED, _FLOATS, _COMPLEX = "bhilq", "BHILQ", "efdg", "FDG"
_ITEM_LIMIT = 1 << 20
_DIMENSIONS = 32
_FIELDS = 64
_VALID = {"b": {1}, "i": {1, 2, 4, 8}, "u": {1, 2, 4, 8}, "f": {2, 4, 8, 12, 16}, "c": {8, 16, 24, 32}}


def new_dtype(machine: Machine, code: str) -> Dtype:
    """The type that `numpy.dtype(code)` makes, for codes that pickles write: a kind and a size in bytes."""
    match = _CODE.fullmatch(code)
    if match is None:
        machine.refuse("dtype", "a numpy type has a code that is not kind and size; save the model again")
    letter, digits = match.groups()
    if digits or letter in "uc":
        return _sized(machine, letter, int(digits or 0))
    if letter in "OSUVMm":
        return Dtype(code, letter, 8 if letter in "OMm" else 0)
    if letter in "fi":  # without a size these are the four-byte types
        return Dtype(code, letter, 4)
    kind = _KINDS.get(letter) or ("i" if letter in _SIGNED else "u" if letter in _UNSIGNED else None)
    return Dtype(code, kind or ("f" if letter in _FLOATS else "c"), _SIZES[letter])


def _sized(machine: Machine, letter: str, size: int) -> Dtype:
    kind = {"b": "b", "?": "b"}.get(letter, letter)
    if letter == "U":
        size *= 4
    elif letter == "O":
        size = 8
    elif letter in "Mm":
        if size != 8:
            machine.refuse("dtype", "a numpy time type has a size other than 8")
    elif letter not in "SV" and (kind not in _VALID or size not in _VALID[kind]):
        machine.refuse("dtype", "a numpy type has a size that its kind does not have; save the model again")
    if size > _ITEM_LIMIT:
        machine.refuse("dtype", f"a numpy type has items of more than {_ITEM_LIMIT} bytes")
    return Dtype(f"{letter}{size}", kind, size)


def dtype_of(item: Any) -> Dtype | None:
    """The numpy type behind a symbol, which from now on may not change; None if it is something else."""
    if isinstance(item, Instance) and isinstance(item.facts, Dtype):
        item.frozen = True
        return item.facts
    return None


def build_dtype(machine: Machine, target: Instance, state: Any) -> None:
    """`dtype.__setstate__`: (version, byte order, subarray, names, fields, itemsize, alignment, flags[,
    metadata]).
    """
    dtype = target.facts
    if target.built or target.frozen:
        machine.refuse("dtype", "the state of a numpy type is set twice or after its use")
    if state.__class__ is not Tup or len(state.items) not in (8, 9) or state.items[0] not in (3, 4):
        machine.refuse("dtype", "the state of a numpy type has an unknown form; save the model again")
    _, order, subarray, names, fields, itemsize, alignment, flags = state.items[:8]
    if order not in ("<", ">", "|", "=") or order.__class__ is not str or subarray is not None:
        machine.refuse("dtype", "a numpy type has an odd byte order or a subarray; save the model again")
    if flags.__class__ is not int or not -256 <= flags <= 255 or alignment.__class__ is not int:
        machine.refuse("dtype", "a numpy type has odd flags; save the model again")
    if len(state.items) == 9 and not (dtype.kind in "Mm" and _is_time_metadata(state.items[8])):
        machine.refuse("dtype", "a numpy type carries metadata; save the model again")
    if dtype.kind == "V":
        target.facts = _structured(machine, dtype, names, fields, itemsize)
    elif names is not None or fields is not None:
        machine.refuse("dtype", "a simple numpy type has fields; save the model again")
    elif dtype.kind in "SU":
        if itemsize != dtype.itemsize:
            machine.refuse("dtype", "a numpy text type has two sizes; save the model again")
    elif itemsize != -1 or alignment != -1:
        machine.refuse("dtype", "a simple numpy type has a second size; save the model again")
    if (flags & 1) != (dtype.kind == "O") and dtype.kind not in "Mm":
        machine.refuse("dtype", "a numpy type lies about holding objects")


def _is_time_metadata(item: Any) -> bool:
    """({}, (unit, count, divisor, multiplier)) of datetime64 and timedelta64."""
    if item.__class__ is not Tup or len(item.items) != 2 or not isinstance(item.items[0], Map | type(None)):
        return False
    unit = item.items[1]
    if (
        unit.__class__ is not Tup
        or len(unit.items) != 4
        or not all(part.__class__ is int for part in unit.items[1:])
    ):
        return False
    return isinstance(unit.items[0], Blob | str) and all(0 <= part < 10**6 for part in unit.items[1:])


def _structured(machine: Machine, dtype: Dtype, names: Any, fields: Any, itemsize: Any) -> Dtype:
    if names is None and fields is None:
        if itemsize not in (-1, dtype.itemsize):
            machine.refuse("dtype", "a numpy void type has two sizes; save the model again")
        return dtype
    fine = names.__class__ is Tup and 0 < len(names.items) <= _FIELDS and isinstance(fields, Map)
    if not fine or fields.other or set(fields.entries) != set(names.items) or itemsize != dtype.itemsize:
        machine.refuse("dtype", "the fields of a numpy type do not fit its names; save the model again")
    found = []
    for name in names.items:
        entry = fields.entries[name]
        inner = dtype_of(entry.items[0]) if entry.__class__ is Tup and len(entry.items) == 2 else None
        offset = entry.items[1] if inner is not None else None
        if inner is None or inner.kind not in "biufc" or offset.__class__ is not int:
            machine.refuse("dtype", "a field of a numpy type is no plain number; save the model again")
        if offset < 0 or offset + inner.itemsize > dtype.itemsize:
            machine.refuse("dtype", "a field of a numpy type lies outside its item; save the model again")
        found.append((name, inner.kind, offset, inner.itemsize))
    return Dtype(dtype.code, "V", dtype.itemsize, tuple(found))


def shape_of(machine: Machine, item: Any) -> tuple[int, ...]:
    """A shape whose number of elements is within the limit."""
    if item.__class__ is not Tup or len(item.items) > _DIMENSIONS:
        machine.refuse("array", "an array has no proper shape; save the model again")
    count = 1
    for side in item.items:
        if isinstance(side, Instance):  # joblib of old wrote numpy integers here
            machine.refuse(
                "array", "an array's shape holds something else than integers; save the model again"
            )
        if side.__class__ is not int or not 0 <= side <= machine.limits.array_elements:
            machine.refuse(
                "array",
                f"an array has an impossible side, or more than {machine.limits.array_elements} elements",
            )
        count *= max(side, 1)
    if count > machine.limits.array_elements:
        machine.refuse("array", f"an array has more than {machine.limits.array_elements} elements")
    return tuple(item.items)


def elements(shape: tuple[int, ...]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


def array_from_buffer(machine: Machine, shape: Any, dtype: Dtype, data: Blob) -> ArrayFacts:
    sides = shape_of(machine, shape)
    if dtype.kind == "O":
        machine.refuse("array", "an array of objects is read from raw bytes; save the model again")
    if elements(sides) * dtype.itemsize != data.length:
        machine.refuse("array", "an array's bytes are more or fewer than its shape times its item size")
    if not dtype.itemsize and elements(sides) > 1 << 20:
        machine.refuse("array", "an array has many items without size")
    return ArrayFacts(sides, dtype)


def build_array(machine: Machine, target: Instance, state: Any) -> None:
    """`ndarray.__setstate__`: (1, shape, dtype, is Fortran, bytes or list of objects)."""
    if target.built:
        machine.refuse("array", "an array's data is set twice")
    fine = state.__class__ is Tup and len(state.items) == 5 and state.items[0] == 1
    dtype = dtype_of(state.items[2]) if fine else None
    if dtype is None or state.items[3] not in (0, 1):
        machine.refuse("array", "an array's state has an unknown form; save the model again")
    data = state.items[4]
    if dtype.kind != "O":
        if not isinstance(data, Blob):
            machine.refuse("array", "an array's data is no bytes; save the model again")
        target.facts = array_from_buffer(machine, state.items[1], dtype, data)
        return
    shape = shape_of(machine, state.items[1])
    if not isinstance(data, Seq) or data.kind != "list" or data.count != elements(shape):
        machine.refuse("array", "an array of objects has more or fewer objects than its shape")
    target.facts = ArrayFacts(shape, dtype)
