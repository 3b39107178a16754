"""Honest models, compiled: what is served equals scikit-learn on rows that the proof has not seen."""

from __future__ import annotations

import time
import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
from modelyard.intake.compile import Compiled, compile_and_prove
from modelyard.intake.describe import Described, describe
from modelyard.intake.estimators import call
from modelyard.intake.frames import native_input
from modelyard.intake.verdict import StaticReport
from modelyard.serving.decoding import Batch
from modelyard.serving.runtime import OnnxRuntime

from tests.support import honest_models

COMPILED = [
    # linear, neighbours, kernels, networks, clusters
    "LogisticRegressionCV_like", "LinearRegression", "Ridge", "RidgeClassifier", "SGDClassifier", "LinearSVC",
    "SVC", "SVR", "KNeighborsClassifier", "MLPClassifier", "GaussianNB", "KMeans", "PCA",
    "GaussianProcessRegressor",
    "PoissonRegressor", "PLSRegression",
    "LinearDiscriminantAnalysis",
    # trees
    "DecisionTreeClassifier", "RandomForestClassifier", "RandomForestRegressor", "ExtraTreesRegressor",
    "HistGradientBoostingClassifier", "HistGradientBoostingRegressor", "GradientBoostingClassifier",
    "AdaBoostClassifier", "IsolationForest", "hist_multi", "hist_gamma", "forest_multi",
    # columns
    "StandardScaler", "SimpleImputer", "OneHotEncoder", "KBinsDiscretizer", "PowerTransformer",
    "OrdinalEncoder", "frame_logistic", "frame_forest", "function_log", "target_log", "select_f",
    # compositions
    "Pipeline", "GridSearchCV", "stack", "vote_soft", "VotingRegressor", "CalibratedClassifierCV", "RFE",
    "BaggingClassifier", "OneVsRestClassifier", "MultiOutputRegressor",
    # texts and boosters
    "text_tfidf", "text_counts", "ovr_text", "lgbm_classifier", "lgbm_multi", "lgbm_regressor",
    "xgb_classifier", "xgb_frame",
]  # fmt: skip
NATIVE = {
    "Birch": "no converter for Birch",
    "TunedThresholdClassifierCV": "differs",
    "HashingVectorizer": "",
    "DictVectorizer": "records",
    "LabelEncoder": "label",
    "FeatureHasher": "records",
    "MultiOutputClassifier": "probabilities",
}
PICKY = [
    "CategoricalNB",
    "NMF",
    "AdditiveChi2Sampler",
    "RadiusNeighborsClassifier",
    "MultiLabelBinarizer",
]
REPORT = StaticReport(format="pickle", size=1, sklearn_version="1.9.1")


@cache
def models() -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression

    found = honest_models.all_models()
    x, labels, _ = honest_models.data()
    found["LogisticRegressionCV_like"] = LogisticRegression().fit(x, np.where(labels == 1, "yes", "no"))
    return found


def compiled(name: str) -> tuple[Any, Described, Compiled]:
    estimator = models()[name]
    described = describe(estimator, REPORT)
    return estimator, described, compile_and_prove(estimator, described)


@pytest.mark.parametrize("name", COMPILED)
def test_what_is_served_equals_the_original_on_fresh_rows(name: str) -> None:
    estimator, described, result = compiled(name)
    signature = result.signature
    assert signature.runtime == "onnx", signature.reason
    assert result.model is not None
    assert signature.onnx is not None
    assert signature.outputs[0] in signature.onnx.outputs
    assert signature.parity["rows"] >= 40  # thousands, but fewer on a machine that is busy just then
    runtime = OnnxRuntime(signature, result.model)
    described.rows.random = np.random.default_rng(99)  # rows that the proof has not seen
    for family in described.rows.families(8):
        served = runtime.predict(Batch(family.columns, family.rows), signature.outputs, time.monotonic() + 30)
        for output in signature.outputs:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                batch = native_input(described.signature, family.columns, described.missing)
                try:
                    expected = call(estimator, output, batch)
                except ValueError:
                    continue  # rows that the original itself refuses
            got = np.array(served[output])
            assert got.shape == expected.shape
            if expected.dtype.kind == "f":
                scale = max(1.0, float(np.nanmax(np.abs(np.where(np.isfinite(expected), expected, 0)))))
                np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6 * scale, equal_nan=True)
            else:
                assert got.tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["LogisticRegressionCV_like", "KMeans", "LinearSVC", "LinearRegression"])
def test_what_the_compiled_form_lacks_is_left_to_the_original(name: str) -> None:
    _, described, result = compiled(name)

    given, left = result.signature.outputs, result.signature.original_outputs

    assert described.signature.original_outputs == []
    assert sorted(given + left) == sorted(described.signature.outputs)
    assert (name == "LogisticRegressionCV_like") == ("decision_function" in left)


@pytest.mark.parametrize(("name", "reason"), NATIVE.items())
def test_what_cannot_be_compiled_says_why(name: str, reason: str) -> None:
    _, _, result = compiled(name)
    assert result.model is None
    assert result.signature.runtime == "native"
    assert result.signature.onnx is None
    assert reason in (result.signature.reason or "")
    assert result.signature.reason


@pytest.mark.parametrize("name", PICKY)
def test_estimators_that_take_only_some_numbers_are_not_refused(name: str) -> None:
    assert describe(models()[name], REPORT).signature.outputs


def test_there_is_no_time_without_time() -> None:
    estimator = models()["LinearRegression"]
    result = compile_and_prove(estimator, describe(estimator, REPORT), deadline=time.monotonic() - 1)
    assert result.signature.runtime == "native"
    assert "time" in (result.signature.reason or "")


def test_a_wrong_compiled_form_is_found_out() -> None:
    """The proof is worth something: what predicts otherwise than it is converted stays native."""
    from sklearn.linear_model import LogisticRegression

    class Contrary(LogisticRegression):
        def predict(self, X: Any) -> Any:
            return self.classes_[1 - np.searchsorted(self.classes_, super().predict(X))]

    x, labels, _ = honest_models.data()
    model = Contrary().fit(x, labels)
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
    from skl2onnx.operator_converters.linear_classifier import convert_sklearn_linear_classifier

    update_registered_converter(
        Contrary, "TestContrary", calculate_linear_classifier_output_shapes,
        convert_sklearn_linear_classifier,
        options={"zipmap": [True, False], "raw_scores": [True, False], "nocl": [True, False]},
    )  # fmt: skip
    result = compile_and_prove(model, describe(model, REPORT))
    assert result.signature.runtime == "native"
    assert "predict differs on rows of the kind 'typical'" in (result.signature.reason or "")


def test_ties_in_a_forest_go_to_the_first_class_as_in_the_original() -> None:
    from sklearn.ensemble import RandomForestClassifier

    random = np.random.default_rng(1)
    x = random.integers(0, 3, size=(80, 3)).astype(float)
    labels = random.integers(0, 2, size=80)  # noise: half of the trees for one class, half for the other
    model = RandomForestClassifier(n_estimators=10, random_state=0).fit(x, labels)
    result = compile_and_prove(model, describe(model, REPORT))
    assert result.model is not None
    every = np.stack(np.meshgrid(*[[0.0, 1.0, 2.0]] * 3), axis=-1).reshape(-1, 3)
    served = OnnxRuntime(result.signature, result.model).predict(
        Batch(every.T.tolist(), len(every)), ["predict"], time.monotonic() + 30
    )
    assert served["predict"] == model.predict(every).tolist()


def test_missing_values_go_where_the_original_sends_them() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

    random = np.random.default_rng(2)
    x = np.where(random.random((200, 3)) < 0.2, np.nan, random.normal(size=(200, 3)))
    labels = (np.nan_to_num(x[:, 0], nan=2.0) > 0.5).astype(int)
    for model in (HistGradientBoostingClassifier(max_iter=10), RandomForestClassifier(10)):
        model.fit(x, labels)
        result = compile_and_prove(model, describe(model, REPORT))
        assert result.signature.runtime == "onnx", result.signature.reason
        assert "missing" in result.signature.parity["families"]


@pytest.mark.parametrize(
    ("classes", "kind"), [([False, True], bool), ([0.0, 1.0], float), (["no", "yes"], str), ([5, 9], int)]
)
def test_labels_keep_their_kind(classes: list[Any], kind: type) -> None:
    from sklearn.tree import DecisionTreeClassifier

    x, labels, _ = honest_models.data()
    model = DecisionTreeClassifier().fit(x, np.array(classes)[labels])
    result = compile_and_prove(model, describe(model, REPORT))
    assert result.model is not None
    assert result.signature.classes == classes
    served = OnnxRuntime(result.signature, result.model).predict(
        Batch(x[:5].T.tolist(), 5), ["predict"], time.monotonic() + 30
    )
    assert {type(label) for label in served["predict"]} == {kind}
