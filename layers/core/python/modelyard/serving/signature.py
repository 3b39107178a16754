"""What a model takes and gives: the contract between intake, which writes it, and serving, which obeys it.

It is stored as `model_versions.signature` and in `metadata.json` beside the artifact, where the hot path
finds it, so it is JSON all the way down and imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

Task = Literal["classifier", "regressor", "clusterer", "outlier_detector", "transformer"]
Kind = Literal["number", "string", "boolean"]
Layout = Literal["matrix", "frame", "text", "records"]
"""How the estimator wants a batch: a 2-D array, a DataFrame, a list of texts, or a list of dicts."""
MISSING_TEXT = "\ufdd0"
"""A missing string in a tensor: a code point that Unicode keeps free of characters, so no text equals it
(`rules` refuses it)."""

OnnxType = Literal["float", "double", "int64", "string", "bool"]


@dataclass(frozen=True, slots=True)
class Column:
    """One input column. `low`/`high` are training bounds where the model shows them; they refuse nothing."""

    name: str  # as trained, or "x0", "x1", … where the model was trained without names
    kind: Kind = "number"
    dtype: str = "float64"  # numpy's name of the dtype that the estimator saw, or "object"
    nullable: bool = False  # whether the model accepts a missing value here
    categories: list[Any] | None = None
    handle_unknown: bool = True  # False: a value outside `categories` is refused before inference
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class OnnxInput:
    """One graph input, fed with `columns` (indices into `Signature.columns`), shape (rows, len(columns))."""

    name: str
    type: OnnxType
    columns: list[int]
    round_to_float32: bool = (
        False  # feed doubles that were rounded to float32 first, as scikit-learn's trees do
    )
    rank: int = 2  # 1 for text models, whose input has shape (rows,)


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """How to run `model.onnx`: its inputs, and the graph output that holds each output of the signature."""

    inputs: list[OnnxInput]
    outputs: dict[str, str]  # "predict" → "label", "predict_proba" → "probabilities", …


@dataclass(frozen=True, slots=True)
class Signature:
    """A registered model's description.

    `outputs` names what the served model gives; the first is the default. `original_outputs` are what only
    the estimator gives that it was made from, in the sandbox. `classes` is a list for one output, a list of
    lists for several. `predictions` have shape (rows,) or (rows, n_outputs).
    """

    estimator: str
    task: Task
    layout: Layout
    columns: list[Column]
    outputs: list[str]
    original_outputs: list[str] = field(default_factory=list)
    named: bool = False  # trained on named columns
    n_outputs: int = 1
    classes: list[Any] | None = None
    runtime: Literal["onnx", "native"] = "native"
    reason: str | None = None  # why the runtime is native
    onnx: OnnxGraph | None = None
    largest: float | None = None  # numbers further from zero make the estimator raise; None: none do so
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    trained_with: dict[str, str] = field(default_factory=dict)  # library → version, read off the file
    served_with: dict[str, str] = field(default_factory=dict)
    explainable: bool | None = None  # whether `?explain=true` is answered; None: nobody has tried
    warnings: list[str] = field(default_factory=list)
    parity: dict[str, Any] = field(default_factory=dict)  # rows, largest_difference, tolerance, candidate, …
    input_schema: dict[str, Any] = field(default_factory=dict)  # JSON Schema of one record
    example: dict[str, Any] = field(default_factory=dict)  # a request body that predicts
    format_version: int = 1

    @property
    def offered(self) -> list[str]:
        """All that can be asked for."""
        return [*self.outputs, *self.original_outputs]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Signature:
        """The inverse of `to_json`; unknown keys (written by a newer version) are ignored."""
        known = {f.name for f in fields(cls)}
        values = {key: value for key, value in data.items() if key in known}
        values["columns"] = [_build(Column, column) for column in data["columns"]]
        if data.get("onnx"):
            inputs = [_build(OnnxInput, graph_input) for graph_input in data["onnx"]["inputs"]]
            values["onnx"] = OnnxGraph(inputs=inputs, outputs=dict(data["onnx"]["outputs"]))
        return cls(**values)


def _build(kind: type, data: dict[str, Any]) -> Any:
    known = {f.name for f in fields(kind)}
    return kind(**{key: value for key, value in data.items() if key in known})
