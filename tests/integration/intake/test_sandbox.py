"""One file through the sandbox: refused with words, or described, compiled and proven."""

from __future__ import annotations

import hashlib
import pickle
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from modelyard.intake.sandbox import inspect
from modelyard.intake.verdict import Limits
from modelyard.kit.hashing import sha256_hex
from modelyard.serving.decoding import Batch
from modelyard.serving.runtime import OnnxRuntime
from modelyard.serving.signature import Signature

from tests.support.estimators import forest, iris, people, pipeline

CHILDREN = "tests.support.children"
QUICK = replace(Limits(), inspection_seconds=20.0, prediction_seconds=1.0, memory_bytes=256 << 20)


def saved(folder: Path, estimator: Any, name: str = "model.joblib") -> Path:
    path = folder / name
    joblib.dump(estimator, path)
    return path


def test_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.pkl"
    path.write_text("just words")
    result = inspect(path, Limits())
    assert result["verdict"] == "refused"
    assert "text" in result["detail"]
    assert "words" not in result["detail"]


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.pkl"
    path.write_bytes(bytes(2000))
    assert inspect(path, replace(Limits(), upload_bytes=1000))["rule"] == "too_large"


class Command:
    def __reduce__(self) -> Any:
        return open, ("marker", "w")


def test_a_pickle_that_would_run_something_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(Command()))
    result = inspect(path, Limits())
    assert result["verdict"] == "refused"
    assert "open" in result["detail"]
    assert not list(tmp_path.glob("marker"))


def test_an_estimator_that_cannot_predict_new_rows_is_refused_with_advice(tmp_path: Path) -> None:
    from sklearn.cluster import DBSCAN

    result = inspect(saved(tmp_path, DBSCAN().fit(iris()[0])), Limits())
    assert result["verdict"] == "refused"
    assert "predict" in result["detail"]


def test_a_forest_is_compiled_and_serves_what_it_predicts(tmp_path: Path) -> None:
    compiled = tmp_path / "model.onnx"
    path = saved(tmp_path, forest())
    result = inspect(path, Limits(), onnx_out=compiled)
    assert result["verdict"] == "accepted"
    assert result["format"] == "joblib"
    assert result["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert result["size"] == path.stat().st_size
    assert result["onnx"] == {"size": compiled.stat().st_size, "sha256": sha256_hex(compiled.read_bytes())}
    assert result["signature"]["runtime"] == "onnx"
    x = iris()[0]
    served = OnnxRuntime(Signature.from_json(result["signature"]), compiled).predict(
        Batch(x.T.tolist(), len(x)), ["predict", "predict_proba"], time.monotonic() + 30
    )
    assert served["predict"] == forest().predict(x).tolist()
    np.testing.assert_allclose(served["predict_proba"], forest().predict_proba(x), atol=1e-6)


def test_a_pipeline_on_a_frame_serves_what_it_predicts(tmp_path: Path) -> None:
    compiled = tmp_path / "model.onnx"
    result = inspect(saved(tmp_path, pipeline()), Limits(), onnx_out=compiled)
    signature = Signature.from_json(result["signature"])
    assert signature.layout == "frame"
    assert [column.kind for column in signature.columns] == ["number", "number", "string", "string"]
    assert signature.runtime == "onnx"
    frame = people().head(50)
    columns = [frame[name].tolist() for name in frame]
    served = OnnxRuntime(signature, compiled).predict(Batch(columns, 50), ["predict"], time.monotonic() + 30)
    assert served["predict"] == pipeline().predict(frame).tolist()


def test_a_model_without_converter_is_accepted_for_the_native_runtime(tmp_path: Path) -> None:
    from sklearn.cluster import Birch

    result = inspect(saved(tmp_path, Birch(n_clusters=3).fit(iris()[0])), Limits())
    assert result["verdict"] == "accepted"
    assert result["onnx"] is None
    assert result["signature"]["runtime"] == "native"
    assert "Birch" in result["signature"]["reason"]


def test_an_uploaded_graph_is_described_and_served_as_it_is(tmp_path: Path) -> None:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    model = forest()
    proto = convert_sklearn(
        model, initial_types=[("X", FloatTensorType([None, 4]))], options={id(model): {"zipmap": False}}
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    result = inspect(path, Limits(), onnx_out=tmp_path / "out.onnx")
    assert result["verdict"] == "accepted", result
    signature = Signature.from_json(result["signature"])
    assert result["format"] == "onnx"
    assert result["onnx"] is None
    assert signature.outputs == ["predict", "predict_proba"]
    assert signature.classes == model.classes_.tolist()
    assert [column.dtype for column in signature.columns] == ["float32"] * 4


@pytest.mark.parametrize(
    ("action", "rule", "words"),
    [
        ("hang", "timeout", "predicted its first rows"),
        ("crash", "crash", "SIGSEGV"),
        ("eat", "memory", "memory"),
        ("garbage", "crash", "JSON"),
        ("lie", "crash", "wrong shape"),
    ],
)
def test_whatever_the_child_does_the_answer_is_a_refusal_with_words(
    tmp_path: Path, action: str, rule: str, words: str
) -> None:
    path = tmp_path / action
    path.write_bytes(b"x")
    result = inspect(path, QUICK, module=CHILDREN)
    assert result["verdict"] == "refused"
    assert result["rule"] == rule
    assert words in result["detail"]


def test_dying_over_the_compilation_leaves_the_native_runtime(tmp_path: Path) -> None:
    path = tmp_path / "half_way"
    path.write_bytes(b"x")
    result = inspect(path, QUICK, module=CHILDREN)
    assert result["verdict"] == "accepted"
    assert result["signature"]["runtime"] == "native"
    assert "SIGSEGV" in result["signature"]["reason"]


def test_a_model_that_hangs_on_its_first_rows_is_refused_in_time(tmp_path: Path) -> None:
    from sklearn.feature_extraction.text import CountVectorizer

    words = ["a" * size for size in range(28, 40)]
    model = CountVectorizer(token_pattern=r"(?u)(?:a|aa)+").fit(words)
    model.token_pattern = r"(?u)(?:(?:a|aa)+)+b"  # backtracks for ever on what it knows
    result = inspect(saved(tmp_path, model), replace(Limits(), prediction_seconds=1.0))
    assert result["verdict"] == "refused"
    assert result["rule"] == "timeout"
    # ended by the deadline of a prediction, not by that of the inspection
    assert result["seconds"] < Limits().inspection_seconds / 4


def test_a_model_too_wide_to_compare_is_served_natively(tmp_path: Path) -> None:
    from sklearn.preprocessing import PolynomialFeatures

    model = PolynomialFeatures(degree=30).fit(iris()[0])
    result = inspect(saved(tmp_path, model), replace(Limits(), memory_bytes=900 << 20))
    assert result["verdict"] == "accepted"
    assert result["signature"]["runtime"] == "native"


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    inspect(saved(tmp_path, forest()), Limits())
    assert list((tmp_path / "scratch").iterdir()) == []
