"""What the state of an object in a stream may be: BUILD, class by class.

Estimators and most helpers take a dict of attributes; what Cython and numpy classes take is checked here as
far as
the stream shows it, and again on the loaded object by `validate`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, cast

from modelyard.intake import allowlist, scipy_templates
from modelyard.intake.allowlist_methods import RESERVED, methods_of
from modelyard.intake.arrays import build_array, build_dtype, dtype_of, shape_of
from modelyard.intake.calls import ENTROPY, is_global, is_int, is_number
from modelyard.intake.machine import Machine
from modelyard.intake.symbols import ArrayFacts, Blob, Dtype, Global, Instance, Map, Seq, Text, Tup

_DESCRIPTIVE = ("__doc__", "__name__")  # attributes that scipy's distributions set on themselves
State = Callable[[Machine, Instance, Any], Any]


def build(machine: Machine, target: Instance, state: Any) -> Any:
    """Judge `state` for `target`; returns a symbol that takes the place of `target`, or None."""
    if isinstance(target.facts, Dtype):
        build_dtype(machine, target, state)
        target.built = True
        return None
    if target.built:
        machine.refuse("state", f"the state of a {target.cls.path} is set twice; save the model again")
    check = _BY_KEY.get(target.cls.key) or _BY_FACTS.get(_facts_kind(target)) or _attributes
    replaced = check(machine, target, state)
    target.built = True
    return replaced


def _facts_kind(target: Instance) -> str:
    if isinstance(target.facts, ArrayFacts):
        return "array"
    if target.facts.__class__ is tuple:
        return str(target.facts[0])
    return target.facts if isinstance(target.facts, str) else ""


def refuse_state(machine: Machine, target: Instance, expected: str) -> NoReturn:
    machine.refuse(
        "state",
        f"the state of a {target.cls.path} is not what its library writes (expected {expected}); save"
        " the model"
        " again with an unmodified library",
    )


def _attributes(machine: Machine, target: Instance, state: Any) -> None:
    """A dict of attributes that shadows nothing of the class."""
    if not isinstance(state, Map) or state.other:
        refuse_state(machine, target, "a dict of attributes")
    routing = target.cls.module == "sklearn.utils._metadata_requests"  # it keeps one entry per method
    methods = methods_of(target.cls.key) | (frozenset() if routing else RESERVED)
    for key in state.entries:
        describes = key in _DESCRIPTIVE and target.cls.module.startswith(("scipy.stats.", "numpy"))
        if describes and isinstance(state.entries[key], str | Text | None):
            continue
        if key.startswith("__") or not key.isidentifier():
            machine.refuse(
                "attribute",
                f"the state of a {target.cls.path} has an attribute whose name begins with two"
                " underscores or is"
                " no name; save the model again",
            )
        if key in methods:
            machine.refuse(
                "attribute",
                f"the state of a {target.cls.path} replaces its method {key}; save an unmodified estimator",
            )
    target.state = state
    extra = _EXTRA.get(target.cls.key)
    if extra is not None:
        extra(machine, target, state.entries)


def _function_transformer(machine: Machine, target: Instance, entries: dict[str, Any]) -> None:
    for key in ("func", "inverse_func"):
        function = entries.get(key)
        if isinstance(function, Instance) and function.facts == "partial":  # boosting's own input check
            continue
        if function is not None and not is_global(function, allowlist.FUNCTIONS):
            machine.refuse(
                "function",
                f"the {key} of a FunctionTransformer is not one of numpy's element-wise functions; use one of"
                " those, or another transformer",
            )


def _vectorizer(machine: Machine, target: Instance, entries: dict[str, Any]) -> None:
    if entries.get("input", "content") != "content":
        machine.refuse(
            "file_access",
            f"a {target.cls.name} with input='filename' or 'file' opens files when it predicts; train it with"
            " input='content'",
        )


def _distribution(machine: Machine, target: Instance, entries: dict[str, Any]) -> None:
    """scipy executes `_parse_arg_template` when it loads: only the texts that scipy itself makes are let
    through.
    """
    template = entries.get("_parse_arg_template")
    if template is None and target.cls.name.endswith("_frozen"):
        return
    digest = template.digest if isinstance(template, Text) else None
    if not scipy_templates.ships(target.cls.name, digest):
        machine.refuse(
            "template",
            f"a {target.cls.path} carries program text that scipy does not ship; use an unmodified"
            " distribution",
        )


def _vectorize(machine: Machine, target: Instance, entries: dict[str, Any]) -> None:
    """`numpy.vectorize` calls what it holds: that must be a distribution's entropy."""
    function = entries.get("pyfunc")
    if not isinstance(function, Instance) or function.facts != ENTROPY:
        refuse_state(machine, target, "the entropy of a discrete distribution")
    cache = entries.get("_ufunc")
    if isinstance(cache, Map) and cache.count:
        refuse_state(machine, target, "an empty cache")
    if any(isinstance(value, Instance | Global) for key, value in entries.items() if key != "pyfunc"):
        refuse_state(machine, target, "one function")


def _array_wrapper(machine: Machine, target: Instance, state: Any) -> Instance:
    """joblib's place-holder: its state ends the frame, and the array's bytes follow in the file."""
    _attributes(machine, target, state)
    entries = state.entries
    keys = {"subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"}
    if set(entries) - keys or not {"subclass", "shape", "order", "dtype"} <= set(entries):
        refuse_state(machine, target, "subclass, shape, order and dtype")
    dtype, subclass = dtype_of(entries["dtype"]), entries["subclass"]
    if dtype is None or entries["order"] not in ("C", "F") or subclass.__class__ is not Global:
        refuse_state(machine, target, "subclass, shape, order and dtype")
    assert isinstance(dtype, Dtype)
    if subclass.key != ("numpy", "ndarray") and not allowlist.has(
        allowlist.MEMMAP, subclass.module, subclass.name
    ):
        machine.refuse(
            "array", "a joblib array is of a class other than numpy.ndarray; convert it before saving"
        )
    if machine.nesting:
        machine.refuse("nesting", "a joblib array lies within an array of objects; save the model again")
    alignment = entries.get("numpy_array_alignment_bytes")
    if alignment is not None and alignment != 16:
        refuse_state(machine, target, "an alignment of 16 bytes")
    machine.begin_array()
    shape = shape_of(machine, entries["shape"])
    return cast(Instance, machine.read_array(shape, dtype, padded=alignment is not None))


def _array(machine: Machine, target: Instance, state: Any) -> None:
    if target.cls.name == "MaskedArray":
        _masked_array(machine, target, state)
    else:
        build_array(machine, target, state)


def _masked_array(machine: Machine, target: Instance, state: Any) -> None:
    """(1, shape, dtype, is Fortran, data, mask, fill value)."""
    fine = state.__class__ is Tup and len(state.items) == 7
    dtype = dtype_of(state.items[2]) if fine else None
    if dtype is None or not (dtype.kind == "O" or isinstance(state.items[4], Blob)):
        refuse_state(machine, target, "shape, type, data and mask")
    build_shape = shape_of(machine, state.items[1])
    count = 1
    for side in build_shape:
        count *= side
    data, mask = state.items[4], state.items[5]
    if isinstance(data, Blob):
        size = data.length // max(dtype.itemsize, 1)
    else:
        size = data.count if isinstance(data, Seq) else -1
    if size != count or not isinstance(mask, Blob) or mask.length != count:
        refuse_state(machine, target, "as much data and mask as its shape has")
    target.facts = ArrayFacts(build_shape, dtype)


def _partial(machine: Machine, target: Instance, state: Any) -> None:
    """(function, arguments, keywords, attributes)."""
    items = state.items if state.__class__ is Tup and len(state.items) == 4 else ()
    fine = (
        len(items) == 4
        and items[0].__class__ is Global
        and items[0].key == ("sklearn.utils.validation", "check_array")
        and items[1].__class__ is Tup
        and not items[1].items
        and (items[2] is None or (isinstance(items[2], Map) and not items[2].other))
        and (items[3] is None or (isinstance(items[3], Map) and not items[3].count))
    )
    if not fine:
        refuse_state(machine, target, "check_array with keywords")


def _tree(machine: Machine, target: Instance, state: Any) -> None:
    keys = {"max_depth", "node_count", "nodes", "values"}
    if not isinstance(state, Map) or state.other or set(state.entries) - keys or len(state.entries) < 4:
        refuse_state(machine, target, "max_depth, node_count, nodes and values")
    nodes, values = state.entries["nodes"], state.entries["values"]
    for item, kind in ((nodes, "V"), (values, "f")):
        facts = item.facts if isinstance(item, Instance) else None
        if not isinstance(facts, ArrayFacts) or facts.dtype is None or facts.dtype.kind != kind:
            refuse_state(machine, target, "an array of nodes and an array of values")
    node_shape, value_shape = nodes.facts.shape, values.facts.shape
    count = state.entries["node_count"]
    if not is_int(count, 0, 2**31) or len(node_shape) != 1 or len(value_shape) != 3:
        refuse_state(machine, target, "a node count and arrays of one and three dimensions")
    if node_shape[0] < count or value_shape[0] < count or value_shape[1] != target.facts[2]:
        refuse_state(machine, target, "as many nodes and values as the node count says")


def _cython_tuple(machine: Machine, target: Instance, state: Any) -> None:
    """The tuple of a distance, a neighbour tree or a loss: numbers, arrays and other allowed objects."""
    items = state.items if state.__class__ is Tup else None
    if items is None and isinstance(state, Map) and not state.count:
        return
    if items is None or len(items) > 16 or _sets_slots(items):
        refuse_state(machine, target, "a tuple of numbers and arrays")
    for item in items or ():
        if not (
            item is None or item.__class__ is int or is_number(item) or isinstance(item, Instance | Map | Tup)
        ):
            refuse_state(machine, target, "a tuple of numbers and arrays")


def _random_state(machine: Machine, target: Instance, state: Any) -> None:
    """A dict of numbers and arrays; numpy 2 puts it into a tuple with the seed sequence."""
    dicts = [state] if isinstance(state, Map) else list(state.items) if state.__class__ is Tup else []
    if not dicts or len(dicts) > 2 or not isinstance(dicts[0], Map) or dicts[0].other:
        refuse_state(machine, target, "a dict of its state")
    if len(dicts) == 2 and not isinstance(dicts[1], Instance | type(None) | Map):
        refuse_state(machine, target, "a dict of its state and a seed sequence")


def _pandas(machine: Machine, target: Instance, state: Any) -> None:
    """Tuples and dicts of arrays, types and names."""
    if not isinstance(state, Tup | Map) or (isinstance(state, Tup) and _sets_slots(state.items)):
        refuse_state(machine, target, "arrays and names")


def _sets_slots(items: tuple[Any, ...]) -> bool:
    """A pair whose second half is a dict: unpicklers set its entries as attributes, whatever their names."""
    return len(items) == 2 and isinstance(items[1], Map)


def _none(machine: Machine, target: Instance, state: Any) -> None:
    refuse_state(machine, target, "none")


def _booster_text(machine: Machine, target: Instance, entries: dict[str, Any]) -> None:
    """LightGBM keeps the model as text under `_handle`."""
    for key in ("_handle", "handle"):
        if not isinstance(entries.get(key), str | Text | None):
            refuse_state(machine, target, "the model's text")
    if entries.get("_network") not in (None, False):
        refuse_state(machine, target, "no network")


def _booster_bytes(machine: Machine, target: Instance, entries: dict[str, Any]) -> None:
    """XGBoost keeps the model as a bytearray under `handle`."""
    handle = entries.get("handle")
    if not isinstance(handle, Blob) or handle.kind != "bytearray":
        refuse_state(machine, target, "the model's bytes")


_EXTRA: dict[tuple[str, str], Callable[[Machine, Instance, dict[str, Any]], None]] = {
    ("sklearn.preprocessing._function_transformer", "FunctionTransformer"): _function_transformer,
    ("lightgbm.basic", "Booster"): _booster_text,
    ("xgboost.core", "Booster"): _booster_bytes,
    **{
        (module, "vectorize"): _vectorize
        for module in ("numpy", "numpy.lib.function_base", "numpy.lib._function_base_impl")
    },
    **{
        ("sklearn.feature_extraction.text", name): _vectorizer
        for name in ("CountVectorizer", "HashingVectorizer", "TfidfVectorizer")
    },
    **{
        (module, name): _distribution
        for module, names in allowlist.NEW.items()
        if module.startswith("scipy.stats.")
        for name in names
    },
}
_BY_KEY: dict[tuple[str, str], State] = {
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): _array_wrapper,
}
_BY_FACTS: dict[str, State] = {
    "array": _array,
    "tree": _tree,
    "partial": _partial,
    "cython": _cython_tuple,
    "random": _random_state,
    "bit generator": _random_state,
    "pandas": _pandas,
    "pandas type": _pandas,
    "entropy method": _none,
    "range": _none,
    "slice": _none,
    "numpy scalar": _none,
}
