"""Small surgery on converted graphs: doubles around tree nodes, and outputs in scikit-learn's own shapes."""

from __future__ import annotations

from typing import Any

from modelyard.intake.nodes import NODE_PREFIX

_TREES = {"TreeEnsembleClassifier": 1, "TreeEnsembleRegressor": 0}  # operator → index of its float output


def has_trees(model: Any) -> bool:
    """Whether there are tree nodes that still compare as the converter left them."""
    return any(_foreign(node) for node in model.graph.node)


def _foreign(node: Any) -> bool:
    return node.op_type in _TREES and not node.name.startswith(NODE_PREFIX)


def double_trees(model: Any, *, round_input: bool) -> None:
    """Let tree nodes take doubles: their outputs are floats by definition, so cast them for the rest of the
    graph.

    `round_input` puts each value through float32 first, as scikit-learn's own trees do with their input.
    """
    from onnx import TensorProto, helper

    nodes = []
    for number, node in enumerate(model.graph.node):
        if not _foreign(node):
            nodes.append(node)
            continue
        if round_input:
            single, double = f"tree_{number}_single", f"tree_{number}_double"
            nodes.append(helper.make_node("Cast", [node.input[0]], [single], to=TensorProto.FLOAT))
            nodes.append(helper.make_node("Cast", [single], [double], to=TensorProto.DOUBLE))
            node.input[0] = double
        nodes.append(node)
        index = _TREES[node.op_type]
        if index < len(node.output) and node.output[index]:
            wanted = node.output[index]
            node.output[index] = f"tree_{number}_float"
            nodes.append(helper.make_node("Cast", [node.output[index]], [wanted], to=TensorProto.DOUBLE))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def true_types(model: Any) -> None:
    """Declare graph outputs as what their nodes yield.

    The converter guesses types while it parses, before it knows that a column of doubles joins in later.
    """
    from onnx import shape_inference

    del model.graph.value_info[:]
    tensors = [value for value in model.graph.output if value.type.HasField("tensor_type")]
    declared = {value.name: value.type.tensor_type.elem_type for value in tensors}
    for value in tensors:
        value.ClearField("type")
    inferred = shape_inference.infer_shapes(model, check_type=False, strict_mode=False)
    found = {v.name: v.type.tensor_type.elem_type for v in inferred.graph.output}
    for value in tensors:
        value.type.tensor_type.elem_type = found.get(value.name) or declared[value.name]


def reshaped(model: Any, output: str, served: tuple[int, ...], wanted: tuple[int, ...]) -> str | None:
    """Give a graph output the estimator's own shape; returns the output's name then, or None if it cannot
    be done.

    Shapes include the rows, which come first in both.
    """
    from onnx import TensorProto, helper

    if served == wanted:
        return output
    rows = wanted[0]
    new = f"{output}_shaped"
    if len(wanted) == 1 and served == (rows, 1):
        nodes = [helper.make_node("Reshape", [output, f"{new}_shape"], [new])]
        constants = [helper.make_tensor(f"{new}_shape", TensorProto.INT64, [1], [-1])]
        rank = 1
    elif len(wanted) == 1 and served == (rows, 2):
        nodes = [helper.make_node("Gather", [output, f"{new}_index"], [new], axis=1)]
        constants = [helper.make_tensor(f"{new}_index", TensorProto.INT64, [], [1])]
        rank = 1
    elif len(served) == 3 and len(wanted) == 3 and (served[1], served[0], served[2]) == wanted:
        nodes = [helper.make_node("Transpose", [output], [new], perm=[1, 0, 2])]
        constants, rank = [], 3
    elif len(served) == 1 and wanted == (rows, 1):
        nodes = [helper.make_node("Reshape", [output, f"{new}_shape"], [new])]
        constants = [helper.make_tensor(f"{new}_shape", TensorProto.INT64, [2], [-1, 1])]
        rank = 2
    else:
        return None
    kind = next(v.type.tensor_type.elem_type for v in model.graph.output if v.name == output)
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(constants)
    shape = [None, *wanted[1:]][:rank]
    kept = [value for value in model.graph.output if value.name != output]
    del model.graph.output[:]
    model.graph.output.extend([*kept, helper.make_tensor_value_info(new, kind, shape)])
    return new


def keep_outputs(model: Any, names: list[str]) -> None:
    """Drop graph outputs that nobody asks for."""
    kept = [value for value in model.graph.output if value.name in names]
    del model.graph.output[:]
    model.graph.output.extend(kept)


def strip(model: Any) -> None:
    """No words of the converter's or the training machine's in what is served."""
    model.doc_string = ""
    model.graph.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
