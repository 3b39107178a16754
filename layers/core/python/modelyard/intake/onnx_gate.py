"""The gate for ONNX files, uploaded or compiled here: pure Python, so that it runs where credentials live.

What it lets through has one meaning, refers to nothing outside itself, uses known operators only, and holds
as much
data as it declares. Trees are followed node by node, because the runtime follows them without looking.
"""

from __future__ import annotations

import mmap
from collections import Counter
from pathlib import Path
from typing import Literal, NoReturn

from modelyard.intake.onnx_operators import MICROSOFT, ML, STANDARD
from modelyard.intake.onnx_tensors import Attributes, check_sparse_tensor, check_tensor
from modelyard.intake.onnx_trees import OPERATOR_CHECKS
from modelyard.intake.protobuf import Fields, Message, broken
from modelyard.intake.verdict import Limits, OnnxReport, OnnxValue, Refused

Source = Literal["upload", "compiled"]
DEPTH = 4  # graphs within graphs
NODES = 200_000
OPSETS = {"": (7, 30), "ai.onnx.ml": (1, 6), "com.microsoft": (1, 1)}
IR_VERSIONS = range(3, 14)
_ALIASES = {"ai.onnx": ""}
_REPEATED = {
    "model": frozenset({8, 14, 20, 25, 26}),
    "graph": frozenset({1, 5, 11, 12, 13, 14, 15, 16}),
    "node": frozenset({1, 2, 5, 9, 10}),
    "function": frozenset({4, 5, 6, 7, 9, 11, 12, 14}),
    "shape": frozenset({1}),
}
_TYPES = {
    1: "float", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string",
    9: "bool", 10: "float16", 11: "double", 12: "uint32", 13: "uint64",
}  # fmt: skip


def refuse(rule: str, detail: str) -> NoReturn:
    raise Refused(rule, detail, format="onnx")


def check(data: bytes | Path, limits: Limits, *, source: Source) -> OnnxReport:
    """Judge an ONNX model given as bytes or as a path. Raises `Refused`.

    `source="compiled"` is for models that our own compiler made: they may define functions, nothing else
    changes.
    """
    if isinstance(data, bytes):
        return _check(memoryview(data), limits, source)
    size = data.stat().st_size
    if not size:
        refuse("empty", "the file is empty; upload a saved model")
    if size > limits.upload_bytes:
        refuse("too_large", f"the file has {size} bytes; at most {limits.upload_bytes} are taken")
    with data.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        view = memoryview(content)
        try:
            return _check(view, limits, source)
        except Refused as refused:
            # the traceback's frames hold views that would keep the mapping open
            raise refused.with_traceback(None) from None
        finally:
            view.release()


def _check(view: memoryview, limits: Limits, source: Source) -> OnnxReport:
    return Checker(view, limits, source).run()


class Checker:
    """One pass over a model."""

    def __init__(self, view: memoryview, limits: Limits, source: Source) -> None:
        self.view = view
        self.limits = limits
        self.source = source
        self.operators: Counter[str] = Counter()
        self.functions: set[tuple[str, str]] = set()
        self.opsets: dict[str, int] = {}
        self.nodes = 0

    def run(self) -> OnnxReport:
        model = Fields(Message(self.view, 0, len(self.view)), repeated=_REPEATED["model"])
        ir_version = model.integer(1)
        graph = model.message_of(7)
        if graph is None:
            refuse("no_graph", "the file holds no ONNX graph; export the model again")
        if ir_version not in IR_VERSIONS:
            refuse("ir_version", f"the file has IR version {ir_version}; export it with version 3 to 13")
        if model.has(20):
            refuse("training", "the file holds training information; export the model for inference")
        metadata = self._metadata(model.messages(14))
        self.opsets = self._opsets(model.messages(8))
        self._functions(model.messages(25))
        fields = Fields(graph, repeated=_REPEATED["graph"])
        self._graph(fields, depth=1)
        inputs = [self._value(item) for item in fields.messages(11)]
        given = {
            Fields(item, repeated=frozenset({1, 4, 5, 6, 7, 10, 11, 13, 16})).text(8)
            for item in fields.messages(5)
        }
        outputs = tuple(self._value(item) for item in fields.messages(12))
        inputs = [item for item in inputs if item.name not in given]
        if not inputs or not outputs:
            refuse("no_graph", "the ONNX graph has no input or no output; export the model again")
        return OnnxReport(
            size=len(self.view),
            ir_version=ir_version,
            opsets=self.opsets,
            inputs=tuple(inputs),
            outputs=outputs,
            operators=dict(self.operators),
            producer=model.text(2, 4096),
            metadata=metadata,
        )

    def _metadata(self, entries: list[Message]) -> dict[str, str]:
        found: dict[str, str] = {}
        for entry in entries:
            fields = Fields(entry, repeated=frozenset())
            key = fields.text(1, 4096)
            if key == "ort_config":
                refuse(
                    "runtime_settings",
                    "the file's metadata holds settings for the runtime; remove `ort_config`",
                )
            if len(found) < 64:
                value = fields.message_of(2)
                found[key] = value.text(4096) if value is not None and len(value) <= 4096 else ""
        return found

    def _opsets(self, entries: list[Message]) -> dict[str, int]:
        opsets: dict[str, int] = {}
        for entry in entries:
            fields = Fields(entry, repeated=frozenset())
            domain, version = fields.text(1), fields.integer(2)
            domain = _ALIASES.get(domain, domain)
            if domain in OPSETS:
                low, high = OPSETS[domain]
                if not low <= version <= high:
                    refuse(
                        "opset",
                        f"operator set {domain or 'ai.onnx'} {version} is not supported; export with"
                        f" {low} to {high}",
                    )
            opsets[domain] = version
        if "" not in opsets and "ai.onnx.ml" not in opsets:
            refuse("opset", "the file states no operator set; export the model again")
        return opsets

    def _functions(self, entries: list[Message]) -> None:
        if entries and self.source == "upload":
            refuse("function", "the file defines functions of its own; export the model without functions")
        parsed = [Fields(entry, repeated=_REPEATED["function"]) for entry in entries]
        self.functions = {(fields.text(10), fields.text(1)) for fields in parsed}
        for fields in parsed:
            for node in fields.messages(7):
                self._node(node, depth=1)

    def _graph(self, fields: Fields, *, depth: int) -> None:
        if depth > DEPTH:
            refuse("nesting", f"graphs are nested more than {DEPTH} levels deep")
        names: set[str] = set()
        for tensor in fields.messages(5):
            name = check_tensor(tensor, self.limits)
            if name in names:
                refuse("duplicate", "two initializers have one name; export the model again")
            names.add(name)
        for tensor in fields.messages(15):
            check_sparse_tensor(tensor, self.limits)
        self._check_order(fields, names, depth)
        for node in fields.messages(1):
            self._node(node, depth=depth)

    def _check_order(self, fields: Fields, known: set[str], depth: int) -> None:
        """Each value is made once, before its use: the graph is acyclic as written."""
        known = set(known)
        for item in fields.messages(11):
            known.add(Fields(item, repeated=frozenset({4})).text(1))
        for node in fields.messages(1):
            parsed = Fields(node, repeated=_REPEATED["node"])
            for name in parsed.messages(1):
                text = name.text()
                if text and text not in known and depth == 1:
                    refuse(
                        "graph", "a node reads a value that is made later or never; export the model again"
                    )
            for name in parsed.messages(2):
                text = name.text()
                if text and text in known and depth == 1:
                    refuse("graph", "two nodes make one value; export the model again")
                known.add(text)

    def _node(self, message: Message, *, depth: int) -> None:
        self.nodes += 1
        if self.nodes > NODES:
            refuse("too_large", f"the graph has more than {NODES} nodes")
        fields = Fields(message, repeated=_REPEATED["node"])
        operator, domain = fields.text(4), fields.text(7)
        domain = _ALIASES.get(domain, domain)
        self._allowed(domain, operator)
        self.operators[f"{domain}.{operator}" if domain else operator] += 1
        attributes = Attributes(fields.messages(5), self.limits)
        for graph in attributes.graphs:
            self._graph(Fields(graph, repeated=_REPEATED["graph"]), depth=depth + 1)
        special = OPERATOR_CHECKS.get((domain, operator))
        if special is not None:
            special(attributes)

    def _allowed(self, domain: str, operator: str) -> None:
        table = {"": STANDARD, "ai.onnx.ml": ML, "com.microsoft": MICROSOFT}.get(domain)
        if (domain, operator) in self.functions:
            return
        if table is None:
            shown = (
                domain
                if domain.replace(".", "").replace("_", "").isalnum() and len(domain) < 64
                else "unknown"
            )
            refuse(
                "operator_domain",
                f"the graph uses operators of the domain {shown}; export with the domains ai.onnx and"
                " ai.onnx.ml only",
            )
        if operator not in table:
            shown = operator if operator.isidentifier() and len(operator) < 64 else "unknown"
            refuse(
                "operator",
                f"the graph uses the operator {shown}, which is not served; export the model without it",
            )

    def _value(self, message: Message) -> OnnxValue:
        fields = Fields(message, repeated=frozenset({4}))
        kind = fields.message_of(2)
        if kind is None:
            return OnnxValue(fields.text(1), "unknown", None)
        types = Fields(kind, repeated=frozenset())
        tensor = types.message_of(1)
        if tensor is None:
            return OnnxValue(
                fields.text(1), "sequence" if types.has(4) else "map" if types.has(5) else "other", None
            )
        parsed = Fields(tensor, repeated=frozenset())
        element = _TYPES.get(parsed.integer(1), "other")
        shape = parsed.message_of(2)
        if shape is None:
            return OnnxValue(fields.text(1), element, None)
        sides = []
        for side in Fields(shape, repeated=_REPEATED["shape"]).messages(1):
            dimension = Fields(side, repeated=frozenset())
            size = dimension.integer(1, -1)
            if size < -1 or size > self.limits.array_elements:
                broken("an input or output has an impossible side", side.start)
            sides.append(size if not dimension.has(2) and size != 0 else -1)
        return OnnxValue(fields.text(1), element, tuple(sides))
