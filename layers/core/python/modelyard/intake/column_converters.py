"""Converters for the usual preparation of columns that compute in doubles, as scikit-learn does.

skl2onnx fills in missing values in float32, knows no categories that are fractions, no bins one-hot, no
functions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from modelyard.intake.ensembles import NotExpressible
from modelyard.intake.nodes import Converter, Graph, or_else
from modelyard.serving.signature import MISSING_TEXT

_ML = "ai.onnx.ml"


@cache
def register_converters() -> None:
    """Put these in place of skl2onnx's; what they cannot express still goes to the ones that were there."""
    from skl2onnx.common._registration import (
        _converter_pool,
        _shape_calculator_pool,
        register_converter,
        register_shape_calculator as register_shape,
    )

    ours: dict[str, tuple[Converter, Callable[[Any], None] | None]] = {
        "SklearnSimpleImputer": (_imputer, None),
        "SklearnOneHotEncoder": (_one_hot, _one_hot_shape),
        "SklearnKBinsDiscretizer": (_bins, _bins_shape),
        "SklearnFunctionTransformer": (_function, _function_shape),
        "SklearnPowerTransformer": (_power, _power_shape),
    }
    for alias, (converter, shape) in ours.items():
        theirs = _converter_pool[alias]
        register_converter(
            alias, or_else(converter, theirs), overwrite=True, options=theirs.get_allowed_options()
        )
        if shape is not None:
            register_shape(alias, _shape_or_else(shape, _shape_calculator_pool[alias]), overwrite=True)


def _shape_or_else(ours: Callable[[Any], None], theirs: Any) -> Callable[[Any], None]:
    def calculate(operator: Any) -> None:
        try:
            ours(operator)
        except NotExpressible:
            theirs(operator)

    return calculate


# --- missing values


def _imputer(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    if model.add_indicator:
        raise NotExpressible("an indicator")
    statistics = np.asarray(model.statistics_)
    if all(_is_string(variable) for variable in operator.inputs):
        _impute_texts(Graph(scope, operator, container), operator, statistics)
        return
    marker = model.missing_values
    numeric = statistics.dtype.kind in "fiu" and _doubles(operator)
    if not numeric or not isinstance(marker, int | float):
        raise NotExpressible("numbers in another form")
    if np.isnan(statistics.astype(np.float64)).any():
        raise NotExpressible("columns that are dropped")
    graph = Graph(scope, operator, container)
    values = graph.input()
    missing = graph.name("missing")
    if marker != marker:
        graph.add("IsNaN", [values], [missing], op_version=20)
    else:
        graph.add("Equal", [values, graph.constant(np.array([[float(marker)]]))], [missing], op_version=13)
    filled = graph.name("filled")
    replacement = graph.constant(statistics.astype(np.float64).reshape(1, -1))
    graph.add("Where", [missing, replacement, values], [filled], op_version=16)
    graph.finish(filled, operator.outputs[0])


def _impute_texts(graph: Graph, operator: Any, statistics: np.ndarray) -> None:
    """Only what is missing is filled in; a text that stands for a missing value stays with the original."""
    marker = operator.raw_operator.missing_values
    if not (marker is None or marker != marker) or not all(isinstance(v, str) for v in statistics.tolist()):
        raise NotExpressible("a text that stands for a missing value")
    names = [variable.full_name for variable in operator.inputs]
    values = graph.concat(names)
    missing = graph.name("missing")
    gap = graph.constant(np.array([[MISSING_TEXT]], dtype=object))
    graph.add("Equal", [values, gap], [missing], op_version=19)
    replacement = graph.constant(statistics.astype(object).reshape(1, -1))
    graph.add("Where", [missing, replacement, values], [operator.outputs[0].full_name], op_version=16)


# --- categories


def _one_hot_shape(operator: Any) -> None:
    _one_hot_expressible(operator)
    width = int(sum(operator.raw_operator._n_features_outs))
    operator.outputs[0].type = _double_type(operator, width)


def _one_hot_expressible(operator: Any) -> None:
    model = operator.raw_operator
    widths = [variable.type.shape[1] for variable in operator.inputs]
    if any(not isinstance(width, int) for width in widths) or sum(widths) != len(model.categories_):
        raise NotExpressible("an unknown number of columns")
    kinds = [_is_string(variable) for variable in operator.inputs for _ in range(variable.type.shape[1])]
    for strings, categories in zip(kinds, model.categories_, strict=True):
        if strings:
            _texts(categories)
        elif categories.dtype.kind not in "fiub" and not all(
            isinstance(value, bool | int | float) for value in categories.tolist()
        ):
            raise NotExpressible("categories of mixed kinds")


def _one_hot(scope: Any, operator: Any, container: Any) -> None:
    _one_hot_expressible(operator)
    model = operator.raw_operator
    graph = Graph(scope, operator, container)
    parts = []
    index = 0
    for variable in operator.inputs:
        strings = _is_string(variable)
        source = variable.full_name if strings else graph.cast(variable.full_name)
        for position in range(variable.type.shape[1]):
            column = source if variable.type.shape[1] == 1 else graph.gather(source, [position])
            categories = model.categories_[index]
            hot = (
                _hot_texts(graph, column, categories) if strings else _hot_numbers(graph, column, categories)
            )
            part = _folded(graph, hot, model, index)
            if part is not None:
                parts.append(part)
            index += 1
    graph.finish(graph.concat(parts), operator.outputs[0])


def _hot_numbers(graph: Graph, column: str, categories: np.ndarray) -> str:
    """One column per category, shape (rows, categories)."""
    values = np.array([float(value) for value in categories.tolist()])
    equal = graph.name("equal")
    graph.add("Equal", [column, graph.constant(values.reshape(1, -1))], [equal], op_version=13)
    hot = graph.cast(equal)
    if not np.isnan(values).any():
        return hot
    missing = graph.name("missing")
    graph.add("IsNaN", [column], [missing], op_version=20)
    place = np.isnan(values).astype(np.float64).reshape(1, -1)
    return graph.binary("Add", hot, graph.binary("Mul", graph.cast(missing), place))


def _hot_texts(graph: Graph, column: str, categories: np.ndarray) -> str:
    hot, flat = graph.name("hot"), graph.name("flat")
    texts = [text.encode() for text in _texts(categories)]
    graph.add("OneHotEncoder", [column], [hot], op_domain=_ML, op_version=1, cats_strings=texts, zeros=1)
    shape = graph.constant(np.array([-1, len(texts)], dtype=np.int64))
    graph.add("Reshape", [hot, shape], [flat], op_version=14)
    return graph.cast(flat)


def _texts(categories: np.ndarray) -> list[str]:
    """The categories as the graph meets them: a missing string arrives as `MISSING_TEXT`."""
    texts = [MISSING_TEXT if v is None or v != v else v for v in categories.tolist()]
    if not all(isinstance(text, str) for text in texts) or len(set(texts)) != len(texts):
        raise NotExpressible("categories that are not all different strings")
    return texts


def _folded(graph: Graph, hot: str, model: Any, index: int) -> str | None:
    """Rare categories put together, a dropped one left out; None where nothing is left."""
    count = len(model.categories_[index])
    rare = model.infrequent_categories_[index] if model._infrequent_enabled else None
    dropped = model.drop_idx_[index] if model.drop_idx_ is not None else None
    if rare is None:
        if dropped is None:
            return hot
        kept = [place for place in range(count) if place != dropped]
        return graph.gather(hot, kept) if kept else None
    if model.drop_idx_ is not None and dropped is not None:
        raise NotExpressible("a dropped category besides rare ones")
    known = set(rare.tolist())
    often = [p for p, value in enumerate(model.categories_[index].tolist()) if value not in known]
    fold = np.zeros((count, len(often) + 1))
    fold[often, range(len(often))] = 1.0
    fold[[p for p in range(count) if p not in set(often)], len(often)] = 1.0
    folded = graph.binary("MatMul", hot, fold)
    if model.handle_unknown not in ("infrequent_if_exist", "warn"):
        return folded
    # An unknown value counts as rare: where nothing is hot, the last column is.
    last = np.zeros((1, len(often) + 1))
    last[0, -1] = 1.0
    total = graph.binary("MatMul", hot, np.ones((count, 1)))
    unknown = graph.binary("Mul", graph.binary("Sub", np.ones((1, 1)), total), last)
    return graph.binary("Add", folded, unknown)


# --- bins


def _bins_shape(operator: Any) -> None:
    model = operator.raw_operator
    counts = [int(count) for count in model.n_bins_]
    operator.outputs[0].type = _double_type(
        operator, len(counts) if model.encode == "ordinal" else sum(counts)
    )


def _bins(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    graph = Graph(scope, operator, container)
    values = graph.input()
    parts = []
    for index, edges in enumerate(model.bin_edges_):
        inner = np.asarray(edges, dtype=np.float64)[1:-1].reshape(1, -1)
        column = graph.gather(values, [index])
        if inner.size:
            above = graph.cast(graph.binary("GreaterOrEqual", column, inner))
            place = graph.binary("MatMul", above, np.ones((inner.size, 1)))
        else:
            place = graph.binary("Mul", column, np.zeros((1, 1)))
        if model.encode == "ordinal":
            parts.append(place)
        else:
            places = np.arange(int(model.n_bins_[index]), dtype=np.float64).reshape(1, -1)
            parts.append(graph.cast(graph.binary("Equal", place, places)))
    graph.finish(graph.concat(parts), operator.outputs[0])


# --- powers


def _power_shape(operator: Any) -> None:
    if not _doubles(operator):
        raise NotExpressible("floats")
    operator.outputs[0].type = _double_type(operator, len(operator.raw_operator.lambdas_))


def _power(scope: Any, operator: Any, container: Any) -> None:
    """Yeo-Johnson or Box-Cox, then standardised; what is missing stays missing."""
    model = operator.raw_operator
    if not _doubles(operator):
        raise NotExpressible("floats")
    graph = Graph(scope, operator, container)
    values = graph.input()
    exponents = np.asarray(model.lambdas_, dtype=np.float64).reshape(1, -1)
    if model.method == "box-cox":
        bent = _bent(graph, graph.binary("Sub", values, np.ones((1, 1))), exponents)
    else:
        zero = np.zeros((1, 1))
        above = graph.where(graph.binary("GreaterOrEqual", values, zero), values, zero)
        below = graph.where(graph.binary("Less", values, zero), graph.unary("Neg", values), zero)
        bent = graph.binary("Sub", _bent(graph, above, exponents), _bent(graph, below, 2.0 - exponents))
    if model.standardize:
        scaler = model._scaler
        if scaler.mean_ is not None:
            bent = graph.binary("Sub", bent, np.asarray(scaler.mean_, dtype=np.float64).reshape(1, -1))
        if scaler.scale_ is not None:
            bent = graph.binary("Div", bent, np.asarray(scaler.scale_, dtype=np.float64).reshape(1, -1))
    missing = graph.name("missing")
    graph.add("IsNaN", [values], [missing], op_version=20)
    graph.finish(graph.where(missing, values, bent), operator.outputs[0])


def _bent(graph: Graph, values: str, exponents: np.ndarray) -> str:
    """((v + 1) ** e - 1) / e, which is log(v + 1) where e is zero."""
    shifted = graph.binary("Add", values, np.ones((1, 1)))
    flat = np.abs(exponents) < np.finfo(np.float64).eps
    divisors = np.where(flat, 1.0, exponents)
    raised = graph.binary("Sub", graph.binary("Pow", shifted, divisors), np.ones((1, 1)))
    power = graph.binary("Div", raised, divisors)
    return graph.where(graph.constant(flat), graph.unary("Log", shifted), power) if flat.any() else power


# --- functions

_UNARY = {
    np.exp: "Exp",
    np.log: "Log",
    np.sqrt: "Sqrt",
    np.abs: "Abs",
    np.sin: "Sin",
    np.cos: "Cos",
    np.tan: "Tan",
    np.tanh: "Tanh",
    np.sign: "Sign",
    np.floor: "Floor",
    np.ceil: "Ceil",
    np.negative: "Neg",
    np.reciprocal: "Reciprocal",
}


def _function_shape(operator: Any) -> None:
    _known_function(operator)
    widths = [variable.type.shape[1] for variable in operator.inputs]
    operator.outputs[0].type = _double_type(operator, sum(widths) if None not in widths else None)


def _known_function(operator: Any) -> None:
    model = operator.raw_operator
    known = model.func in _UNARY or model.func in (np.log1p, np.expm1, np.square, np.log2, np.log10)
    if model.func is None or not known or model.kw_args or not _doubles(operator):
        raise NotExpressible("another function")


def _function(scope: Any, operator: Any, container: Any) -> None:
    _known_function(operator)
    function = operator.raw_operator.func
    graph = Graph(scope, operator, container)
    values = graph.input()
    one = np.ones((1, 1))
    if function in _UNARY:
        result = graph.unary(_UNARY[function], values)
    elif function is np.log1p:
        result = graph.unary("Log", graph.binary("Add", values, one))
    elif function is np.expm1:
        result = graph.binary("Sub", graph.unary("Exp", values), one)
    elif function is np.square:
        result = graph.binary("Mul", values, values)
    else:
        base = np.log(2.0) if function is np.log2 else np.log(10.0)
        result = graph.binary("Div", graph.unary("Log", values), np.array([[base]]))
    graph.finish(result, operator.outputs[0])


# --- types


def _double_type(operator: Any, width: int | None) -> Any:
    from skl2onnx.common.data_types import DoubleTensorType

    return DoubleTensorType([operator.inputs[0].get_first_dimension(), width])


def _is_string(variable: Any) -> bool:
    return type(variable.type).__name__ == "StringTensorType"


def _doubles(operator: Any) -> bool:
    """Numbers that are not floats already: a float graph stays one, so that types agree further on."""
    names = {type(variable.type).__name__ for variable in operator.inputs}
    return names <= {"DoubleTensorType", "Int64TensorType"}
