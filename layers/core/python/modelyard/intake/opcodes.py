"""A symbolic reading of a pickle stream: every opcode is followed, nothing is imported and nothing is called.

The reading is stricter than Python's own, so that no unpickler can understand a stream differently: frames
neither
nest nor cut values, numbers are written the one canonical way, and opcodes that honest picklers of Python 3
never
write are refused. What a call or a state may be is decided in `calls` and `states`.
"""

from __future__ import annotations

import codecs
import re
import time
from collections.abc import Callable
from struct import unpack_from
from typing import Any, NoReturn

from modelyard.intake import allowlist
from modelyard.intake.machine import Machine
from modelyard.intake.opcode_names import NAMES, PERSISTENT, PYTHON_2
from modelyard.intake.streams import Source
from modelyard.intake.symbols import (
    CALLED,
    CREATED,
    FLOAT,
    Blob,
    Global,
    Instance,
    Map,
    Node,
    Seq,
    Text,
    Tup,
)
from modelyard.intake.verdict import Limits, Refused
from modelyard.intake.wording import describe, is_latin1

CHUNKED = 1 << 20  # bytes of a text decoded at once
UNICODE_LINE = 1 << 27  # bytes of one text in protocol 0
STACK_LIMIT = 2_000_000
MARK_LIMIT = 20_000
KEPT_BYTES = 64
BIG_INTEGERS = 10_000  # integers beyond 61 bits: only they can be made to collide as keys

_INTEGER = re.compile(rb"-?(0|[1-9][0-9]{0,99})")
_INDEX = re.compile(rb"0|[1-9][0-9]{0,8}")
_FLOAT = re.compile(rb"-?(inf|nan|[0-9]{1,25}(\.[0-9]{1,25})?(e[+-]?[0-9]{1,4})?)")


class PickleMachine(Machine):
    """Reads one pickle from `source` and leaves its root. `call`, `create` and `build` judge what it
    would do.

    `nested` is set for the stream of an object array inside a joblib file. Raises `Refused`.
    """

    values = (allowlist.VALUE, allowlist.MEMMAP)

    def __init__(
        self,
        source: Source,
        limits: Limits,
        *,
        call: Callable[[Machine, Global, tuple[Any, ...]], Any],
        create: Callable[[Machine, Global, tuple[Any, ...]], Any],
        build: Callable[[Machine, Instance, Any], Any],
        globals_seen: dict[tuple[str, str], Global],
        deadline: float,
        nesting: int = 0,
        opcodes: int = 0,
    ) -> None:
        super().__init__(limits, deadline, globals_seen=globals_seen, nesting=nesting)
        self.source = source
        self._call, self._create, self._build = call, create, build
        self.opcodes = opcodes
        self.protocol: int | None = None
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.frame_end = 0
        self.big_integers = 0
        self.started = source.offset

    # -- reading ---------------------------------------------------------------------------------------------

    def refuse(self, rule: str, detail: str) -> NoReturn:
        where = "in a nested array" if self.nesting else "in the stream"
        raise Refused(rule, f"{detail} (at offset {self.source.offset} {where})")

    def run(self) -> Any:
        """Follow the stream to its STOP; returns the root value."""
        source, table = self.source, _DISPATCH
        try:
            while True:
                for _ in range(4096):
                    if source.at >= len(source.data):
                        source.need(1)
                    code = source.data[source.at]
                    source.at += 1
                    if code == 0x2E:
                        return self._stop()
                    table[code](self)
                    if self.frame_end and source.base + source.at >= self.frame_end:
                        self._leave_frame()
                self.opcodes += 4096
                self._check_bounds()
        except IndexError:
            self.refuse(
                "broken", "an opcode takes more values than the stream has left; save the model again"
            )

    def _check_bounds(self) -> None:
        if self.opcodes > self.limits.opcodes:
            self.refuse("too_many_opcodes", f"the stream has more than {self.limits.opcodes} opcodes")
        if time.monotonic() > self.deadline:
            self.refuse("timeout", f"scanning takes more than {self.limits.scan_seconds:g} s")
        if len(self.stack) > STACK_LIMIT:
            self.refuse("too_large", f"more than {STACK_LIMIT} values wait on the stack")

    def _stop(self) -> Any:
        if self.marks or len(self.stack) != 1:
            self.refuse("broken", "the stream stops with more or fewer than one value; save the model again")
        if self.frame_end and self.source.offset != self.frame_end:
            self.refuse("broken", "the stream stops inside a frame; save the model again")
        if self.wrappers != self.arrays:
            self.refuse("array", "a joblib array has no data; save the model again")
        return self.value(self.stack.pop())

    def _leave_frame(self) -> None:
        if self.source.offset > self.frame_end:
            self.refuse("broken", "a value crosses the end of its frame; save the model again")
        self.frame_end = 0

    def _number(self, form: str, size: int) -> int:
        return int(unpack_from(form, self.source.take(size))[0])

    @property
    def place(self) -> int:
        return self.source.offset

    def begin_array(self) -> None:
        if self.frame_end not in (0, self.source.offset):
            self.refuse("broken", "a joblib array does not begin at the end of a frame; save the model again")
        self.frame_end = 0
        self.arrays += 1

    # -- values ----------------------------------------------------------------------------------------------

    def pop_mark(self) -> list[Any]:
        if not self.marks:
            self.refuse("broken", "a mark is missing; save the model again")
        items, self.stack = self.stack, self.marks.pop()
        return items

    def text(self, length: int) -> str | Text:
        """The next `length` bytes as UTF-8, kept when short, described when long."""
        try:
            if length <= CHUNKED:
                return describe(self.source.take(length).decode("utf-8", "surrogatepass"))
            decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")
            count, latin1 = 0, True
            while length:
                step = min(length, CHUNKED)
                length -= step
                part = decoder.decode(self.source.take(step), final=not length)
                count += len(part)
                latin1 = latin1 and is_latin1(part)
        except UnicodeDecodeError:
            self.refuse("broken", "a text is not valid UTF-8; save the model again")
        return Text(count, latin1, None)

    def blob(self, length: int, kind: str = "bytes") -> Blob:
        if length <= KEPT_BYTES:
            return Blob(length, self.source.take(length), kind)
        self.source.skip(length)
        return Blob(length, None, kind)

    # -- memo ------------------------------------------------------------------------------------------------

    def put(self, index: int) -> None:
        if index >= self.limits.memo_entries:
            self.refuse("memo", f"the memo has more than {self.limits.memo_entries} entries")
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        try:
            self.stack.append(self.memo[index])
        except KeyError:
            self.refuse("broken", "the stream refers to a value that it never stored; save the model again")

    # -- opcodes ---------------------------------------------------------------------------------------------

    def op_proto(self) -> None:
        if self.protocol is not None or self.source.offset != self.started + 1:
            self.refuse("broken", "the protocol is stated in the middle of the stream; save the model again")
        self.protocol = self.source.take(1)[0]
        if self.protocol > 5:
            self.refuse("protocol", "the pickle protocol is newer than 5; save the model with protocol 5")

    def op_frame(self) -> None:
        if self.frame_end:
            self.refuse("broken", "a frame starts within a frame; save the model again")
        length = self._number("<Q", 8)
        if not 0 < length <= self.limits.inflated_bytes:
            self.refuse("broken", "a frame states an impossible length; save the model again")
        self.frame_end = self.source.offset + length

    def op_mark(self) -> None:
        if len(self.marks) >= MARK_LIMIT:
            self.refuse("too_deep", f"more than {MARK_LIMIT} marks are open")
        self.marks.append(self.stack)
        self.stack = []

    def op_pop(self) -> None:
        self.stack.pop()

    def op_pop_mark(self) -> None:
        self.pop_mark()

    def op_none(self) -> None:
        self.stack.append(None)

    def op_true(self) -> None:
        self.stack.append(True)

    def op_false(self) -> None:
        self.stack.append(False)

    def op_int(self) -> None:
        line = self.source.line(128)
        if line in (b"00", b"01"):
            self.stack.append(line == b"01")
        else:
            self._integer(line)

    def op_long(self) -> None:
        line = self.source.line(128)
        if not line.endswith(b"L"):
            self.refuse("broken", "an integer is not written canonically; save the model again")
        self._integer(line[:-1])

    def _integer(self, line: bytes) -> None:
        if not _INTEGER.fullmatch(line):
            self.refuse("broken", "an integer is not written canonically; save the model again")
        self._push_integer(int(line))

    def _push_integer(self, number: int) -> None:
        if number.bit_length() > 61:
            self.big_integers += 1
            if self.big_integers > BIG_INTEGERS:
                self.refuse(
                    "hash_collisions", f"the file has more than {BIG_INTEGERS} integers beyond 61 bits"
                )
        self.stack.append(number)

    def op_binint(self) -> None:
        self.stack.append(self._number("<i", 4))

    def op_binint1(self) -> None:
        self.stack.append(self.source.take(1)[0])

    def op_binint2(self) -> None:
        self.stack.append(self._number("<H", 2))

    def op_long1(self) -> None:
        self._push_integer(int.from_bytes(self.source.take(self.source.take(1)[0]), "little", signed=True))

    def op_long4(self) -> None:
        length = self._number("<i", 4)
        if not 0 <= length <= 1024:
            self.refuse("too_long", "an integer has more than 1024 bytes")
        self._push_integer(int.from_bytes(self.source.take(length), "little", signed=True))

    def op_float(self) -> None:
        if not _FLOAT.fullmatch(self.source.line(64)):
            self.refuse("broken", "a float is not written canonically; save the model again")
        self.stack.append(FLOAT)

    def op_binfloat(self) -> None:
        self.source.take(8)
        self.stack.append(FLOAT)

    def op_unicode(self) -> None:
        try:
            text = str(self.source.line(UNICODE_LINE), "raw-unicode-escape")
        except UnicodeDecodeError:
            self.refuse("broken", "a text is not escaped properly; save the model again")
        self.stack.append(describe(text))

    def op_short_binunicode(self) -> None:
        self.stack.append(self.text(self.source.take(1)[0]))

    def op_binunicode(self) -> None:
        self.stack.append(self.text(self._number("<I", 4)))

    def op_binunicode8(self) -> None:
        self.stack.append(self.text(self._number("<Q", 8)))

    def op_short_binbytes(self) -> None:
        self.stack.append(self.blob(self.source.take(1)[0]))

    def op_binbytes(self) -> None:
        self.stack.append(self.blob(self._number("<I", 4)))

    def op_binbytes8(self) -> None:
        self.stack.append(self.blob(self._number("<Q", 8)))

    def op_bytearray8(self) -> None:
        self.stack.append(self.blob(self._number("<Q", 8), "bytearray"))

    def op_empty_tuple(self) -> None:
        self.stack.append(Tup(()))

    def op_tuple1(self) -> None:
        self.stack.append(self.tup((self.stack.pop(),)))

    def op_tuple2(self) -> None:
        last = self.stack.pop()
        self.stack.append(self.tup((self.stack.pop(), last)))

    def op_tuple3(self) -> None:
        last, middle = self.stack.pop(), self.stack.pop()
        self.stack.append(self.tup((self.stack.pop(), middle, last)))

    def op_tuple(self) -> None:
        items = self.pop_mark()
        self.stack.append(self.tup(tuple(items)))

    def op_empty_list(self) -> None:
        self.stack.append(Seq())

    def op_empty_set(self) -> None:
        self.stack.append(Seq("set"))

    def op_empty_dict(self) -> None:
        self.stack.append(Map())

    def op_list(self) -> None:
        items = self.pop_mark()
        self.stack.append(Seq())
        self._append(items)

    def op_frozenset(self) -> None:
        items = self.pop_mark()
        node = Seq("set")
        self.stack.append(node)
        self._add(node, items)
        node.kind = "frozenset"
        node.frozen = True

    def op_dict(self) -> None:
        items = self.pop_mark()
        self.stack.append(Map())
        self._set(items)

    def op_append(self) -> None:
        item = self.stack.pop()
        self._append([item])

    def op_appends(self) -> None:
        self._append(self.pop_mark())

    def _append(self, items: list[Any]) -> None:
        target = self.thaw(self.stack[-1], "APPEND")
        if not isinstance(target, Seq) or target.kind != "list":
            self.refuse("mutation", "APPEND on something that is no list; save the model again")
        target.count += len(items)
        for item in items:
            self.within(target, self.value(item))

    def op_additems(self) -> None:
        items = self.pop_mark()
        target = self.thaw(self.stack[-1], "ADDITEMS")
        if not isinstance(target, Seq) or target.kind != "set":
            self.refuse("mutation", "ADDITEMS on something that is no set; save the model again")
        self._add(target, items)

    def _add(self, target: Seq, items: list[Any]) -> None:
        target.count += len(items)
        for item in items:
            self.within(target, self.key(item))

    def op_setitem(self) -> None:
        value = self.stack.pop()
        key = self.stack.pop()
        self._set([key, value])

    def op_setitems(self) -> None:
        self._set(self.pop_mark())

    def _set(self, items: list[Any]) -> None:
        """Entries of a dict, or of an instance that is one (a Bunch, an OrderedDict)."""
        if len(items) % 2:
            self.refuse("broken", "a dict has a key without a value; save the model again")
        target = self.stack[-1]
        if isinstance(target, Instance) and isinstance(target.facts, Map):
            target = target.facts
        target = self.thaw(target, "SETITEM")
        if not isinstance(target, Map):
            self.refuse("mutation", "SETITEM on something that is no dict; save the model again")
        pairs = iter(items)
        entries = target.entries
        for key in pairs:
            value = self.value(next(pairs))
            self.within(target, self.key(key))
            self.within(target, value)
            if key.__class__ is str and len(entries) < Map.KEPT:
                if key in entries:
                    self.refuse("broken", "a dict has one key twice; save the model again")
                entries[key] = value
            else:
                target.other += 1

    def op_global(self) -> None:
        try:
            module, name = self.source.line(256).decode("utf-8"), self.source.line(256).decode("utf-8")
        except UnicodeDecodeError:
            self.refuse("global", "a global has a name that is no text; save the model again")
        self.stack.append(self.lookup(module, name))

    def op_stack_global(self) -> None:
        name = self.stack.pop()
        self.stack.append(self.lookup(self.stack.pop(), name))

    def op_reduce(self) -> None:
        args = self.stack.pop()
        target = self.stack.pop()
        if target.__class__ is not Global or not target.roles & CALLED:
            what = target.path if target.__class__ is Global else "something that is no global"
            self.refuse(
                "call",
                f"{what} is called, which no model of scikit-learn does; rebuild it from standard parts",
            )
        self.stack.append(self._call(self, target, self._arguments(args)))

    def op_newobj(self) -> None:
        args = self.stack.pop()
        target = self.stack.pop()
        if target.__class__ is not Global or not target.roles & CREATED:
            what = target.path if target.__class__ is Global else "something that is no class"
            self.refuse(
                "create",
                f"an object of {what} is made, which no model of scikit-learn does; rebuild it from"
                " standard parts",
            )
        self.stack.append(self._create(self, target, self._arguments(args)))

    def _arguments(self, args: Any) -> tuple[Any, ...]:
        if args.__class__ is not Tup:
            self.refuse("broken", "the arguments of a call are no tuple; save the model again")
        for item in args.items:
            if isinstance(item, Node):
                item.frozen = item.frozen or not isinstance(item, Instance)
        return args.items

    def op_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, Instance):
            what = target.path if target.__class__ is Global else "a value that is no object"
            self.refuse(
                "state", f"the stream sets the state of {what}; rebuild the model from standard parts"
            )
        self.value(state)
        if isinstance(state, Node) and not isinstance(state, Instance):
            state.frozen = True
        self.within(target, state)
        replaced = self._build(self, target, state)
        if replaced is not None:
            self.stack[-1] = replaced

    def op_put(self) -> None:
        self.put(self._index())

    def op_get(self) -> None:
        self.get(self._index())

    def _index(self) -> int:
        line = self.source.line(16)
        if not _INDEX.fullmatch(line):
            self.refuse("broken", "a memo index is not written canonically; save the model again")
        return int(line)

    def op_binput(self) -> None:
        self.put(self.source.take(1)[0])

    def op_long_binput(self) -> None:
        self.put(self._number("<I", 4))

    def op_memoize(self) -> None:
        self.put(len(self.memo))

    def op_binget(self) -> None:
        self.get(self.source.take(1)[0])

    def op_long_binget(self) -> None:
        self.get(self._number("<I", 4))

    def op_refused(self) -> None:
        code = self.source.data[self.source.at - 1]
        name = NAMES.get(code)
        if name is None:
            self.refuse("broken", f"byte 0x{code:02x} is no pickle opcode; the file is damaged or no pickle")
        if name in PYTHON_2:
            self.refuse(
                "python_2", f"opcode {name} is written by Python 2 only; train and save with Python 3"
            )
        if name in PERSISTENT:
            self.refuse(
                "opcode", f"opcode {name} refers to an object outside the file; use pickle or joblib directly"
            )
        self.refuse(
            "opcode", f"opcode {name} is never written for a scikit-learn model; save it with joblib.dump"
        )


_NAMED: dict[str, Callable[[PickleMachine], None]] = {
    name[3:].upper(): function for name, function in vars(PickleMachine).items() if name.startswith("op_")
} | {"NEWTRUE": PickleMachine.op_true, "NEWFALSE": PickleMachine.op_false}
_DISPATCH: list[Callable[[PickleMachine], None]] = [
    _NAMED.get(NAMES.get(code, ""), PickleMachine.op_refused) for code in range(256)
]
