"""Honest files are never refused, and what loads predicts what was saved."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from modelyard.intake.gate import scan
from modelyard.intake.loading import load
from modelyard.intake.onnx_gate import check
from modelyard.intake.verdict import Limits, Refused

from tests.support.honest_models import TEXTS, data, frame
from tests.support.hostile_archives import onnx_model

UNSERVED = {"no_predict"}  # clusterings and manifolds that can only be fitted


def test_the_gate_accepts_every_honest_file(honest_files: list[Path], limits: Limits) -> None:
    refused = []
    for path in honest_files:
        try:
            report = scan(path, limits)
        except Refused as error:
            refused.append((path.name, error.rule, error.detail))
            continue
        assert (
            report.format == {"pkl": "pickle"}.get(path.suffix[1:], path.suffix[1:])
            or ".gzip.pkl" in path.name
            or (
                report.format == "pickle" and path.suffix == ".joblib"  # a model without arrays
            )
        )
        assert report.estimator is not None
        assert report.sklearn_version or "lgbm" in path.name or "xgb" in path.name
    assert refused == []
    assert len({path.name.split(".")[0] for path in honest_files}) >= 120


def test_every_honest_file_loads_and_is_sound(honest_files: list[Path], limits: Limits) -> None:
    refused = []
    for path in honest_files:
        try:
            load(path, scan(path, limits), limits)
        except Refused as error:
            if error.rule not in UNSERVED:
                refused.append((path.name, error.rule, error.detail))
    assert refused == []


@pytest.mark.parametrize(
    "name",
    [
        "LogisticRegression",
        "RandomForestRegressor",
        "KNeighborsClassifier",
        "frame_forest",
        "text_tfidf",
        "hist_multi",
    ],
)
def test_a_loaded_model_predicts_as_the_saved_one(
    name: str, models: dict[str, Any], honest_files: list[Path], limits: Limits
) -> None:
    rows: Any = {"frame_forest": frame(), "text_tfidf": TEXTS}.get(name, data()[0])
    wanted = models[name].predict(rows)
    seen = 0
    for path in honest_files:
        if path.name.split(".")[0] == name:
            assert np.array_equal(load(path, scan(path, limits), limits).predict(rows), wanted), path.name
            seen += 1
    assert seen >= 15


def test_arrays_of_the_other_byte_order_are_read(tmp_path: Path, limits: Limits) -> None:
    from sklearn.linear_model import LinearRegression

    X, _, targets = data()
    model = LinearRegression().fit(X, targets)
    wanted = model.predict(X)
    model.coef_ = model.coef_.astype(">f8")
    path = tmp_path / "m.joblib"
    joblib.dump(model, path)
    loaded = load(path, scan(path, limits), limits)
    assert loaded.coef_.dtype.isnative
    assert np.allclose(loaded.predict(X), wanted)


def test_memory_mapped_and_empty_arrays_are_read(tmp_path: Path, limits: Limits) -> None:
    from sklearn.linear_model import LinearRegression

    X, _, targets = data()
    model = LinearRegression().fit(X, targets)
    np.save(tmp_path / "coef.npy", model.coef_)
    model.coef_ = np.load(tmp_path / "coef.npy", mmap_mode="r")
    model.empty_ = np.zeros((0, 5))
    path = tmp_path / "model"
    for save in (joblib.dump, lambda model, path: path.write_bytes(pickle.dumps(model))):
        save(model, path)
        loaded = load(path, scan(path, limits), limits)
        assert type(loaded.coef_) is np.ndarray
        assert np.array_equal(loaded.coef_, model.coef_)
        assert loaded.empty_.shape == (0, 5)


@pytest.mark.parametrize("kind", ["forest", "svc", "knn"])
def test_converted_graphs_are_accepted(kind: str, limits: Limits) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = onnx_model(kind).SerializeToString()
    report = check(content, limits, source="upload")
    assert report.inputs[0].shape == (-1, 2)
    assert report.inputs[0].type == "float"
    assert sum(report.operators.values()) >= 1


def test_functions_are_for_our_own_compiler_only(limits: Limits) -> None:
    from onnx import helper

    model = onnx_model()
    body = [helper.make_node("Abs", ["x"], ["y"])]
    model.functions.append(
        helper.make_function("mine", "f", ["x"], ["y"], body, [helper.make_opsetid("", 13)])
    )
    model.graph.node.append(helper.make_node("f", ["X"], ["z"], domain="mine"))
    check(model.SerializeToString(), limits, source="compiled")
    with pytest.raises(Refused, match="function"):
        check(model.SerializeToString(), limits, source="upload")
