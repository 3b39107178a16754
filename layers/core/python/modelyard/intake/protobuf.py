"""A minimal reader of protobuf's wire format that is stricter than any parser: what it accepts means one
thing only.

A message is walked field by field over a `memoryview`; nothing is copied but short texts. Singular fields
may occur
once, known fields must have their wire type, groups are refused.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from typing import NoReturn

from modelyard.intake.verdict import Refused

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


def broken(what: str, offset: int) -> NoReturn:
    raise Refused(
        "broken",
        f"the ONNX file is damaged: {what} (at offset {offset}); export the model again",
        format="onnx",
    )


class Message:
    """A stretch of a file, `start` to `end`."""

    __slots__ = ("data", "end", "start")

    def __init__(self, data: memoryview, start: int, end: int) -> None:
        self.data = data
        self.start = start
        self.end = end

    def __len__(self) -> int:
        return self.end - self.start

    def text(self, limit: int = 512) -> str:
        if len(self) > limit:
            broken(f"a name is longer than {limit} bytes", self.start)
        try:
            return str(self.data[self.start : self.end], "utf-8")
        except UnicodeDecodeError:
            broken("a name is not UTF-8", self.start)

    def fields(self) -> Iterator[tuple[int, int, int | Message]]:
        """(field number, wire type, value); a fixed-size value comes as the message that holds its bytes."""
        data, at, end = self.data, self.start, self.end
        while at < end:
            tag, at = varint(data, at, end)
            number, wire = tag >> 3, tag & 7
            if not 0 < number < 1 << 29:
                broken("a field has no proper number", at)
            if wire == VARINT:
                value, at = varint(data, at, end)
                yield number, wire, value
                continue
            if wire == LENGTH:
                length, at = varint(data, at, end)
            elif wire == FIXED64:
                length = 8
            elif wire == FIXED32:
                length = 4
            else:
                broken("a field has an unknown wire type", at)
            if length > end - at:
                broken("a field is longer than what holds it", at)
            yield number, wire, Message(data, at, at + length)
            at += length


def varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    """The unsigned 64-bit integer at `at` and where it ends."""
    result = shift = 0
    while True:
        if at >= end or shift > 63:
            broken("an integer does not end", at)
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            if result >= 1 << 64:
                broken("an integer is too large", at)
            return result, at
        shift += 7


def signed(value: int) -> int:
    """int64 of its unsigned form."""
    return value - (1 << 64) if value >= 1 << 63 else value


Runs = dict[int, str | tuple[bytes, ...]]


class Fields:
    """The fields of one message by number. `repeated` may occur often; everything else at most once.

    Long runs of unpacked numbers, as ONNX writes tree attributes, are passed over by a regular expression:
    `runs`
    maps field number to "varint" or "fixed32".
    """

    def __init__(self, message: Message, *, repeated: frozenset[int], runs: Runs | None = None) -> None:
        self.message = message
        self.values: dict[int, list[tuple[int, int | Message]]] = {}
        self.stretches: dict[int, list[Message]] = {}
        if runs:
            self._read_runs(message, repeated, runs)
            return
        for number, wire, value in message.fields():
            self._add(number, wire, value, repeated, message)

    def _add(
        self, number: int, wire: int, value: int | Message, repeated: frozenset[int], message: Message
    ) -> None:
        known = self.values.setdefault(number, [])
        if known and number not in repeated:
            broken("a field occurs twice that may occur once", message.start)
        known.append((wire, value))

    def _read_runs(self, message: Message, repeated: frozenset[int], runs: Runs) -> None:
        """As above, but stretches of one unpacked field are taken whole."""
        data, end = message.data, message.end
        patterns = {}
        for number, kind in runs.items():
            wire = VARINT if kind == "varint" else FIXED32
            tag = bytes([number << 3 | (LENGTH if isinstance(kind, tuple) else wire)])
            if isinstance(kind, tuple):
                body = b"(?:" + b"|".join(re.escape(bytes([len(word)]) + word) for word in kind) + b")"
            else:
                body = rb"[\x80-\xff]{0,9}[\x00-\x7f]" if kind == "varint" else rb"[\x00-\xff]{4}"
            patterns[tag[0]] = (
                number,
                re.compile(rb"(?:" + re.escape(tag) + body + rb"){1,65535}", re.DOTALL),
            )
        at = message.start
        while at < end:
            found = patterns.get(data[at])
            if found is not None:
                match = found[1].match(data, at, end)
                if match is not None:
                    self.stretches.setdefault(found[0], []).append(Message(data, at, match.end()))
                    at = match.end()
                    continue
            rest = Message(data, at, end).fields()
            number, wire, value = next(rest)
            self._add(number, wire, value, repeated, message)
            at = value.end if isinstance(value, Message) else varint(data, varint(data, at, end)[1], end)[1]

    def has(self, number: int) -> bool:
        return number in self.values or number in self.stretches

    def messages(self, number: int) -> list[Message]:
        return [self._message(wire, value) for wire, value in self.values.get(number, ())]

    def _message(self, wire: int, value: int | Message) -> Message:
        if wire != LENGTH or not isinstance(value, Message):
            broken("a field has the wrong wire type", self.message.start)
        return value

    def message_of(self, number: int) -> Message | None:
        found = self.messages(number)
        return found[0] if found else None

    def text(self, number: int, limit: int = 512) -> str:
        found = self.message_of(number)
        return found.text(limit) if found is not None else ""

    def integer(self, number: int, default: int = 0) -> int:
        for wire, value in self.values.get(number, ()):
            if wire != VARINT or not isinstance(value, int):
                broken("a field has the wrong wire type", self.message.start)
            return signed(value)
        return default

    def integers(self, number: int) -> array[int]:
        """A repeated integer field, packed or not."""
        result = array("q")
        if number in self.stretches:
            if number in self.values:
                broken("a list of integers is written in two ways", self.message.start)
            for run in self.stretches[number]:
                result.extend(map(_VALUES.__getitem__, _TAGGED.findall(run.data[run.start : run.end])))
            _VALUES.trim()
            return result
        for wire, value in self.values.get(number, ()):
            if isinstance(value, int):
                result.append(signed(value))
            elif wire == LENGTH:
                result.extend(_unpack(value))
            else:
                broken("a field has the wrong wire type", self.message.start)
        return result

    def texts_are(self, number: int, word: bytes, words: tuple[bytes, ...]) -> bytearray:
        """For a repeated text field, 1 where the text is `word` and 0 where it is another; `words` as in
        `runs`.
        """
        if number in self.stretches:
            if number in self.values:
                broken("a list of texts is written in two ways", self.message.start)
            found = bytearray()
            lengths = b"|".join(re.escape(bytes([len(item)]) + item) for item in words)
            split = re.compile(re.escape(bytes([number << 3 | LENGTH])) + b"(" + lengths + b")")
            wanted = bytes([len(word)]) + word
            for run in self.stretches[number]:
                found.extend(item == wanted for item in split.findall(run.data[run.start : run.end]))
            return found
        return bytearray(item.data[item.start : item.end] == word for item in self.messages(number))

    def count(self, number: int, size: int) -> int:
        """How many items a repeated fixed-size field has; `size` 4 or 8 bytes each."""
        total = sum(len(run) // (size + 1) for run in self.stretches.get(number, ()))
        for wire, value in self.values.get(number, ()):
            if not isinstance(value, Message) or (wire != LENGTH and len(value) != size) or len(value) % size:
                broken("a list of numbers has the wrong size", self.message.start)
            total += len(value) // size
        return total

    def count_integers(self, number: int) -> int:
        """How many items a repeated integer field has."""
        total = 0
        for wire, value in self.values.get(number, ()):
            if isinstance(value, int):
                total += 1
            elif wire == LENGTH:
                total += sum(1 for _ in _ENDS.finditer(value.data, value.start, value.end))
                if len(value) and value.data[value.end - 1] >= 0x80:
                    broken("a list of integers does not end", value.end)
            else:
                broken("a field has the wrong wire type", self.message.start)
        return total


_ENDS = re.compile(rb"[\x00-\x7f]")
_PACKED = re.compile(rb"[\x80-\xff]*[\x00-\x7f]")
_TAGGED = re.compile(rb"[\x00-\x7f]([\x80-\xff]*[\x00-\x7f])", re.DOTALL)


class _Values(dict[bytes, int]):
    """int64 by its encoding; trees use few different numbers very often."""

    def __missing__(self, encoded: bytes) -> int:
        result = 0
        for byte in reversed(encoded):
            result = result << 7 | (byte & 0x7F)
        self[encoded] = result = signed(result & (1 << 64) - 1)
        return result

    def trim(self) -> None:
        if len(self) > 1 << 18:
            self.clear()


_VALUES = _Values()


def _unpack(message: Message) -> list[int]:
    found = _PACKED.findall(message.data[message.start : message.end])
    if sum(map(len, found)) != len(message) or any(len(item) > 10 for item in found):
        broken("a list of integers does not end", message.end)
    return [_VALUES[item] for item in found]
