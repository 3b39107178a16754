"""What runs inside the children, run here: from a file to its answer, without the walls around it."""

from __future__ import annotations

import ctypes
import struct
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from modelyard.intake import kernel
from modelyard.intake.confine import Budget
from modelyard.intake.examine import examine
from modelyard.intake.native_worker import Model
from modelyard.intake.verdict import Limits, Refused
from modelyard.kit.hashing import sha256_hex
from modelyard.serving.signature import Signature
from onnx import TensorProto, helper

from tests.support.estimators import forest, iris


def examined(path: Path, folder: Path) -> tuple[dict[str, Any], list[str]]:
    stages: list[str] = []

    def tell(stage: str, native: dict[str, Any] | None) -> None:
        stages.append(stage)
        if stage == "compiling":
            assert native is not None
            assert native["signature"]["runtime"] == "native"

    deadline = time.monotonic() + 60
    return examine(path, Limits(), tell, scratch=folder, deadline=deadline), stages


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "m.joblib"
    joblib.dump(forest(), path)
    return path


def test_the_stages_are_told_before_they_begin(saved: Path, tmp_path: Path) -> None:
    answer, stages = examined(saved, tmp_path)
    assert stages == ["scanning", "loading", "predicting", "compiling"]
    assert answer["signature"]["runtime"] == "onnx"
    assert answer["onnx"]["sha256"] == sha256_hex((tmp_path / "model.onnx").read_bytes())


def test_a_refusal_leaves_as_one(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("words")
    with pytest.raises(Refused):
        examined(path, tmp_path)


# --- the native worker


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> Model:
    signature = examined(saved, tmp_path)[0]["signature"]
    return Model.load(saved, Limits(), signature)


def test_a_loaded_model_answers(model: Model) -> None:
    x = iris()[0][:3]
    assert model.answer(x.T.tolist(), ["predict"]) == {"outputs": {"predict": forest().predict(x).tolist()}}


@pytest.mark.parametrize(
    ("columns", "outputs"), [([["a"], [1], [1], [1]], ["predict"]), ([[1]] * 4, ["fit"]), ([], ["predict"])]
)
def test_what_does_not_fit_is_a_model_error(model: Model, columns: Any, outputs: list[str]) -> None:
    assert model.answer(columns, outputs)["error"]["kind"] == "model_error"


class Greedy:
    def predict(self, batch: Any) -> Any:
        if len(batch) == 1:
            raise MemoryError
        return np.zeros(1)


@pytest.mark.parametrize(("rows", "kind"), [(1, "out_of_memory"), (2, "model_error")])
def test_what_an_estimator_does_wrong_has_a_kind(rows: int, kind: str) -> None:
    column = {"name": "x0"}
    signature = Signature.from_json(
        {
            "estimator": "m.M", "task": "regressor", "layout": "matrix", "columns": [column],
            "outputs": ["predict"],
        }
    )  # fmt: skip
    assert Model(Greedy(), signature, None).answer([[1.0] * rows], ["predict"])["error"]["kind"] == kind


# --- uploaded graphs


def graph(path: Path, inputs: list[Any], nodes: list[Any], outputs: list[Any]) -> Path:
    made = helper.make_graph(nodes, "g", inputs, outputs)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def value(name: str, kind: int = TensorProto.FLOAT, shape: Any = (None, 2)) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def test_a_graph_of_one_matrix(tmp_path: Path) -> None:
    nodes = [helper.make_node("Neg", ["X"], ["Y"])]
    path = graph(tmp_path / "m.onnx", [value("X")], nodes, [value("Y")])
    answer, stages = examined(path, tmp_path)
    signature = Signature.from_json(answer["signature"])
    assert stages == ["scanning", "predicting"]
    assert (signature.task, signature.n_outputs, signature.outputs) == ("regressor", 2, ["predict"])
    assert [column.name for column in signature.columns] == ["x0", "x1"]


def test_a_graph_of_named_columns(tmp_path: Path) -> None:
    inputs = [value("age", shape=(None, 1)), value("income", shape=(None, 1))]
    nodes = [helper.make_node("Add", ["age", "income"], ["Y"])]
    path = graph(tmp_path / "m.onnx", inputs, nodes, [value("Y", shape=(None, 1))])
    signature = Signature.from_json(examined(path, tmp_path)[0]["signature"])
    assert signature.named
    assert [column.name for column in signature.columns] == ["age", "income"]
    assert set(signature.example["records"][0]) == {"age", "income"}


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((None, 2, 2), TensorProto.FLOAT), ((3, 2), TensorProto.FLOAT), ((None, 2), TensorProto.INT8)],
)
def test_a_graph_that_takes_no_rows_is_refused_with_words(tmp_path: Path, shape: Any, kind: int) -> None:
    nodes = [helper.make_node("Identity", ["X"], ["Y"])]
    path = graph(tmp_path / "m.onnx", [value("X", kind, shape)], nodes, [value("Y", kind, shape)])
    with pytest.raises(Refused) as refusal:
        examined(path, tmp_path)
    assert refusal.value.format == "onnx"


def test_a_graph_that_does_not_answer_row_by_row_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceSum", ["X"], ["Y"], keepdims=1)]
    path = graph(tmp_path / "m.onnx", [value("X")], nodes, [value("Y", shape=(1, 1))])
    with pytest.raises(Refused) as refusal:
        examined(path, tmp_path)
    assert refusal.value.rule == "output"


# --- the walls


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_forbids_and_allows_what_it_should(machine: str) -> None:
    """The byte code, interpreted here as the kernel would."""
    program = [struct.unpack("<HBBI", step) for step in kernel._program(machine, pid=7)]

    def verdict(number: int, argument: int = 0, audit: int | None = None) -> int:
        data = {0: number, 4: kernel._AUDIT[machine] if audit is None else audit, 16: argument}
        place, loaded = 0, 0
        while True:
            code, yes, no, operand = program[place]
            place += 1
            if code == kernel._RETURN:
                return operand
            if code == kernel._LOAD:
                loaded = data[operand]
                continue
            met = loaded == operand if code == kernel._EQUAL else bool(loaded & operand)
            place += yes if met else no

    denied, missing = kernel._ERRNO | 1, kernel._ERRNO | 38
    assert verdict(0) == kernel._ALLOW
    assert verdict(0, audit=1) == denied
    assert all(verdict(number) == denied for number in kernel._FORBIDDEN[machine])
    assert verdict(kernel._CLONE3) == missing
    assert verdict(kernel._CLONE[machine]) == denied
    assert verdict(kernel._CLONE[machine], kernel._CLONE_THREAD | 0x100) == kernel._ALLOW
    assert all(verdict(n, 7) == kernel._ALLOW and verdict(n, 8) == denied for n in kernel._SIGNALS[machine])


def test_a_kernel_without_the_locks_is_told_apart(tmp_path: Path) -> None:
    class Old:
        def syscall(self, *_: object) -> int:
            ctypes.set_errno(38)
            return -1

    assert not kernel.write_only_below(tmp_path, Old())
    assert not kernel.forbid_calls(Old())


def test_budgets_travel_as_json() -> None:
    budget = Budget(memory_bytes=1, cpu_seconds=2, file_bytes=3)
    assert Budget.from_json(budget.to_json()) == budget
    assert replace(budget, cpu_seconds=3) != budget
