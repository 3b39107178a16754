"""What each kind of node in a skops schema may hold, as symbols."""

from __future__ import annotations

import json
from typing import Any

from modelyard.intake.archives import check_sparse, npy_member, read_member
from modelyard.intake.calls import CALLS, MAPPINGS, NAMED_TUPLES, SCALAR, WRAPPER, is_number
from modelyard.intake.skops_walker import Read, Walker
from modelyard.intake.states import build
from modelyard.intake.symbols import (
    CREATED,
    FLOAT,
    VALUED,
    ArrayFacts,
    Blob,
    Dtype,
    Global,
    Instance,
    Map,
    Seq,
    Tup,
)
from modelyard.intake.wording import describe

KEY_TYPES = {("builtins", name) for name in ("bool", "float", "int", "str")} | {
    ("numpy", name)
    for name in ("bool", "bool_", "float32", "float64", "int8", "int32", "int64", "str_", "uint64")
}
_FACTORIES = {("collections", "OrderedDict"), ("builtins", "dict"), ("builtins", "list"), ("builtins", "int")}
_SCALARS = {
    "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "bool", "bool_", "str_", "datetime64", "timedelta64", "complex128", "longdouble",
}  # fmt: skip
_BIT_GENERATORS = {"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"}


def name_of(node: dict[str, Any]) -> tuple[Any, Any]:
    return node["__module__"], node["__class__"]


def _expect(walker: Walker, node: dict[str, Any], *allowed: tuple[str, str]) -> None:
    if name_of(node) not in allowed:
        walker.refuse(
            "class", f"a {node['__loader__']} is of an unexpected class; save the model again with skops"
        )


def _content(walker: Walker, node: dict[str, Any], kind: type) -> Any:
    content = node.get("content")
    if not isinstance(content, kind):
        walker.refuse("broken", "the schema has a node without its content; save the model again")
    return content


def _json(walker: Walker, node: dict[str, Any]) -> Any:
    _expect(walker, node, ("builtins", "str"))
    text = _content(walker, node, str)
    if text[:1] in ("[", "{", " ", "\n", "\t", "\r") or (text[:1] in "-0123456789" and len(text) > 400):
        walker.refuse("broken", "the schema hides a structure in a plain value; save the model again")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        walker.refuse("broken", "the schema has a plain value that is no JSON; save the model again")
    if isinstance(value, str):
        return describe(value)
    return FLOAT if isinstance(value, float) else value


def _type(walker: Walker, node: dict[str, Any]) -> Global:
    return walker.value(walker.lookup(*name_of(node)))  # type: ignore[no-any-return]


def _dict(walker: Walker, node: dict[str, Any]) -> Any:
    _expect(walker, node, ("builtins", "dict"), ("collections", "OrderedDict"), *MAPPINGS)
    content = _content(walker, node, dict)
    types = node.get("key_types")
    if (
        not isinstance(types, dict)
        or types.get("__loader__") != "ListNode"
        or not isinstance(types.get("content"), list)
    ):
        walker.refuse("broken", "a dict of the schema lacks the types of its keys; save the model again")
    if len(types["content"]) != len(content):
        walker.refuse(
            "broken", "a dict of the schema has more or fewer key types than keys; save the model again"
        )
    walker.node(types)
    result = Map()
    for (key, value), kind in zip(content.items(), types["content"], strict=True):
        if kind.get("__loader__") != "TypeNode" or name_of(kind) not in KEY_TYPES:
            walker.refuse(
                "key_type", "a dict has keys of a type that models do not have; save the model again"
            )
        symbol = walker.value(walker.node(value))
        walker.within(result, symbol)
        if name_of(kind) == ("builtins", "str"):
            result.entries[key] = symbol
        else:
            result.other += 1
    if name_of(node) == ("builtins", "dict"):
        return result
    instance = Instance(walker.lookup(*name_of(node)), result)
    walker.within(instance, result)
    return instance


def _default_dict(walker: Walker, node: dict[str, Any]) -> Any:
    _expect(walker, node, ("collections", "defaultdict"))
    content = _content(walker, node, dict)
    factory = content.get("default_factory")
    if set(content) != {"main", "default_factory"} or not isinstance(factory, dict):
        walker.refuse("broken", "a defaultdict of the schema lacks its parts; save the model again")
    if factory.get("__loader__") == "JsonNode":
        if walker.node(factory) is not None:
            walker.refuse("class", "a defaultdict has a factory that models do not need")
    elif factory.get("__loader__") != "TypeNode" or name_of(factory) not in _FACTORIES:
        walker.refuse("class", "a defaultdict has a factory that models do not need; save the model again")
    main = walker.node(content["main"])
    if not isinstance(main, Map) or main.other:
        walker.refuse("broken", "a defaultdict of the schema holds no dict; save the model again")
    return main


def _sequence(kind: str) -> Read:
    def read(walker: Walker, node: dict[str, Any]) -> Any:
        _expect(walker, node, ("builtins", kind))
        result = Seq(kind)
        for item in _content(walker, node, list):
            symbol = walker.node(item)
            (walker.key if kind == "set" else walker.value)(symbol)
            walker.within(result, symbol)
            result.count += 1
        return result

    return read


def _tuple(walker: Walker, node: dict[str, Any]) -> Any:
    items = [walker.value(walker.node(item)) for item in _content(walker, node, list)]
    if name_of(node) in NAMED_TUPLES:
        if len(items) != NAMED_TUPLES[name_of(node)]:
            walker.refuse("arguments", "a named tuple has more or fewer fields than it should")
        instance = Instance(walker.lookup(*name_of(node)))
        for item in items:
            walker.within(instance, item)
        return instance
    _expect(walker, node, ("builtins", "tuple"))
    return walker.tup(tuple(items))


def _file(walker: Walker, node: dict[str, Any], ending: str) -> str:
    name = node.get("file")
    if not isinstance(name, str) or not name.endswith(ending) or name == "schema.json":
        walker.refuse(
            "member_name", "a node refers to a member that cannot be its data; save the model again"
        )
    return name


def _bytes(kind: str) -> Read:
    def read(walker: Walker, node: dict[str, Any]) -> Blob:
        _expect(walker, node, ("builtins", kind))
        name = _file(walker, node, ".bin")
        try:
            size = walker.archive.getinfo(name).file_size
        except KeyError:
            walker.refuse("missing_member", "the archive lacks a member that its schema names; save it again")
        return Blob(size, None, kind)

    return read


def _slice(walker: Walker, node: dict[str, Any]) -> Instance:
    _expect(walker, node, ("builtins", "slice"))
    content = _content(walker, node, dict)
    fine = set(content) == {"start", "stop", "step"} and all(
        value is None
        or (value.__class__ is int and abs(value) < 2**31)
        or (isinstance(value, str) and len(value) < 512)
        for value in content.values()
    )
    if not fine:
        walker.refuse("arguments", "a slice has bounds that are no small integers; save the model again")
    return Instance(walker.lookup("builtins", "slice"), "slice")


def _function(walker: Walker, node: dict[str, Any]) -> Global:
    found = walker.lookup(*name_of(node))
    return walker.value(found)  # type: ignore[no-any-return]


def _partial(walker: Walker, node: dict[str, Any]) -> Instance:
    _expect(walker, node, ("functools", "partial"))
    content = _content(walker, node, dict)
    if set(content) != {"func", "args", "kwds", "namespace"}:
        walker.refuse("broken", "a partial function of the schema lacks its parts; save the model again")
    parts = [walker.node(content[key]) for key in ("func", "args", "kwds", "namespace")]
    instance = Instance(walker.lookup("functools", "partial"), "partial")
    build(walker, instance, Tup(tuple(parts)))
    return instance


def _object(walker: Walker, node: dict[str, Any]) -> Instance:
    found = walker.lookup(*name_of(node))
    cython = found.module.startswith(("sklearn.neighbors._", "sklearn.metrics._dist_metrics")) and not (
        found.roles & CREATED
    )
    if not found.roles & CREATED and not (cython and found.roles & VALUED and found.name[0].isupper()):
        walker.refuse(
            "create",
            f"an object of {found.path} is made, which no model of scikit-learn does; rebuild it from"
            " standard parts",
        )
    if found.key == WRAPPER or found.name == "vectorize":
        walker.refuse("create", f"an object of {found.path} is made, which skops never writes")
    instance = Instance(found, "cython" if cython else None)
    content = node.get("content")
    if content is not None:
        state = walker.node(content)
        walker.within(instance, state)
        if state is not None:
            build(walker, instance, state)
    return instance


def _array(walker: Walker, node: dict[str, Any]) -> Instance:
    module, name = name_of(node)
    scalar = module == "numpy" and name in _SCALARS
    if not scalar:
        _expect(walker, node, ("numpy", "ndarray"))
    if node.get("type") == "numpy":
        if set(node) & {"content", "shape"}:
            walker.refuse("broken", "an array of the schema is stored in two ways; save the model again")
        facts = npy_member(walker.archive, _file(walker, node, ".npy"), walker.limits)
        if scalar:
            if facts.shape != ():
                walker.refuse("array", "a numpy scalar holds more than one value; save the model again")
            return Instance(Global("numpy", name, 0, 0), SCALAR)
        return Instance(Global("numpy", "ndarray", 0, 0), facts)
    if node.get("type") != "json" or scalar or "file" in node:
        walker.refuse("array", "an array of the schema is of an unknown kind; save the model again")
    shape = walker.node(node.get("shape"))
    sides = shape.items if isinstance(shape, Tup) else ()
    if not isinstance(shape, Tup) or not all(side.__class__ is int and 0 <= side <= 2**31 for side in sides):
        walker.refuse("array", "an array of the schema has no proper shape; save the model again")
    result = Instance(Global("numpy", "ndarray", 0, 0), ArrayFacts(tuple(sides), Dtype("O8", "O", 8)))
    for item in _content(walker, node, list):
        walker.within(result, walker.value(walker.node(item)))
    return result


def _masked(walker: Walker, node: dict[str, Any]) -> Instance:
    _expect(walker, node, ("numpy.ma", "MaskedArray"), ("numpy.ma.core", "MaskedArray"))
    content = _content(walker, node, dict)
    if set(content) != {"data", "mask"}:
        walker.refuse("broken", "a masked array of the schema lacks its parts; save the model again")
    data, mask = walker.node(content["data"]), walker.node(content["mask"])
    facts = data.facts if isinstance(data, Instance) else None
    if not isinstance(facts, ArrayFacts) or not isinstance(mask, Instance):
        walker.refuse("array", "a masked array of the schema holds no arrays; save the model again")
    if isinstance(mask.facts, ArrayFacts) and mask.facts.shape != facts.shape:
        walker.refuse("array", "a masked array's mask does not fit its data; save the model again")
    return Instance(walker.lookup("numpy.ma", "MaskedArray"), facts)


def _dtype(walker: Walker, node: dict[str, Any]) -> Instance:
    _expect(walker, node, ("numpy", "dtype"))
    array = walker.node(_content(walker, node, dict))
    facts = array.facts if isinstance(array, Instance) else None
    if not isinstance(facts, ArrayFacts) or facts.dtype is None:
        walker.refuse("dtype", "a numpy type of the schema is no type; save the model again")
    return Instance(walker.lookup("numpy", "dtype"), facts.dtype)


def _random_state(walker: Walker, node: dict[str, Any]) -> Instance:
    _expect(walker, node, ("numpy.random.mtrand", "RandomState"))
    state = walker.node(_content(walker, node, dict))
    if not isinstance(state, Map) or state.entries.get("bit_generator") != "MT19937":
        walker.refuse("state", "a random state of the schema is not numpy's; save the model again")
    return Instance(walker.lookup("numpy.random.mtrand", "RandomState"), "random")


def _generator(walker: Walker, node: dict[str, Any]) -> Instance:
    _expect(walker, node, ("numpy.random._generator", "Generator"))
    content = _content(walker, node, dict)
    wanted = {"bit_generator", "seed_seq"} if walker.protocol == 2 else {"bit_generator"}
    if set(content) != wanted:
        walker.refuse("broken", "a random generator of the schema lacks its parts; save the model again")
    state = walker.node(content["bit_generator"])
    if not isinstance(state, Map) or state.entries.get("bit_generator") not in _BIT_GENERATORS:
        walker.refuse("state", "a random generator of the schema is not one of numpy's; save the model again")
    if "seed_seq" in content:
        seed = walker.node(content["seed_seq"])
        fine = isinstance(seed, Map) and not seed.other
        if not fine or set(seed.entries) - {"entropy", "spawn_key", "pool_size", "n_children_spawned"}:
            walker.refuse("state", "a seed sequence of the schema is not numpy's; save the model again")
    return Instance(walker.lookup("numpy.random._generator", "Generator"), "random")


def _sparse(walker: Walker, node: dict[str, Any]) -> Instance:
    found = walker.lookup(*name_of(node))
    if (
        not found.module.startswith("scipy.sparse.")
        or not found.roles & CREATED
        or node.get("type") != "scipy"
    ):
        walker.refuse("class", "a sparse matrix of the schema is of an unknown class; save the model again")
    data = read_member(walker.archive, _file(walker, node, ".npz"), walker.limits.inflated_bytes)
    check_sparse(data, walker.limits)
    return Instance(found)


def _reduced(walker: Walker, node: dict[str, Any]) -> tuple[tuple[Any, ...], Any]:
    """The arguments and the state of a node that skops rebuilds by a call. skops reads the state first."""
    reduce = node.get("__reduce__")
    if not isinstance(reduce, dict) or set(reduce) != {"args"} or "content" not in node:
        walker.refuse("broken", "the schema has a node without its arguments; save the model again")
    state = walker.node(node["content"])
    args = walker.node(reduce["args"])
    if not isinstance(args, Tup):
        walker.refuse("broken", "the schema has a node whose arguments are no tuple; save the model again")
    return args.items, state


def _tree(walker: Walker, node: dict[str, Any]) -> Instance:
    _expect(walker, node, ("sklearn.tree._tree", "Tree"))
    args, state = _reduced(walker, node)
    target = walker.lookup("sklearn.tree._tree", "Tree")
    instance: Instance = CALLS[target.key](walker, target, args)
    build(walker, instance, state)
    return instance


def _loss(walker: Walker, node: dict[str, Any]) -> Instance:
    found = walker.lookup(*name_of(node))
    losses = ("sklearn._loss._loss", "sklearn.linear_model._sgd_fast", "_loss")
    if found.module not in losses or found.name.startswith("__"):
        walker.refuse("class", "a loss of the schema is not one of scikit-learn's; save the model again")
    args, state = _reduced(walker, node)
    fine = all(is_number(arg) for arg in args) and len(args) <= 3
    if not fine or not (
        (isinstance(state, Map) and not state.count) or (isinstance(state, Tup) and not state.items)
    ):
        walker.refuse(
            "arguments", "a loss of the schema has other arguments than numbers; save the model again"
        )
    return Instance(found, "cython")


NODES: dict[str, tuple[set[str], Read]] = {
    "JsonNode": ({"content", "is_json"}, _json),
    "TypeNode": (set(), _type),
    "DictNode": ({"content", "key_types"}, _dict),
    "DefaultDictNode": ({"content"}, _default_dict),
    "ListNode": ({"content"}, _sequence("list")),
    "SetNode": ({"content"}, _sequence("set")),
    "TupleNode": ({"content"}, _tuple),
    "BytesNode": ({"file"}, _bytes("bytes")),
    "BytearrayNode": ({"file"}, _bytes("bytearray")),
    "SliceNode": ({"content"}, _slice),
    "FunctionNode": (set(), _function),
    "PartialNode": ({"content"}, _partial),
    "ObjectNode": ({"content"}, _object),
    "NdArrayNode": ({"type", "file", "content", "shape"}, _array),
    "MaskedArrayNode": ({"content"}, _masked),
    "DTypeNode": ({"content"}, _dtype),
    "RandomStateNode": ({"content"}, _random_state),
    "RandomGeneratorNode": ({"content"}, _generator),
    "SparseMatrixNode": ({"type", "file"}, _sparse),
    "TreeNode": ({"content", "__reduce__"}, _tree),
    "LossNode": ({"content", "__reduce__"}, _loss),
}
