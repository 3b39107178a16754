"""Runtimes: the same numbers as scikit-learn, labels of the right kind, deadlines, and failures in words."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from modelyard.kit.awslite import AwsError
from modelyard.kit.errors import ModelError, Problem, Unavailable
from modelyard.serving.decoding import Batch
from modelyard.serving.errors import ArtifactUnavailable, InvalidInput, PredictionTimeout, TooManyRows
from modelyard.serving.native import native_invoke
from modelyard.serving.runtime import NativeRuntime, OnnxRuntime
from modelyard.serving.signature import Column, OnnxGraph, OnnxInput, Signature
from onnx import TensorProto, helper

from tests.support.serving import boosting, forest, logistic, mixed, ready_version, regression


def soon(seconds: float = 10.0) -> float:
    return time.monotonic() + seconds


def batch(rows: list[list[Any]]) -> Batch:
    return Batch([list(column) for column in zip(*rows, strict=True)], len(rows))


class TestOnnx:
    @pytest.mark.parametrize("make", [logistic, forest, boosting])
    def test_a_classifier_equals_scikit_learn(self, make: Any) -> None:
        trained = make(classes=3)
        outputs = OnnxRuntime(trained.signature, trained.onnx).predict(
            batch(trained.rows), ["predict", "predict_proba"], soon()
        )
        assert outputs["predict"] == trained.estimator.predict(trained.rows).tolist()
        expected = trained.estimator.predict_proba(trained.rows)
        np.testing.assert_allclose(outputs["predict_proba"], expected, atol=1e-5)

    def test_a_regressor_answers_one_number_per_row(self) -> None:
        trained = regression(tensor="double")
        outputs = OnnxRuntime(trained.signature, trained.onnx).predict(
            batch(trained.rows), ["predict"], soon()
        )
        np.testing.assert_allclose(
            outputs["predict"], trained.estimator.predict(trained.rows), rtol=0, atol=1e-12
        )

    def test_strings_integers_and_floats_side_by_side(self) -> None:
        import pandas as pd

        trained = mixed()
        frame = pd.DataFrame(trained.rows, columns=["price", "rooms", "city"])
        outputs = OnnxRuntime(trained.signature, trained.onnx).predict(
            batch(trained.rows), ["predict", "predict_proba"], soon()
        )
        assert outputs["predict"] == trained.estimator.predict(frame).tolist()
        np.testing.assert_allclose(
            outputs["predict_proba"], trained.estimator.predict_proba(frame), atol=1e-5
        )

    def test_from_a_file(self, tmp_path: Any) -> None:
        trained = logistic()
        path = tmp_path / "model.onnx"
        path.write_bytes(trained.onnx)
        runtime = OnnxRuntime(trained.signature, path)
        assert runtime.size == len(trained.onnx)
        assert runtime.predict(batch(trained.rows[:1]), ["predict"], soon())["predict"] == [1]

    @pytest.mark.parametrize(
        ("classes", "expected"),
        [([0.0, 1.0], [1.0]), ([False, True], [True]), ([0, 1], [1]), ([[0.0, 1.0], [0.0, 2.0]], [1.0])],
    )
    def test_labels_are_of_the_estimators_own_type(self, classes: list[Any], expected: list[Any]) -> None:
        trained = logistic()
        runtime = OnnxRuntime(replace(trained.signature, classes=classes), trained.onnx)
        found = runtime.predict(batch(trained.rows[:1]), ["predict"], soon())["predict"]
        assert found == expected
        assert type(found[0]) is type(expected[0])

    def test_a_large_batch_is_watched_and_equal(self) -> None:
        trained = forest()
        rows = trained.rows * 10
        outputs = OnnxRuntime(trained.signature, trained.onnx).predict(batch(rows), ["predict"], soon())
        assert outputs["predict"] == trained.estimator.predict(rows).tolist()

    def test_a_batch_past_its_deadline(self) -> None:
        trained = forest()
        runtime = OnnxRuntime(trained.signature, trained.onnx)
        with pytest.raises(PredictionTimeout, match="batch"):
            runtime.predict(batch(trained.rows * 10), ["predict"], soon(-1))

    def test_a_batch_is_stopped_at_its_deadline(self) -> None:
        signature, model = slow_graph()
        runtime = OnnxRuntime(signature, model)
        begun = time.monotonic()
        with pytest.raises(PredictionTimeout) as caught:
            runtime.predict(Batch([[1.0] * 100], 100), ["predict"], soon(0.2))
        assert caught.value.status == 504
        assert time.monotonic() - begun < 5
        assert runtime.predict(Batch([[1.0]], 1), ["predict"], soon())  # and goes on afterwards

    def test_what_the_graph_raises_is_a_model_error_and_logged(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        trained = logistic()
        runtime = OnnxRuntime(trained.signature, trained.onnx)
        bad = {"X": np.zeros((1, 9), dtype=np.float32)}  # not the width that the graph was made for
        with pytest.raises(ModelError) as caught:
            runtime.run(bad, 1, ["predict"], soon())
        assert caught.value.status == 500
        assert "onnxruntime" not in caught.value.detail
        line = json.loads(capsys.readouterr().out)
        assert (line["message"], line["level"]) == ("model_error", "ERROR")
        assert "Traceback" in line["trace"]

    def test_what_cannot_become_a_tensor_is_an_invalid_input(self) -> None:
        trained = logistic()
        with pytest.raises(InvalidInput):
            OnnxRuntime(trained.signature, trained.onnx).prepare(Batch([["a"], [1], [1], [1]], 1))

    def test_sequences_and_maps_of_uploaded_graphs(self) -> None:
        runtime = OnnxRuntime(replace(logistic().signature, classes=["a", "b"]), logistic().onnx)
        assert runtime._to_list("predict_proba", [{"b": 0.25, "a": 0.75}]) == [[0.75, 0.25]]
        assert runtime._to_list("predict_proba", [np.eye(2)]) == [[[1.0, 0.0], [0.0, 1.0]]]

    def test_an_answer_that_no_request_can_carry(self) -> None:
        width = 2_000_000
        shape = helper.make_tensor("shape", TensorProto.INT64, [2], [1, width])
        graph = helper.make_graph(
            [helper.make_node("Expand", ["X", "shape"], ["y"])],
            "wide",
            [helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, 1])],
            [helper.make_tensor_value_info("y", TensorProto.DOUBLE, [None, width])],
            [shape],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        signature = replace(
            slow_graph(layers=1, width=1)[0],
            onnx=OnnxGraph([OnnxInput("X", "double", [0])], {"transform": "y"}),
            outputs=["transform"],
        )
        runtime = OnnxRuntime(signature, model.SerializeToString())

        with pytest.raises(TooManyRows, match="Send fewer rows"):
            runtime.predict(batch([[1.0], [2.0], [3.0]]), ["transform"], soon())
        (row,) = runtime.predict(batch([[1.0]]), ["transform"], soon())["transform"]
        assert len(row) == width

    def test_a_signature_without_a_graph(self) -> None:
        with pytest.raises(ValueError, match="no ONNX graph"):
            OnnxRuntime(replace(logistic().signature, onnx=None), logistic().onnx)


def slow_graph(layers: int = 400, width: int = 400) -> tuple[Signature, bytes]:
    """A graph of many matrix products: slow for many rows, quick for one."""
    weights = np.eye(width)
    nodes = [helper.make_node("Expand", ["X", "shape"], ["m0"])]
    nodes += [helper.make_node("MatMul", [f"m{n}", "w"], [f"m{n + 1}"]) for n in range(layers)]
    nodes += [helper.make_node("ReduceMax", [f"m{layers}", "axes"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "slow",
        [helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, [None, 1])],
        [
            helper.make_tensor("w", TensorProto.DOUBLE, [width, width], weights.ravel()),
            helper.make_tensor("shape", TensorProto.INT64, [2], [1, width]),
            helper.make_tensor("axes", TensorProto.INT64, [1], [1]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    signature = Signature(
        "Slow",
        "regressor",
        "matrix",
        [Column("x")],
        ["predict"],
        runtime="onnx",
        onnx=OnnxGraph([OnnxInput("X", "double", [0])], {"predict": "y"}),
    )
    return signature, model.SerializeToString()


class TestNative:
    def runtime(self, answer: Any) -> NativeRuntime:
        self.calls: list[tuple[dict[str, Any], str, float]] = []

        def invoke(payload: dict[str, Any], tenant: str, seconds: float) -> dict[str, Any]:
            self.calls.append((payload, tenant, seconds))
            if isinstance(answer, Exception):
                raise answer
            found: dict[str, Any] = answer
            return found

        return NativeRuntime(
            logistic().signature,
            ready_version(3),
            tenant="usr_1",
            presign=lambda key: f"https://s3.example.com/{key}",
            invoke=invoke,
        )

    def test_the_payload_is_the_contract(self) -> None:
        runtime = self.runtime({"outputs": {"predict": [1]}})
        found = runtime.predict(Batch([(1,), [None], np.array([2.5]), [4]], 1), ["predict"], soon(5))
        assert found == {"predict": [1]}
        payload, tenant, seconds = self.calls[0]
        assert tenant == "usr_1"
        assert 3.5 < payload["deadline_seconds"] < seconds <= 5
        assert payload["columns"] == [(1,), [None], [2.5], [4]]
        told, whole = Signature.from_json(payload["signature"]), logistic().signature
        assert (told.layout, told.outputs) == (whole.layout, whole.outputs)
        assert [(c.name, c.kind, c.dtype, c.categories) for c in told.columns] == [
            (c.name, c.kind, c.dtype, c.categories) for c in whole.columns
        ]
        assert payload["artifact_url"] == "https://s3.example.com/a"
        assert set(payload) == {
            "version_id", "artifact_url", "artifact_sha256", "artifact_format", "artifact_size",
            "signature", "columns", "outputs", "deadline_seconds",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("kind", "problem"),
        [
            ("model_error", ModelError),
            ("timeout", PredictionTimeout),
            ("out_of_memory", ModelError),
            ("crashed", ModelError),
            ("too_large", TooManyRows),
            ("load_failed", ArtifactUnavailable),
            ("something new", ModelError),
        ],
    )
    def test_failures(self, kind: str, problem: type[Problem]) -> None:
        runtime = self.runtime({"error": {"kind": kind, "detail": "inside"}})
        with pytest.raises(problem) as caught:
            runtime.predict(Batch([[1]] * 4, 1), ["predict"], soon())
        assert "inside" not in caught.value.detail

    def test_a_model_of_very_many_columns_leaves_room_for_rows(self) -> None:
        columns = [
            Column(name=f"measurement_{i}", categories=["a"] if i == 7 else None) for i in range(30_000)
        ]
        runtime = NativeRuntime(
            replace(logistic().signature, columns=columns, example={"inputs": [[0.0] * 30_000]}),
            ready_version(3),
            tenant="usr_1",
            presign=lambda key: key,
            invoke=native_invoke(
                lambda data, *_: json.dumps({"outputs": {"predict": [len(data)] * 10}}).encode()
            ),
        )
        answer = runtime.predict(Batch([[0.123456789] * 10] * 30_000, 10), ["predict"], soon())
        assert answer["predict"][0] < 6_000_000

    def test_no_time_left_is_not_worth_a_call(self) -> None:
        runtime = self.runtime({})
        with pytest.raises(PredictionTimeout):
            runtime.predict(Batch([[1]] * 4, 1), ["predict"], soon(0.01))
        assert self.calls == []


class TestNativeInvoke:
    def test_json_in_and_out(self) -> None:
        def call(data: bytes, tenant: str, seconds: float) -> bytes:
            return json.dumps({"outputs": json.loads(data), "tenant": tenant, "seconds": seconds}).encode()

        assert native_invoke(call)({"a": [1, (2,)]}, "usr_1", 3.0) == {
            "outputs": {"a": [1, [2]]},
            "tenant": "usr_1",
            "seconds": 3.0,
        }

    @pytest.mark.parametrize(
        ("error", "problem"),
        [
            (AwsError("lambda", 0, "TimeoutError"), PredictionTimeout),
            (AwsError("lambda", 200, "FunctionError:Function.ResponseSizeTooLarge"), TooManyRows),
            (AwsError("lambda", 200, "FunctionError:Runtime.ExitError"), ModelError),
            (AwsError("lambda", 429, "TooManyRequestsException"), Unavailable),
            (AwsError("lambda", 0, "ConnectionRefusedError"), Unavailable),
        ],
    )
    def test_failures(self, error: AwsError, problem: type[Problem]) -> None:
        def call(data: bytes, tenant: str, seconds: float) -> bytes:
            raise error

        with pytest.raises(problem):
            native_invoke(call)({}, "usr_1", 1.0)

    def test_half_a_surrogate_pair_in_the_answer(self) -> None:
        with pytest.raises(ModelError, match="written as JSON"):
            native_invoke(lambda *_: b'{"outputs": {"predict": ["\\ud800"]}}')({}, "usr_1", 1.0)

    def test_a_payload_that_lambda_would_refuse(self) -> None:
        with pytest.raises(TooManyRows):
            native_invoke(lambda *_: b"{}")({"columns": ["x" * 6_000_001]}, "usr_1", 1.0)
