"""The ways to convert one estimator, best first, and the conversion itself."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from modelyard.intake import graphs
from modelyard.intake.facts import parts
from modelyard.intake.rewire import by_position, selection_order, unwrapped
from modelyard.serving.signature import Column, OnnxInput, OnnxType, Signature

TARGET_OPSET = {"": 21, "ai.onnx.ml": 3, "com.microsoft": 1}
_UNICODE_WORDS = r"[\p{L}\p{N}_]{2,}"  # what `(?u)\b\w\w+\b` finds: runs of at least two word characters
_UNICODE_LETTERS = r"[\p{L}\p{N}_]+"
_TOKEN_PATTERNS = {
    r"(?u)\b\w\w+\b": _UNICODE_WORDS,
    r"(?u)\b\w+\b": _UNICODE_LETTERS,
    r"\w+": _UNICODE_LETTERS,
}
LOCALE = "C.UTF-8"


class CannotConvert(Exception):
    """No converter, or one that failed. The text is read by the model's owner."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to convert. `tensor` is the type of numeric inputs."""

    name: str
    tensor: OnnxType
    round_trees: bool = False
    integers: bool = False  # whole-number categories as int64
    options: dict[str, Any] = field(
        default_factory=dict
    )  # for every part of the model that has such an option


@dataclass(frozen=True, slots=True)
class Converted:
    model: Any  # onnx.ModelProto
    inputs: list[OnnxInput]
    outputs: dict[str, str]


def candidates(estimator: Any, signature: Signature) -> Iterator[Candidate]:
    """Doubles before floats, because scikit-learn computes in doubles; distances by `CDist` where it is
    offered.
    """
    distances: list[dict[str, Any]] = [{"optim": "cdist"}, {}] if offers(estimator, "optim") else [{}]
    whole = any(column.kind == "number" and column.dtype.startswith("int") for column in signature.columns)
    for options in distances:
        suffix = "+cdist" if options else ""
        for integers in (True, False) if whole else (False,):
            tail = suffix + ("+int64" if integers else "")
            yield Candidate(f"float64, trees round{tail}", "double", True, integers, options)
            yield Candidate(f"float64{tail}", "double", False, integers, options)
            yield Candidate(f"float32{tail}", "float", False, integers, options)


def offers(estimator: Any, option: str) -> bool:
    return any(option in _options_of(part) for part in everything(estimator))


def convert(estimator: Any, signature: Signature, candidate: Candidate, names: list[str] | None) -> Converted:
    """Raises `CannotConvert`. `names` are the trained columns, of which the signature may hold fewer."""
    from skl2onnx import convert_sklearn

    register_converters()
    model = unwrapped(estimator)
    width = len(names) if names else len(signature.columns)
    # Positions in training of the signature's columns, which may be fewer.
    trained = [names.index(column.name) if names else i for i, column in enumerate(signature.columns)]
    order = [trained.index(p) for p in selection_order(model, names, width) if p in trained]
    inputs, initial_types = _graph_inputs(signature, candidate, order)
    if signature.layout in ("frame", "matrix"):
        laid_out = [index for graph_input in inputs for index in graph_input.columns]
        places = {trained[column]: place for place, column in enumerate(laid_out)}
        model = by_position(model, names, width, places)
    raw = signature.task == "classifier" and "predict_proba" not in signature.outputs
    options = _conversion_options(
        model, candidate, raw_scores=raw, score_samples="score_samples" in signature.outputs
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            proto = convert_sklearn(
                model,
                initial_types=initial_types,
                options=options,
                target_opset=TARGET_OPSET,
                name="model",
            )
    except Exception as error:  # converters raise whatever they like
        raise CannotConvert(_reason(error)) from error
    if candidate.tensor == "double" and graphs.has_trees(proto):
        graphs.double_trees(proto, round_input=candidate.round_trees)
    elif candidate.round_trees:
        raise CannotConvert("the graph has no trees")
    graphs.true_types(proto)
    graphs.strip(proto)
    return Converted(proto, inputs, _graph_outputs(signature, [value.name for value in proto.graph.output]))


def _reason(error: Exception) -> str:
    """One line; a converter's own words may run over pages."""
    kind = type(error).__name__
    if kind == "MissingShapeCalculator" or "Unable to find a shape calculator" in str(error):
        for part in str(error).split("'"):
            if part.startswith("<class"):
                continue
            if "." in part and " " not in part:
                return f"no converter for {part.rpartition('.')[2]}"
        return "no converter for a part of this model"
    first = " ".join(str(error).split())[:160]
    return f"the converter failed ({kind}: {first})"


def _graph_inputs(
    signature: Signature, candidate: Candidate, order: list[int]
) -> tuple[list[OnnxInput], list[Any]]:
    """One tensor per type: numbers side by side, whole numbers, strings; columns as `order` lists them first.

    The converter takes a selection of all columns of an input for the input itself, whatever its order.
    """
    from skl2onnx.common import data_types

    groups: dict[OnnxType, list[int]] = {}
    for index in dict.fromkeys([*order, *range(len(signature.columns))]):
        groups.setdefault(_tensor_type(signature.columns[index], candidate), []).append(index)
    kinds = {
        "double": data_types.DoubleTensorType,
        "float": data_types.FloatTensorType,
        "int64": data_types.Int64TensorType,
        "string": data_types.StringTensorType,
    }
    names = {"double": "numbers", "float": "numbers", "int64": "integers", "string": "strings"}
    inputs = [OnnxInput(name=names[kind], type=kind, columns=columns) for kind, columns in groups.items()]
    return inputs, [(i.name, kinds[i.type]([None, len(i.columns)])) for i in inputs]


def _tensor_type(column: Column, candidate: Candidate) -> OnnxType:
    if column.kind == "string":
        return "string"
    if candidate.integers and column.dtype.startswith("int") and not column.nullable:
        return "int64"
    return candidate.tensor


def _graph_outputs(signature: Signature, names: list[str]) -> dict[str, str]:
    """Which graph output holds which output of the signature."""
    if signature.task == "classifier":
        second = "predict_proba" if "predict_proba" in signature.outputs else "decision_function"
        wanted = ["predict", second]
    elif signature.task == "outlier_detector":
        wanted = ["predict", "decision_function", "score_samples"]
    elif signature.task == "clusterer":
        scored = "predict_proba" if "predict_proba" in signature.outputs else "transform"
        wanted = ["predict", scored, "score_samples"]
    else:
        wanted = signature.outputs[:1]
    return {output: name for output, name in zip(wanted, names, strict=False) if output in signature.outputs}


# --- options


def everything(estimator: Any, limit: int = 2000) -> list[Any]:
    """The estimator and every fitted part of it."""
    found: list[Any] = []
    stack, seen = [estimator], set()
    while stack and len(found) < limit:
        part = stack.pop()
        if id(part) in seen or part is None or isinstance(part, str):
            continue
        seen.add(id(part))
        kind = type(part).__name__
        found.append(part)
        if kind == "Pipeline":
            stack += [step for _, step in part.steps]
        elif kind == "ColumnTransformer":
            stack += [transformer for _, transformer, _ in part.transformers_]
        elif hasattr(part, "__dict__"):
            stack += list(parts(part))
            stack += [value for value in (vars(part).get("final_estimator_"),) if value is not None]
    return found


def _options_of(part: Any) -> set[str]:
    """Names of the options that the converter of this part knows."""
    from skl2onnx._supported_operators import _get_sklearn_operator_name
    from skl2onnx.common._registration import _converter_pool

    if type(part).__name__ == "Pipeline":
        return set()  # its options would be handed down to every step
    try:
        alias = _get_sklearn_operator_name(type(part))
    except (RuntimeError, KeyError, ValueError):
        return set()
    converter = _converter_pool.get(alias)
    return set(converter.get_allowed_options() or ()) if converter is not None else set()


def _conversion_options(
    model: Any, candidate: Candidate, *, raw_scores: bool, score_samples: bool
) -> dict[Any, Any]:
    options: dict[Any, dict[str, Any]] = {}
    for part in everything(model):
        known = _options_of(part)
        chosen: dict[str, Any] = {}
        if "zipmap" in known:
            chosen["zipmap"] = False
        if "optim" in known and "optim" in candidate.options:
            chosen["optim"] = candidate.options["optim"]
        if "tokenexp" in known and getattr(part, "analyzer", "word") == "word":
            expression = _TOKEN_PATTERNS.get(getattr(part, "token_pattern", None) or "")
            if expression:
                chosen["tokenexp"] = expression
        if "locale" in known:
            chosen["locale"] = LOCALE
        if chosen:
            options[id(part)] = chosen
    final = last(model)
    known = _options_of(final)
    for name, wanted in (("raw_scores", raw_scores), ("score_samples", score_samples)):
        if wanted and name in known:
            options.setdefault(id(final), {})[name] = True
    return options


def last(estimator: Any) -> Any:
    while type(estimator).__name__ == "Pipeline":
        estimator = estimator.steps[-1][1]
    return estimator


def register_converters() -> None:
    """Our own for trees; LightGBM and XGBoost where an estimator uses them. Once is enough for each."""
    from modelyard.intake import boosters, column_converters, tree_converters

    column_converters.register_converters()
    tree_converters.register_converters()
    boosters.register_converters()
