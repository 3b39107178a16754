"""What a call or a construction in a stream may be, argument by argument, and what it yields.

Each check answers with the symbol of the result or refuses; a global that may be called but has no entry in
`CALLS`
does not exist (a test holds that).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn

from modelyard.intake import allowlist
from modelyard.intake.arrays import array_from_buffer, dtype_of, new_dtype
from modelyard.intake.machine import Machine
from modelyard.intake.symbols import FLOAT, ArrayFacts, Blob, Dtype, Global, Instance, Map, Seq, Text, Tup

Args = tuple[Any, ...]
Check = Callable[[Machine, Global, Args], Any]
INT_LIMIT = 2**31
RANGE_LIMIT = 10_000_000
_BIT_GENERATORS = {"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"}


def refuse_arguments(machine: Machine, target: Global, expected: str) -> NoReturn:
    machine.refuse(
        "arguments",
        f"{target.path} is called with other arguments than a model of its library would give it"
        f" (expected {expected}); save the model again with an unmodified library",
    )


def call(machine: Machine, target: Global, args: Args) -> Any:
    """The symbol of `target(*args)`."""
    return CALLS[target.key](machine, target, args)


def create(machine: Machine, target: Global, args: Args) -> Instance:
    """The symbol of `target.__new__(target, *args)`; only named tuples take arguments there."""
    if len(args) != NAMED_TUPLES.get(target.key, 0):
        refuse_arguments(machine, target, "none" if target.key not in NAMED_TUPLES else "its fields")
    instance = Instance(target)
    if target.key == WRAPPER:
        machine.wrappers += 1
    for arg in args:
        machine.within(instance, machine.value(arg))
    if target.key in MAPPINGS:
        instance.facts = Map()
    return instance


MAPPINGS = {("sklearn.utils._bunch", "Bunch")}
WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
NAMED_TUPLES = {("sklearn.impute._iterative", "_ImputerTriplet"): 3}


def is_global(item: Any, table: allowlist.Table) -> bool:
    return item.__class__ is Global and allowlist.has(table, item.module, item.name)


def is_number(item: Any) -> bool:
    """An integer of moderate size, a float, a boolean or a numpy scalar."""
    if item.__class__ is int:
        return bool(-INT_LIMIT <= item < INT_LIMIT)
    return item is FLOAT or item.__class__ is bool or (isinstance(item, Instance) and item.facts == SCALAR)


def is_int(item: Any, low: int, high: int) -> bool:
    return item.__class__ is int and low <= item <= high


SCALAR = "numpy scalar"
ENTROPY = "entropy method"


def _encode(machine: Machine, target: Global, args: Args) -> Blob:
    text = args[0] if len(args) == 2 and args[1] in ("latin1", "latin-1") else None
    if text.__class__ is str and all(ord(character) < 256 for character in text):
        return Blob(len(text), text.encode("latin-1") if len(text) <= 64 else None)
    if isinstance(text, Text) and text.latin1:
        return Blob(text.length, None)
    refuse_arguments(machine, target, "a text of bytes and 'latin1'")


def _bytes(machine: Machine, target: Global, args: Args) -> Blob:
    if args:
        refuse_arguments(machine, target, "none")
    return Blob(0, b"")


def _bytearray(machine: Machine, target: Global, args: Args) -> Blob:
    if not args:
        return Blob(0, b"", "bytearray")
    if len(args) == 1 and isinstance(args[0], Blob):
        return Blob(args[0].length, args[0].head, "bytearray")
    refuse_arguments(machine, target, "bytes")


def _complex(machine: Machine, target: Global, args: Args) -> Any:
    if len(args) != 2 or not all(is_number(arg) for arg in args):
        refuse_arguments(machine, target, "two numbers")
    return FLOAT


def _set(machine: Machine, target: Global, args: Args) -> Seq:
    if len(args) != 1 or not isinstance(args[0], Seq) or args[0].kind != "list":
        refuse_arguments(machine, target, "one list")
    result = Seq(target.name)
    result.frozen = True
    result.count = args[0].count
    result.weight, result.depth = args[0].weight, args[0].depth
    return result


def _range(machine: Machine, target: Global, args: Args) -> Any:
    fine = len(args) == 3 and all(is_int(arg, -INT_LIMIT, INT_LIMIT) for arg in args) and args[2] != 0
    if not fine or len(range(*args)) > RANGE_LIMIT:
        refuse_arguments(machine, target, "three integers that span a small range")
    return Instance(target, "range")


def _slice(machine: Machine, target: Global, args: Args) -> Any:
    if len(args) != 3 or not all(
        arg is None or arg.__class__ is str or is_int(arg, -INT_LIMIT, INT_LIMIT) for arg in args
    ):
        refuse_arguments(machine, target, "three integers, texts or None")
    return Instance(target, "slice")


def _partial(machine: Machine, target: Global, args: Args) -> Instance:
    if len(args) != 1 or not _is_check_array(args[0]):
        refuse_arguments(machine, target, "scikit-learn's check_array")
    return Instance(target, "partial")


def _is_check_array(item: Any) -> bool:
    return item.__class__ is Global and item.key == ("sklearn.utils.validation", "check_array")


def _dtype(machine: Machine, target: Global, args: Args) -> Instance:
    if len(args) != 3 or args[0].__class__ is not str or any(arg not in (0, 1) for arg in args[1:]):
        refuse_arguments(machine, target, "a type code and two flags")
    return Instance(target, new_dtype(machine, args[0]))


def _reconstruct(machine: Machine, target: Global, args: Args) -> Instance:
    if len(args) != 3 or not _is_ndarray(args[0]) or not _is_empty_shape(args[1]) or not _is_code(args[2]):
        refuse_arguments(machine, target, "numpy.ndarray, the shape (0,) and b'b'")
    return Instance(args[0], ArrayFacts())


def _is_ndarray(item: Any) -> bool:
    """numpy's array class; a memory-mapped array is read as a plain one."""
    if item.__class__ is not Global:
        return False
    return item.key == ("numpy", "ndarray") or allowlist.has(allowlist.MEMMAP, item.module, item.name)


def _is_empty_shape(item: Any) -> bool:
    return item.__class__ is Tup and item.items == (0,) and item.items[0].__class__ is int


def _is_code(item: Any) -> bool:
    return (isinstance(item, Blob) and item.head == b"b") or item == "b"


def _scalar(machine: Machine, target: Global, args: Args) -> Instance:
    dtype = dtype_of(args[0]) if len(args) == 2 else None
    if (
        dtype is None
        or dtype.kind in "OV"
        or not isinstance(args[1], Blob)
        or args[1].length != dtype.itemsize
    ):
        refuse_arguments(machine, target, "a plain numpy type and as many bytes as it has")
    return Instance(target, SCALAR)


def _frombuffer(machine: Machine, target: Global, args: Args) -> Instance:
    fine = (
        len(args) == 4
        and isinstance(args[0], Blob)
        and args[2].__class__ is Tup
        and args[3] in ("C", "F", "A")
    )
    dtype = dtype_of(args[1]) if fine else None
    if dtype is None:
        refuse_arguments(machine, target, "bytes, a numpy type, a shape and an order")
    return Instance(target, array_from_buffer(machine, args[2], dtype, args[0]))


def _masked(machine: Machine, target: Global, args: Args) -> Instance:
    fine = len(args) == 4 and args[0].__class__ is Global and args[0].name == "MaskedArray"
    if not fine or not _is_ndarray(args[1]) or not _is_empty_shape(args[2]) or not _is_code(args[3]):
        refuse_arguments(machine, target, "numpy's own masked array, numpy.ndarray, the shape (0,) and b'b'")
    return Instance(args[0], ArrayFacts())


def _bit_generator(machine: Machine, target: Global, args: Args) -> Instance:
    name = args[0] if len(args) == 1 else None
    if name not in _BIT_GENERATORS and not (
        name.__class__ is Global and name.name in _BIT_GENERATORS and name.module.startswith("numpy.random._")
    ):
        refuse_arguments(machine, target, "one of numpy's bit generators")
    return Instance(target, "bit generator")


def _random(machine: Machine, target: Global, args: Args) -> Instance:
    """Generator or RandomState over a bit generator: its name, its instance, or with the constructor behind
    it.
    """
    first = args[0] if 1 <= len(args) <= 2 else None
    named = first in _BIT_GENERATORS
    made = isinstance(first, Instance) and first.facts == "bit generator"
    constructor = len(args) < 2 or (
        args[1].__class__ is Global and args[1].key == ("numpy.random._pickle", "__bit_generator_ctor")
    )
    if not (named or made) or not constructor:
        refuse_arguments(machine, target, "one of numpy's bit generators")
    return Instance(target, "random")


def _unpickle_cython(machine: Machine, target: Global, args: Args) -> Instance:
    """`__pyx_unpickle_X(X, checksum, state or None)`."""
    fine = len(args) == 3 and args[0].__class__ is Global and target.name == f"__pyx_unpickle_{args[0].name}"
    if not fine or not is_int(args[1], 0, 2**32) or not (args[2] is None or _plain_state(args[2])):
        refuse_arguments(machine, target, "its own class, a checksum and its state")
    return Instance(args[0], "cython")


def _plain_state(item: Any) -> bool:
    return item.__class__ is Tup and all(is_number(part) or part is None for part in item.items)


def _ndarray_backed(machine: Machine, target: Global, args: Args) -> Instance:
    fine = len(args) == 3 and args[0].__class__ is Global and args[0].name in ("Categorical", "StringArray")
    if not fine or not is_int(args[1], 0, 2**32) or args[2] is not None:
        refuse_arguments(machine, target, "one of pandas' array classes, a checksum and None")
    return Instance(args[0], "pandas")


def _string_dtype(machine: Machine, target: Global, args: Args) -> Instance:
    if not 1 <= len(args) <= 2 or args[0] not in ("python", "pyarrow"):
        refuse_arguments(machine, target, "a storage and a missing value")
    return Instance(target, "pandas type")


def _new_index(machine: Machine, target: Global, args: Args) -> Instance:
    fine = (
        len(args) == 2
        and args[0].__class__ is Global
        and args[0].name in ("Index", "RangeIndex", "Int64Index")
    )
    if not fine or not isinstance(args[1], Map) or args[1].other:
        refuse_arguments(machine, target, "one of pandas' index classes and its data")
    if set(args[1].entries) - {"data", "name", "start", "stop", "step", "dtype", "copy"}:
        refuse_arguments(machine, target, "data and a name")
    return Instance(args[0], "pandas")


def _numbers(machine: Machine, target: Global, args: Args) -> Instance:
    if len(args) > 3 or not all(is_number(arg) for arg in args):
        refuse_arguments(machine, target, "at most three numbers")
    return Instance(target, "cython")


def _new_object(machine: Machine, target: Global, args: Args) -> Instance:
    """Cython's `newObj(cls)` of distances and trees: the class must come from the same module."""
    fine = len(args) == 1 and args[0].__class__ is Global and args[0].module == target.module
    if not fine or args[0].name == "newObj":
        refuse_arguments(machine, target, "one class of its own module")
    return Instance(args[0], "cython")


def _tree(machine: Machine, target: Global, args: Args) -> Instance:
    classes = args[1].facts if len(args) == 3 and isinstance(args[1], Instance) else None
    fine = (
        isinstance(classes, ArrayFacts)
        and classes.shape is not None
        and isinstance(classes.dtype, Dtype)
        and classes.dtype.kind in "iu"
        and is_int(args[0], 0, INT_LIMIT)
        and is_int(args[2], 1, 1 << 20)
        and classes.shape == (args[2],)
    )
    if not fine:
        refuse_arguments(
            machine, target, "a number of features, one class count per output, a number of outputs"
        )
    return Instance(target, ("tree", args[0], args[2]))


def _ordered(machine: Machine, target: Global, args: Args) -> Instance:
    if args:
        refuse_arguments(machine, target, "none")
    return Instance(target, Map())


def _default(machine: Machine, target: Global, args: Args) -> Instance:
    if len(args) > 1 or any(
        arg is not None and not (arg.__class__ is Global and arg.key == ("collections", "OrderedDict"))
        for arg in args
    ):
        refuse_arguments(machine, target, "collections.OrderedDict")
    return Instance(target, Map())


def _entropy_method(machine: Machine, target: Global, args: Args) -> Instance:
    """`getattr(distribution, "_entropy")`, the one bound method that an honest file holds."""
    owner = args[0] if len(args) == 2 and args[1] == "_entropy" else None
    if not isinstance(owner, Instance) or owner.cls.module != "scipy.stats._discrete_distns":
        machine.refuse(
            "global",
            "the file names the global builtins.getattr and uses it for something else than the entropy of a"
            " discrete distribution; rebuild the model from standard parts",
        )
    return Instance(target, ENTROPY)


def _reconstructor(machine: Machine, target: Global, args: Args) -> Instance:
    """`copyreg._reconstructor(cls, object, None)`, how protocols 0 and 1 write NEWOBJ; a Bunch has base
    dict.
    """
    if len(args) == 3 and is_global(args[0], allowlist.NEW) and args[1].__class__ is Global:
        base = args[1].path
        if base in ("builtins.object", "__builtin__.object") and args[2] is None:
            return create(machine, args[0], ())
        if (
            base in ("builtins.dict", "__builtin__.dict")
            and args[0].key in MAPPINGS
            and isinstance(args[2], Map)
        ):
            instance = create(machine, args[0], ())
            instance.facts = args[2]
            return instance
        named = base in ("builtins.tuple", "__builtin__.tuple") and args[0].key in NAMED_TUPLES
        if named and args[2].__class__ is Tup:
            return create(machine, args[0], args[2].items)
    refuse_arguments(machine, target, "an allowed class, object and None")


_BY_NAME: dict[str, Check] = {
    "encode": _encode,
    "bytes": _bytes,
    "bytearray": _bytearray,
    "complex": _complex,
    "set": _set,
    "frozenset": _set,
    "range": _range,
    "slice": _slice,
    "partial": _partial,
    "dtype": _dtype,
    "_reconstruct": _reconstruct,
    "_reconstructor": _reconstructor,
    "scalar": _scalar,
    "_frombuffer": _frombuffer,
    "_mareconstruct": _masked,
    "__bit_generator_ctor": _bit_generator,
    "__generator_ctor": _random,
    "__randomstate_ctor": _random,
    "__pyx_unpickle_NDArrayBacked": _ndarray_backed,
    "StringDtype": _string_dtype,
    "_new_Index": _new_index,
    "newObj": _new_object,
    "Tree": _tree,
    "getattr": _entropy_method,
    "OrderedDict": _ordered,
    "defaultdict": _default,
}
_LOSS = re.compile(r"Cy[A-Z]\w+")


def _check_for(module: str, name: str) -> Check:
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name.startswith("__pyx_unpickle_"):
        return _unpickle_cython
    if module == "sklearn.linear_model._sgd_fast" or _LOSS.fullmatch(name):
        return _numbers
    raise LookupError(f"{module}.{name} may be called but nothing checks its arguments")


CALLS: dict[tuple[str, str], Check] = {
    (module, name): _check_for(module, name) for module, names in allowlist.CALL.items() for name in names
}
