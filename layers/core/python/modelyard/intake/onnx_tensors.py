"""Tensors and attributes of an ONNX file: as much data as declared, and all of it inside the file."""

from __future__ import annotations

from array import array
from typing import NoReturn

from modelyard.intake.protobuf import Fields, Message, Runs
from modelyard.intake.verdict import Limits, Refused

_TENSOR_REPEATED = frozenset({1, 4, 5, 6, 7, 10, 11, 13, 16})
_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128,
    16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4,
}  # fmt: skip
_IN_INT32 = {2, 3, 4, 5, 6, 9, 10, 16, 17, 18, 19, 20}
_STRING = 8
_FIELDS = (4, 5, 6, 7, 9, 10, 11)
MODES = (b"LEAF", b"BRANCH_LEQ", b"BRANCH_LT", b"BRANCH_GTE", b"BRANCH_GT", b"BRANCH_EQ", b"BRANCH_NEQ")
_RUNS: Runs = {7: "fixed32", 8: "varint", 9: MODES}
_ATTRIBUTE_REPEATED = frozenset({7, 8, 9, 10, 11, 15, 23})
_KINDS = {1: 2, 2: 3, 3: 4, 4: 5, 5: 6, 6: 7, 7: 8, 8: 9, 9: 10, 10: 11, 11: 22, 12: 23, 13: 14, 14: 15}


def refuse(rule: str, detail: str) -> NoReturn:
    raise Refused(rule, detail, format="onnx")


def check_tensor(message: Message, limits: Limits) -> str:
    """Whether a TensorProto's data fits its dimensions; returns its name."""
    fields = Fields(message, repeated=_TENSOR_REPEATED)
    if fields.has(13) or fields.integer(14):
        refuse(
            "external_data", "a tensor's data lies outside the file; export the model with its data inside"
        )
    if fields.has(3):
        refuse("tensor", "a tensor comes in segments; export the model again")
    kind, count = fields.integer(2), 1
    for side in fields.integers(1):
        if not 0 <= side <= limits.array_elements:
            refuse("tensor", "a tensor has an impossible side; export the model again")
        count *= side
        if count > limits.array_elements:
            refuse("tensor", f"a tensor has more than {limits.array_elements} elements")
    _check_size(fields, kind, count)
    return fields.text(8, 4096)


def _check_size(fields: Fields, kind: int, count: int) -> None:
    present = [number for number in _FIELDS if fields.has(number)]
    if len(present) > 1:
        refuse("tensor", "a tensor's data is written in two ways; export the model again")
    if not present:
        found = 0
    elif present[0] == 9:
        raw = fields.message_of(9)
        assert raw is not None
        bits = _BITS.get(kind)
        if bits is None:
            refuse("tensor", "a tensor of texts or of an unknown type is written as raw bytes")
        if len(raw) != (count * bits + 7) // 8:
            refuse("tensor", "a tensor has more or less data than its dimensions say; export the model again")
        return
    elif kind == _STRING and present[0] == 6:
        found = len(fields.messages(6))
    elif kind in (1, 14) and present[0] == 4:
        found = fields.count(4, 4) // (2 if kind == 14 else 1)
    elif kind in (11, 15) and present[0] == 10:
        found = fields.count(10, 8) // (2 if kind == 15 else 1)
    elif (kind in _IN_INT32 and present[0] == 5) or (kind == 7 and present[0] == 7):
        found = fields.count_integers(present[0])
    elif kind in (12, 13) and present[0] == 11:
        found = fields.count_integers(11)
    else:
        refuse("tensor", "a tensor's data does not have the form of its type; export the model again")
    if found != count:
        refuse("tensor", "a tensor has more or less data than its dimensions say; export the model again")


def check_sparse_tensor(message: Message, limits: Limits) -> None:
    fields = Fields(message, repeated=frozenset({3}))
    for number in (1, 2):
        inner = fields.message_of(number)
        if inner is not None:
            check_tensor(inner, limits)
    refuse("tensor", "the graph holds a sparse tensor; export the model with dense ones")


class Attributes:
    """The attributes of one node, checked; `graphs` are left to the caller."""

    def __init__(self, messages: list[Message], limits: Limits) -> None:
        self._fields: dict[str, Fields] = {}
        self.graphs: list[Message] = []
        for message in messages:
            fields = Fields(message, repeated=_ATTRIBUTE_REPEATED, runs=_RUNS)
            name = fields.text(1)
            if name in self._fields:
                refuse("attribute", "a node has one attribute twice; export the model again")
            self._fields[name] = fields
            self._check(fields, limits)

    def _check(self, fields: Fields, limits: Limits) -> None:
        present = [number for number in _KINDS.values() if fields.has(number)]
        kind = _KINDS.get(fields.integer(20))
        if len(present) > 1 or (present and kind is not None and present[0] != kind):
            refuse("attribute", "an attribute's value is not of its type; export the model again")
        for number in (5, 10):
            for tensor in fields.messages(number):
                check_tensor(tensor, limits)
        for number in (22, 23):
            for tensor in fields.messages(number):
                check_sparse_tensor(tensor, limits)
        for number in (6, 11):
            self.graphs += fields.messages(number)

    def integers(self, name: str) -> array[int]:
        fields = self._fields.get(name)
        return fields.integers(8) if fields is not None else array("q")

    def leaves(self, name: str) -> bytearray:
        """For the modes of a tree's nodes, 1 where the node is a leaf."""
        fields = self._fields.get(name)
        return fields.texts_are(9, b"LEAF", MODES) if fields is not None else bytearray()

    def floats(self, name: str) -> int:
        """How many floats the attribute has."""
        fields = self._fields.get(name)
        return fields.count(7, 4) if fields is not None else 0

    def texts(self, name: str) -> list[Message]:
        fields = self._fields.get(name)
        return fields.messages(9) if fields is not None else []

    def integer(self, name: str, default: int = 0) -> int:
        fields = self._fields.get(name)
        return fields.integer(3, default) if fields is not None else default

    def elements(self, name: str) -> int:
        """How many elements the tensor attribute has; 0 without one."""
        fields = self._fields.get(name)
        tensor = fields.message_of(5) if fields is not None else None
        if tensor is None:
            return 0
        count = 1
        for side in Fields(tensor, repeated=_TENSOR_REPEATED).integers(1):
            count *= side
        return count

    def has(self, name: str) -> bool:
        return name in self._fields
