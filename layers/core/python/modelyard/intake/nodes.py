"""Adding nodes to a graph under conversion: fresh names, doubles throughout, and a way to decline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from modelyard.intake.ensembles import Layout, NotExpressible

NODE_PREFIX = "Modelyard"
_ML = "ai.onnx.ml"
_VERSIONS = {"Pow": 13, "Equal": 13, "Less": 13, "GreaterOrEqual": 16, "MatMul": 13}
Converter = Callable[[Any, Any, Any], None]


def or_else(ours: Converter, theirs: Any) -> Converter:
    """`theirs` where ours cannot express the model; ours decline before they add anything to the graph."""

    def convert(scope: Any, operator: Any, container: Any) -> None:
        try:
            ours(scope, operator, container)
        except NotExpressible:
            theirs(scope, operator, container)

    return convert


def options_of(container: Any, model: Any, **defaults: Any) -> dict[str, Any]:
    """The options given for `model`; none where it has no such options."""
    return container.get_options(model, dict(defaults), fail=False) or {}


def labels_of(model: Any, container: Any) -> dict[str, Any]:
    """Class labels as the graph holds them: strings, or whole numbers."""
    if options_of(container, model, nocl=False).get("nocl"):
        return {"classlabels_int64s": list(range(len(model.classes_)))}
    classes = model.classes_.tolist()
    if all(isinstance(label, str) for label in classes):
        return {"classlabels_strings": classes}
    if all(isinstance(label, bool | int | float) and int(label) == label for label in classes):
        return {"classlabels_int64s": [int(label) for label in classes]}
    raise NotExpressible("class labels that are neither whole numbers nor strings")


class Graph:
    """Adds nodes under fresh names, computing in doubles."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self._scope, self._operator, self._container = scope, operator, container

    def name(self, hint: str) -> str:
        return str(self._scope.get_unique_variable_name(f"modelyard_{hint}"))

    def add(self, op_type: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        name = self._scope.get_unique_operator_name(f"{NODE_PREFIX}{op_type}")
        self._container.add_node(op_type, inputs, outputs, name=name, **attributes)

    def constant(self, value: np.ndarray) -> str:
        from onnx import TensorProto

        kinds = {
            "f": TensorProto.DOUBLE,
            "i": TensorProto.INT64,
            "O": TensorProto.STRING,
            "b": TensorProto.BOOL,
        }
        kind = kinds[value.dtype.kind]
        name = self.name("constant")
        self._container.add_initializer(name, kind, value.shape, value.ravel().tolist())
        return name

    def cast(self, source: str, to: int = 11) -> str:
        """To double (11) or float (1)."""
        target = self.name("cast")
        self.add("Cast", [source], [target], op_version=13, to=to)
        return target

    def input(self) -> str:
        """All inputs of the operator side by side, as doubles."""
        parts = [self.cast(variable.full_name) for variable in self._operator.inputs]
        return self.concat(parts)

    def concat(self, parts: list[str]) -> str:
        if len(parts) == 1:
            return parts[0]
        target = self.name("concat")
        self.add("Concat", parts, [target], op_version=13, axis=1)
        return target

    def rounded_input(self) -> str:
        """Doubles that have been through float32, as scikit-learn's trees see them."""
        return self.cast(self.cast(self.input(), to=1))

    def gather(self, source: str, columns: list[int]) -> str:
        target = self.name("gather")
        indices = self.constant(np.array(columns, dtype=np.int64))
        self.add("Gather", [source, indices], [target], op_version=13, axis=1)
        return target

    def where(self, condition: str, yes: str | np.ndarray, no: str | np.ndarray) -> str:
        sides = [side if isinstance(side, str) else self.constant(side) for side in (yes, no)]
        target = self.name("where")
        self.add("Where", [condition, *sides], [target], op_version=16)
        return target

    def unary(self, op_type: str, source: str) -> str:
        target = self.name(op_type.lower())
        self.add(op_type, [source], [target], op_version=13)
        return target

    def binary(self, op_type: str, left: str | np.ndarray, right: str | np.ndarray) -> str:
        sides = [side if isinstance(side, str) else self.constant(side) for side in (left, right)]
        target = self.name(op_type.lower())
        self.add(op_type, sides, [target], op_version=_VERSIONS.get(op_type, 14))
        return target

    def regress(self, source: str, layout: Layout, targets: int) -> str:
        """Summed leaves as floats, shape (rows, targets)."""
        sums = self.name("sums")
        self.add(
            "TreeEnsembleRegressor",
            [source],
            [sums],
            op_domain=_ML,
            op_version=3,
            n_targets=targets,
            aggregate_function="SUM",
            **layout.attributes("target"),
        )
        return sums

    def divide(self, source: str, by: int, output: Any) -> None:
        doubles = self.cast(source)
        self.finish(self.binary("Div", doubles, np.array([float(by)])) if by != 1 else doubles, output)

    def label(self, probabilities: str, labels: dict[str, Any], output: Any) -> None:
        """The class of the largest probability, the first of equals."""
        best = self.name("best")
        self.add("ArgMax", [probabilities], [best], op_version=13, axis=1, keepdims=0)
        strings = labels.get("classlabels_strings")
        known = np.array(strings, dtype=object) if strings else np.array(labels["classlabels_int64s"])
        self.add("Gather", [self.constant(known), best], [output.full_name], op_version=13, axis=0)

    def finish(self, source: str, output: Any) -> None:
        """Hand over in the type that the rest of the graph was promised."""
        from skl2onnx.common.data_types import guess_proto_type

        self.add("Cast", [source], [output.full_name], op_version=13, to=guess_proto_type(output.type))
