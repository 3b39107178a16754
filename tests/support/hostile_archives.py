# ruff: noqa: E501
"""skops and ONNX files that must not pass, made from honest ones by one change each."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Schema = dict[str, Any]


def forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    X = np.arange(40.0).reshape(20, 2)
    return make_pipeline(FunctionTransformer(np.log1p), RandomForestClassifier(3, random_state=0)).fit(
        X, [0, 1] * 10
    )


def honest_skops() -> tuple[Schema, dict[str, bytes]]:
    """The schema and the other members of a small honest file."""
    import skops.io

    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(forest()))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(members.pop("schema.json")), members


def pack(schema: Any, members: dict[str, bytes], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr("schema.json", schema if isinstance(schema, str | bytes) else json.dumps(schema))
    return buffer.getvalue()


def node(module: str, name: str, loader: str, **entries: Any) -> Schema:
    return {"__module__": module, "__class__": name, "__loader__": loader, **entries}


def plain(value: Any) -> Schema:
    return node("builtins", "str", "JsonNode", content=json.dumps(value), is_json=True)


def sequence(kind: str, *items: Any) -> Schema:
    return node("builtins", kind, f"{kind.title()}Node", content=list(items))


def mapping(**entries: Any) -> Schema:
    types = sequence("list", *[node("builtins", "str", "TypeNode") for _ in entries])
    return node("builtins", "dict", "DictNode", content=entries, key_types=types)


def ridge(**state: Any) -> Schema:
    made = node("sklearn.linear_model._ridge", "Ridge", "ObjectNode")
    return made | {
        "content": mapping(_sklearn_version=plain("1.9.1"), **state),
        "protocol": 2,
        "_skops_version": "0.16.0",
    }


def schemas(marker: str) -> Iterator[tuple[str, Any]]:
    """Schemas alone; they need no members."""
    touch = plain(f"touch {marker}")
    system = ("os", "system")
    for loader in (
        "FunctionNode",
        "TypeNode",
        "ObjectNode",
        "ConstructorFromReduceNode",
        "LossNode",
        "TreeNode",
        "NdArrayNode",
    ):
        yield (
            f"system as {loader}",
            ridge(
                a=node(
                    *system,
                    loader,
                    content=sequence("tuple", touch),
                    type="json",
                    __reduce__={"args": sequence("tuple", touch)},
                )
            ),
        )
    for module, name in (("numpy", "load"), ("builtins", "eval"), ("joblib", "load"), ("sklearn", "os.system"),
                         ("numpy.f2py.crackfortran", "myeval"), ("pandas", "read_pickle"), ("__main__", "Custom")):  # fmt: skip
        yield f"function {module}.{name}", ridge(a=node(module, name, "FunctionNode"))
        yield f"object {module}.{name}", ridge(a=node(module, name, "ObjectNode", content=mapping()))
    yield (
        "method",
        ridge(
            a=node(
                "sklearn.linear_model._ridge", "Ridge", "MethodNode", content={"func": "fit", "obj": ridge()}
            )
        ),
    )
    yield (
        "operator",
        ridge(
            a=node("operator", "methodcaller", "OperatorFuncNode", attrs=sequence("tuple", plain("system")))
        ),
    )
    yield (
        "quantile forest",
        ridge(a=node("quantile_forest._quantile_forest_fast", "QuantileForest", "QuantileForestNode")),
    )
    yield "cached", ridge(a=node("builtins", "str", "CachedNode", __id__=5))
    yield "unknown loader", ridge(a=node("builtins", "str", "NewNode", content="1"))
    yield "loader no text", ridge(a=node("builtins", "str", ["x"]))
    yield (
        "constructor",
        ridge(
            a=node("builtins", "range", "ConstructorFromReduceNode", content=sequence("tuple", plain(10**9)))
        ),
    )
    partial = {"args": sequence("tuple"), "kwds": mapping(), "namespace": mapping()}
    for module, name in (system, ("numpy", "log")):
        yield (
            f"partial {name}",
            ridge(
                a=node(
                    "functools",
                    "partial",
                    "PartialNode",
                    content={"func": node(module, name, "FunctionNode"), **partial},
                )
            ),
        )
    yield (
        "key type system",
        ridge(
            a=node(
                "builtins",
                "dict",
                "DictNode",
                content={f"touch {marker}": plain(1)},
                key_types=sequence("list", node(*system, "TypeNode")),
            )
        ),
    )
    yield (
        "key type object",
        ridge(
            a=node(
                "builtins",
                "dict",
                "DictNode",
                content={"a": plain(1)},
                key_types=sequence("list", node("numpy", "ndarray", "TypeNode")),
            )
        ),
    )
    yield "key types missing", ridge(a=node("builtins", "dict", "DictNode", content={"a": plain(1)}))
    yield (
        "key types too few",
        ridge(a=node("builtins", "dict", "DictNode", content={"a": plain(1)}, key_types=sequence("list"))),
    )
    yield "dict of another class", ridge(a=mapping() | {"__module__": "os", "__class__": "_Environ"})
    yield "list of another class", ridge(a=sequence("list") | {"__module__": "os", "__class__": "system"})
    yield (
        "tuple of another class",
        ridge(a=sequence("tuple", touch) | {"__module__": "posix", "__class__": "stat_result"}),
    )
    yield "set of a list", ridge(a=sequence("set", sequence("list")))
    yield (
        "default factory",
        ridge(
            a=node(
                "collections",
                "defaultdict",
                "DefaultDictNode",
                content={"main": mapping(), "default_factory": node(*system, "TypeNode")},
            )
        ),
    )
    yield "json structure", ridge(a=plain([1]))
    yield "json no json", ridge(a=node("builtins", "str", "JsonNode", content="nope", is_json=True))
    yield "json deep", ridge(a=node("builtins", "str", "JsonNode", content="[" * 100_000, is_json=True))
    yield (
        "slice of text",
        ridge(a=node("builtins", "slice", "SliceNode", content={"start": [1], "stop": None, "step": None})),
    )
    generator = {"bit_generator": mapping(bit_generator=plain("seed")), "seed_seq": mapping()}
    yield (
        "generator",
        ridge(a=node("numpy.random._generator", "Generator", "RandomGeneratorNode", content=generator)),
    )
    yield (
        "random state class",
        ridge(a=node("numpy.random.mtrand", "seed", "RandomStateNode", content=mapping())),
    )
    yield (
        "same id twice",
        ridge(
            a=node("numpy", "log", "FunctionNode", __id__=7),
            b=node("sklearn.utils.validation", "check_array", "FunctionNode", __id__=7),
        ),
    )
    transformer = ("sklearn.preprocessing._function_transformer", "FunctionTransformer")
    yield (
        "function by id",
        ridge(
            a=node("sklearn.utils.validation", "check_array", "FunctionNode", __id__=9),
            b=node(
                *transformer,
                "ObjectNode",
                content=mapping(func=node("numpy", "log", "FunctionNode", __id__=9)),
            ),
        ),
    )
    yield (
        "function transformer",
        ridge(
            a=node(
                *transformer,
                "ObjectNode",
                content=mapping(func=node("sklearn.utils.validation", "check_array", "FunctionNode")),
            )
        ),
    )
    yield "method replaced", ridge(predict=node("numpy", "log", "FunctionNode"))
    yield "dunder", ridge(__class__=node("numpy", "log", "FunctionNode"))
    yield "id no integer", ridge(a=plain(1) | {"__id__": "x"})
    yield (
        "member outside",
        ridge(a=node("numpy", "ndarray", "NdArrayNode", type="numpy", file="../../etc/passwd.npy")),
    )
    yield "member missing", ridge(a=node("numpy", "ndarray", "NdArrayNode", type="numpy", file="1.npy"))
    yield "bytes missing", ridge(a=node("builtins", "bytes", "BytesNode", file="x.bin"))
    yield (
        "sparse missing",
        ridge(a=node("scipy.sparse._csr", "csr_matrix", "SparseMatrixNode", type="scipy", file="1.npz")),
    )
    yield (
        "object array without shape",
        ridge(a=node("numpy", "ndarray", "NdArrayNode", type="json", content=[], shape=plain(1))),
    )
    yield (
        "wrapper of joblib",
        ridge(a=node("joblib.numpy_pickle", "NumpyArrayWrapper", "ObjectNode", content=mapping())),
    )
    yield (
        "tree of another size",
        ridge(
            a=node(
                "sklearn.tree._tree",
                "Tree",
                "TreeNode",
                content=mapping(),
                __reduce__={"args": sequence("tuple", plain(1))},
            )
        ),
    )
    yield "root a list", sequence("list") | {"protocol": 2}
    yield (
        "root a kernel",
        node(
            "sklearn.gaussian_process.kernels", "RBF", "ObjectNode", content=mapping(a=plain(1)), protocol=2
        ),
    )
    for protocol in (0, 3, -1, True, "2", None):
        yield f"protocol {protocol!r}", ridge() | {"protocol": protocol}
    deep: Schema = sequence("list")
    for _ in range(400):
        deep = sequence("list", deep)
    yield "deep nodes", ridge(a=deep)
    yield "deep json", '{"a":' * 5000 + "1" + "}" * 5000
    yield "no json", "nothing here"
    yield "json list", "[]"
    yield "key twice", json.dumps(ridge())[:-1] + ', "__class__": "Lasso"}'
    yield "node without class", ridge(a={"__loader__": "JsonNode", "content": "1"})
    yield "node no object", ridge(a=5)
    yield "unknown entries", ridge(a=plain(1) | {"extra": 1})


def skops_files(marker: str) -> Iterator[tuple[str, bytes]]:
    for name, schema in schemas(marker):
        yield name, pack(schema, {})
    schema, members = honest_skops()
    array = next(name for name in members if name.endswith(".npy"))
    for name in ("../evil.npy", "/etc/passwd", "evil.py", "a/1.npy", "schema.json.npy"):
        yield f"member {name!r}", pack(schema, members | {name: b"x"})
    yield "no schema", _without_schema(members)
    yield "array damaged", pack(schema, members | {array: members[array][:-8]})
    yield "array longer", pack(schema, members | {array: members[array] + b"\0" * 8})
    yield "array no npy", pack(schema, members | {array: b"hello"})
    for name, header in (
        ("objects", "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }"),
        ("huge", "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999,), }"),
        ("code", "{'descr': '<f8', 'fortran_order': False, 'shape': (__import__('os').getpid(),), }"),
        ("field of objects", "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (3,), }"),
        ("nested fields", "{'descr': [('a', [('b', '<f8')])], 'fortran_order': False, 'shape': (3,), }"),
    ):
        yield f"array header {name}", pack(schema, members | {array: _npy(header)})
    buffer = io.BytesIO(pack(schema, members))
    with zipfile.ZipFile(buffer, "a") as archive:
        link = zipfile.ZipInfo("1.npy")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    yield "symlink", buffer.getvalue()
    yield "member twice", _twice(schema, members, array)
    buffer = io.BytesIO(pack(schema, members))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"x" * 100
    yield "comment", buffer.getvalue()
    good = pack(schema, members)
    yield "prefix", b"PK\x03\x04" + b"\0" * 60 + good
    for share in (1, 3, 5, 7, 9):
        yield f"cut at {share}/10", good[: len(good) * share // 10]
    yield "empty archive", _without_schema({})
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.npy", b"\0" * (70 << 20))
        archive.writestr("schema.json", json.dumps(ridge()))
    yield "bomb", bomb.getvalue()
    yield "encrypted", _flagged(good, 1)
    yield "sparse of objects", pack(*_sparse(np.array([None, "x"], dtype=object)))
    yield "sparse of an odd format", pack(*_sparse(np.array([1.0]), kind="lil"))


def _sparse(data: np.ndarray, kind: str = "csr") -> tuple[Schema, dict[str, bytes]]:
    buffer = io.BytesIO()
    arrays = {"data": data, "indices": np.array([0]), "indptr": np.array([0, 1]), "shape": np.array([1, 1])}
    np.savez(buffer, format=np.array(kind.encode()), allow_pickle=True, **arrays)
    made = node("scipy.sparse._csr", "csr_matrix", "SparseMatrixNode", type="scipy", file="1.npz")
    return ridge(a=made), {"1.npz": buffer.getvalue()}


def _npy(header: str) -> bytes:
    text = header.encode() + b" " * 20 + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + b"\0" * 24


def _without_schema(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _twice(schema: Schema, members: dict[str, bytes], name: str) -> bytes:
    buffer = io.BytesIO(pack(schema, members))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.writestr(name, members[name])
    return buffer.getvalue()


def _flagged(data: bytes, bit: int) -> bytes:
    """Every member marked as encrypted, in both directories."""
    changed = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = changed.find(signature)
        while at >= 0:
            changed[at + offset] |= bit
            at = changed.find(signature, at + 4)
    return bytes(changed)


def onnx_model(kind: str = "forest") -> Any:
    """A small honest graph."""
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.svm import SVC

    X = np.arange(40.0, dtype=np.float32).reshape(20, 2)
    model = {
        "forest": RandomForestClassifier(3, random_state=0),
        "svc": SVC(),
        "knn": KNeighborsRegressor(2),
    }[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return to_onnx(model.fit(X, [0, 1] * 10), X[:1], options={"zipmap": False} if kind != "knn" else None)


def onnx_files() -> Iterator[tuple[str, bytes]]:
    import onnx
    from onnx import TensorProto, helper

    def changed(change: Callable[[Any], Any], kind: str = "forest") -> bytes:
        model = onnx_model(kind)
        change(model)
        return bytes(model.SerializeToString())

    def tree(model: Any, name: str) -> Any:
        return next(item for node in model.graph.node for item in node.attribute if item.name == name)

    def integers(name: str, change: Callable[[list[int]], list[int]]) -> bytes:
        def apply(model: Any) -> None:
            values = tree(model, name).ints
            new = change(list(values))
            del values[:]
            values.extend(new)

        return changed(apply)

    yield "child outside", integers("nodes_truenodeids", lambda ids: [9999, *ids[1:]])
    yield "child negative", integers("nodes_falsenodeids", lambda ids: [-1, *ids[1:]])
    yield "circle", integers("nodes_truenodeids", lambda ids: [0, *ids[1:]])
    yield "node twice", integers("nodes_nodeids", lambda ids: [ids[0], ids[0], *ids[2:]])
    yield "lists differ", integers("nodes_featureids", lambda ids: ids[:-1])
    yield "feature negative", integers("nodes_featureids", lambda ids: [-5, *ids[1:]])
    yield "feature huge", integers("nodes_featureids", lambda ids: [2**40, *ids[1:]])
    yield "class outside", integers("class_ids", lambda ids: [77, *ids[1:]])
    yield "leaf missing", integers("class_nodeids", lambda ids: [5000, *ids[1:]])
    yield "no nodes", integers("nodes_nodeids", lambda ids: [])

    def floats(name: str, kind: str = "svc") -> bytes:
        def apply(model: Any) -> None:
            del tree(model, name).floats[-1]

        return changed(apply, kind)

    yield "support vectors short", floats("support_vectors")
    yield "coefficients short", floats("coefficients")
    yield "rho short", floats("rho")

    def external(model: Any) -> None:
        tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
        tensor.ClearField("float_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../etc/passwd")
        model.graph.initializer.append(tensor)

    yield "external data", changed(external)

    def external_attribute(model: Any) -> None:
        tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
        tensor.external_data.add(key="location", value="/etc/passwd")
        model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))

    yield "external data in an attribute", changed(external_attribute)
    for operator in ("If", "Loop", "RandomNormal", "ImageDecoder", "Python"):
        yield (
            f"operator {operator}",
            changed(
                lambda model, operator=operator: model.graph.node.append(
                    helper.make_node(operator, ["X"], ["z"])
                )
            ),
        )
    for domain in ("com.evil", "com.microsoft.nchwc", "ai.onnx.training", "pkg"):
        yield (
            f"domain {domain}",
            changed(
                lambda model, domain=domain: model.graph.node.append(
                    helper.make_node("Abs", ["X"], ["z"], domain=domain)
                )
            ),
        )
    yield (
        "contrib operator",
        changed(
            lambda model: model.graph.node.append(
                helper.make_node("EPContext", ["X"], ["z"], domain="com.microsoft")
            )
        ),
    )

    def function(model: Any) -> None:
        model.functions.append(
            helper.make_function(
                "f", "f", ["x"], ["y"], [helper.make_node("Abs", ["x"], ["y"])], [helper.make_opsetid("", 13)]
            )
        )

    yield "function", changed(function)
    yield "training", changed(lambda model: model.training_info.add())
    yield "settings", changed(lambda model: model.metadata_props.add(key="ort_config", value="{}"))

    def initializer(**options: Any) -> bytes:
        def apply(model: Any) -> None:
            tensor = onnx.TensorProto(
                name="w", data_type=options.pop("kind", TensorProto.FLOAT), dims=options.pop("dims")
            )
            for field, value in options.items():
                getattr(tensor, field).extend(value) if isinstance(value, list) else setattr(
                    tensor, field, value
                )
            model.graph.initializer.append(tensor)

        return changed(apply)

    yield "too little data", initializer(dims=[100], float_data=[1.0])
    yield "too little raw data", initializer(dims=[100], raw_data=b"\0" * 8)
    yield "huge tensor", initializer(dims=[2**40])
    yield "overflowing tensor", initializer(dims=[2**32, 2**32], raw_data=b"")
    yield "negative tensor", initializer(dims=[-1], raw_data=b"")
    yield "data of another type", initializer(dims=[1], int64_data=[1])
    yield "data in two ways", initializer(dims=[1], float_data=[1.0], raw_data=b"\0" * 4)
    yield "texts as raw", initializer(dims=[1], kind=TensorProto.STRING, raw_data=b"\0" * 8)
    yield "unknown type", initializer(dims=[1], kind=99, raw_data=b"\0" * 8)
    yield (
        "sparse tensor",
        changed(
            lambda model: model.graph.sparse_initializer.add(
                dims=[5], values=helper.make_tensor("v", 1, [1], [1.0])
            )
        ),
    )
    yield (
        "name twice",
        changed(lambda model: model.graph.initializer.extend([helper.make_tensor("w", 1, [1], [1.0])] * 2)),
    )
    yield "value made twice", changed(lambda model: model.graph.node.append(model.graph.node[-1]))
    yield (
        "value never made",
        changed(lambda model: model.graph.node.append(helper.make_node("Abs", ["nope"], ["z"]))),
    )
    yield (
        "used before made",
        changed(
            lambda model: model.graph.node.extend(
                [helper.make_node("Abs", ["b"], ["a"]), helper.make_node("Abs", ["a"], ["b"])]
            )
        ),
    )
    yield "no outputs", changed(lambda model: model.graph.ClearField("output"))
    yield "no inputs", changed(lambda model: model.graph.ClearField("input"))
    yield "no graph", changed(lambda model: model.ClearField("graph"))
    yield "no opset", changed(lambda model: model.ClearField("opset_import"))
    yield "opset of the future", changed(lambda model: setattr(model.opset_import[0], "version", 99))
    yield "ir version", changed(lambda model: setattr(model, "ir_version", 99))
    yield (
        "attribute twice",
        changed(lambda model: model.graph.node[0].attribute.append(model.graph.node[0].attribute[0])),
    )

    def deep(model: Any) -> None:
        graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "g", [], [])
        for _ in range(10):
            graph = helper.make_graph(
                [helper.make_node("Scan", ["X"], ["y"], body=graph, num_scan_inputs=1)], "g", [], []
            )
        model.graph.node.append(helper.make_node("Scan", ["X"], ["z"], body=graph, num_scan_inputs=1))

    yield "deep graphs", changed(deep)
    good = bytes(onnx_model().SerializeToString())
    for share in range(1, 20):
        yield f"cut at {share}/20", good[: len(good) * share // 20]
    yield "graph twice", good + good
    yield "group", good + b"\x0b\x0c"
    yield "field zero", good + b"\x00\x00"
    yield "endless integer", good + b"\x08" + b"\xff" * 12
    yield "length beyond the end", good + b"\x12\xff\xff\xff\xff\x0f"
    yield "wire type of the graph", b"\x08\x08\x38\x01" + good[2:40]
