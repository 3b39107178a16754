"""Explanations of whole estimators: what is explained, by which names, in which shape; that they add up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from modelyard.intake.describe import describe
from modelyard.intake.explanation.explainer import Explainer
from modelyard.intake.explanation.sums import Mismatch, NotExplainable, OutOfTime
from modelyard.intake.frames import native_input, records
from modelyard.intake.verdict import StaticReport
from modelyard.serving.signature import Signature
from sklearn import ensemble, linear_model, svm, tree
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

RNG = np.random.default_rng(5)
X = RNG.normal(size=(150, 4))
Y = 2 * X[:, 0] - X[:, 1] + 0.1 * X[:, 2] + 3
COUNTS = np.exp(Y / 3)
NAMES = np.where(Y > 3, "yes", "no")
GROUPS = np.digitize(Y, [2, 4])
FRAME = pd.DataFrame(
    {
        "age": np.where(RNG.random(150) < 0.1, np.nan, RNG.integers(18, 80, 150)),
        "income": RNG.normal(30_000, 9_000, 150),
        "city": RNG.choice(["Bonn", "Köln", "Ulm"], 150),
    }
)
DEAR = ((FRAME["income"] > 30_000) & (FRAME["city"] != "Ulm")).to_numpy()
TEXTS = ["a good film", "bad film", "great acting", "bad and awful plot", "good plot"] * 10


def explain(estimator: Any, columns: Any = None, rows: int = 6) -> tuple[list[dict[str, Any]], Any]:
    """Explanations of some rows (`columns`, or ordinary ones), and the rows as the estimator takes them."""
    described = describe(estimator, StaticReport(format="joblib", size=1))
    signature = described.signature
    batch: Any = described.rows.typical(rows) if columns is None else columns
    if signature.layout == "records" and columns is None:
        batch = [records(signature, batch)]
    x = native_input(signature, batch, described.missing)
    assert signature.explainable is True
    return Explainer(estimator, signature).explain(x, 30), x


def adds_up(told: dict[str, Any]) -> bool:
    total = np.array(told["base"], dtype=float) + np.array(told.get("others", 0.0))
    for value in told["contributions"].values():
        total = total + np.array(value)
    return np.allclose(total, told["sum"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("estimator", "y", "of"),
    [
        (linear_model.LinearRegression(), Y, "predict"),
        (linear_model.LinearRegression(), np.c_[Y, X[:, 3]], "predict"),
        (linear_model.Ridge(fit_intercept=False), Y, "predict"),
        (linear_model.Lasso(0.1), Y, "predict"),
        (linear_model.ElasticNet(0.1), Y, "predict"),
        (linear_model.SGDRegressor(random_state=0), Y, "predict"),
        (linear_model.HuberRegressor(), Y, "predict"),
        (linear_model.BayesianRidge(), Y, "predict"),
        (linear_model.QuantileRegressor(), Y, "predict"),
        (linear_model.LogisticRegression(), NAMES, "decision_function"),
        (linear_model.LogisticRegression(), GROUPS, "decision_function"),
        (linear_model.SGDClassifier(random_state=0), GROUPS, "decision_function"),
        (linear_model.RidgeClassifier(), NAMES, "decision_function"),
        (linear_model.Perceptron(), NAMES, "decision_function"),
        (svm.LinearSVC(), GROUPS, "decision_function"),
        (svm.LinearSVR(), Y, "predict"),
        (svm.SVC(kernel="linear"), NAMES, "decision_function"),
        (svm.SVR(kernel="linear"), Y, "predict"),
        (LinearDiscriminantAnalysis(), GROUPS, "decision_function"),
    ],
)
def test_linear_models_are_coefficient_times_value(estimator: Any, y: np.ndarray, of: str) -> None:
    told, x = explain(clone(estimator).fit(X, y))
    fitted = clone(estimator).fit(X, y)
    own = getattr(fitted, of)(x)
    for row, one in enumerate(told):
        assert one["of"] == of
        assert adds_up(one)
        np.testing.assert_allclose(one["sum"], own[row], rtol=1e-5, atol=1e-6)
        given = np.array([one["contributions"][f"x{i}"] for i in range(4)])
        expected = (np.atleast_2d(fitted.coef_) * x[row]).T
        np.testing.assert_allclose(given.reshape(expected.shape), expected, rtol=1e-4, atol=1e-6)


def test_of_two_classes_one_is_named_and_of_several_all() -> None:
    two, _ = explain(linear_model.LogisticRegression().fit(X, NAMES))
    assert two[0]["toward"] == "yes"
    assert "classes" not in two[0]
    assert isinstance(two[0]["base"], float)
    three, _ = explain(linear_model.LogisticRegression().fit(X, GROUPS))
    assert three[0]["classes"] == [0, 1, 2]
    assert "toward" not in three[0]
    assert len(three[0]["base"]) == len(three[0]["contributions"]["x0"]) == 3


@pytest.mark.parametrize(
    "estimator",
    [
        linear_model.PoissonRegressor(),
        linear_model.GammaRegressor(),
        linear_model.TweedieRegressor(power=1.5),
        ensemble.HistGradientBoostingRegressor(loss="gamma", max_iter=10),
    ],
)
def test_generalised_models_add_up_before_their_link(estimator: Any) -> None:
    told, x = explain(estimator.fit(X, COUNTS))
    assert all(one["of"] == "link" and adds_up(one) for one in told)
    np.testing.assert_allclose(np.exp([one["sum"] for one in told]), estimator.predict(x))


@pytest.mark.parametrize("y", [NAMES, GROUPS])
def test_lightgbm_gives_its_own_contributions(y: np.ndarray) -> None:
    from lightgbm import LGBMClassifier

    labels = (y == "yes").astype(int) if y.dtype.kind == "U" else y
    estimator = LGBMClassifier(n_estimators=8, verbose=-1, n_jobs=1).fit(X, labels)
    told, x = explain(estimator)
    theirs = estimator.predict(x, pred_contrib=True).reshape(len(x), -1, 5)
    margins = estimator.predict(x, raw_score=True).reshape(len(x), -1)
    for row, one in enumerate(told):
        assert one["of"] == "margin"
        given = np.array([np.atleast_1d(one["contributions"][f"x{i}"]) for i in range(4)])
        np.testing.assert_allclose(given.T, theirs[row, :, :4])
        np.testing.assert_allclose(np.atleast_1d(one["base"]), theirs[row, :, 4])
        np.testing.assert_allclose(np.atleast_1d(one["sum"]), margins[row])


@pytest.mark.parametrize("kind", ["two", "three", "numbers", "targets", "linear"])
def test_xgboost_gives_its_own_contributions(kind: str) -> None:
    import xgboost

    y = {"two": (Y > 3).astype(int), "three": GROUPS, "numbers": Y, "linear": Y, "targets": np.c_[Y, COUNTS]}[
        kind
    ]
    options: dict[str, Any] = {"n_estimators": 8, "n_jobs": 1}
    if kind == "linear":
        options["booster"] = "gblinear"
    made = xgboost.XGBClassifier if kind in ("two", "three") else xgboost.XGBRegressor
    estimator = made(**options).fit(X, y)
    told, x = explain(estimator)
    theirs = estimator.get_booster().predict(xgboost.DMatrix(x), pred_contribs=True).reshape(len(x), -1, 5)
    margins = estimator.predict(x, output_margin=True).reshape(len(x), -1)
    for row, one in enumerate(told):
        assert one["of"] == ("margin" if kind in ("two", "three") else "predict")
        given = np.array([np.atleast_1d(one["contributions"][f"x{i}"]) for i in range(4)])
        np.testing.assert_allclose(given.T, theirs[row, :, :4], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(np.atleast_1d(one["sum"]), margins[row], rtol=1e-4, atol=1e-4)


def prepared() -> ColumnTransformer:
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    return ColumnTransformer(
        [("numbers", numbers, ["age", "income"]), ("city", OneHotEncoder(drop="first"), ["city"])]
    )


def test_features_are_summed_to_the_columns_that_they_come_from() -> None:
    estimator = make_pipeline(prepared(), linear_model.LogisticRegression()).fit(FRAME, DEAR)
    columns = [[30.0, None], [20_000.0, 41_000.0], ["Ulm", "Köln"]]
    told, x = explain(estimator, columns)
    coefficient = dict(zip(estimator[0].get_feature_names_out(), estimator[-1].coef_[0], strict=True))
    values = pd.DataFrame(estimator[0].transform(x), columns=list(coefficient))
    for row, one in enumerate(told):
        features = {name: coefficient[name] * values[name][row] for name in coefficient}
        assert one["per"] == "column"
        assert one["features"] == pytest.approx(features)
        by_column = {
            "age": features["numbers__age"] + features["numbers__missingindicator_age"],
            "income": features["numbers__income"],
            "city": features["city__city_Köln"] + features["city__city_Ulm"],
        }
        assert one["contributions"] == pytest.approx(by_column)
        sizes = [abs(value) for value in one["contributions"].values()]
        assert sizes == sorted(sizes, reverse=True)
        assert adds_up(one)


def test_trees_behind_transformers() -> None:
    estimator = make_pipeline(prepared(), ensemble.RandomForestClassifier(5, random_state=0)).fit(FRAME, DEAR)
    told, x = explain(estimator)
    assert set(told[0]["contributions"]) == {"age", "income", "city"}
    assert set(told[0]["features"]) == set(estimator[0].get_feature_names_out())
    np.testing.assert_allclose([one["sum"] for one in told], estimator.predict_proba(x), atol=1e-12)


@pytest.mark.parametrize(
    ("steps", "names"),
    [
        ([StandardScaler(), PCA(2)], ["pca0", "pca1"]),
        ([PolynomialFeatures(2, interaction_only=True, include_bias=False), SelectKBest(k=5)], None),
        ([FeatureUnion([("same", "passthrough"), ("mixed", PCA(1))])], None),
    ],
)
def test_features_of_several_columns_stand_for_themselves(steps: Any, names: list[str] | None) -> None:
    estimator = make_pipeline(*steps, linear_model.Ridge()).fit(X, Y)
    told, _ = explain(estimator)
    expected = names or estimator[:-1].get_feature_names_out().tolist()
    assert told[0]["per"] == "feature"
    assert "features" not in told[0]
    assert set(told[0]["contributions"]) == set(expected)
    assert adds_up(told[0])


@pytest.mark.parametrize(
    "steps",
    [
        [KBinsDiscretizer(n_bins=3, quantile_method="averaged_inverted_cdf")],
        [SplineTransformer(n_knots=4)],
        [PolynomialFeatures(1, include_bias=False), StandardScaler()],
        [FunctionTransformer(np.sinh)],
        [FunctionTransformer(), SelectKBest(k=2)],
        [FeatureUnion([("scaled", StandardScaler()), ("same", "passthrough")])],
        [
            ColumnTransformer(
                [("a", make_pipeline(StandardScaler(), PCA(1)), [0]), ("b", "passthrough", [1, 3])]
            )
        ],
    ],
)
def test_transformers_that_keep_columns_apart(steps: Any) -> None:
    estimator = make_pipeline(*steps, linear_model.Ridge()).fit(X, Y)
    told, x = explain(estimator)
    assert told[0]["per"] == "column"
    assert set(told[0]["contributions"]) == {"x0", "x1", "x2", "x3"}
    # Nothing else may depend on a column: moving one moves only its own contribution.
    moved = x.copy()
    moved[:, 1] += 0.25
    described = describe(estimator, StaticReport(format="joblib", size=1)).signature
    after = Explainer(estimator, described).explain(moved, 30)
    for one, other in zip(told, after, strict=True):
        for name in ("x0", "x2", "x3"):
            assert one["contributions"][name] == pytest.approx(other["contributions"][name])


def test_target_encoding_is_its_columns() -> None:
    estimator = make_pipeline(TargetEncoder(), linear_model.LogisticRegression()).fit(
        FRAME[["city"]].assign(other=FRAME["city"].str.lower()), GROUPS
    )
    told, _ = explain(estimator)
    assert set(told[0]["contributions"]) == {"city", "other"}
    assert len(told[0]["features"]) == 6


def test_a_text_is_explained_by_its_tokens() -> None:
    estimator = make_pipeline(CountVectorizer(), linear_model.LogisticRegression()).fit(
        TEXTS, ["up", "down", "up", "down", "up"] * 10
    )
    told, _ = explain(estimator, [["good good plot"]])
    coefficient = dict(zip(estimator[0].get_feature_names_out(), estimator[-1].coef_[0], strict=True))
    (one,) = told
    assert one["per"] == "feature"
    nonzero = {name: value for name, value in one["contributions"].items() if value}
    assert nonzero == pytest.approx({"good": 2 * coefficient["good"], "plot": coefficient["plot"]})


def test_at_most_200_contributions_and_the_rest_in_one_number() -> None:
    texts = [" ".join(f"w{RNG.integers(600)}" for _ in range(300)) for _ in range(40)]
    estimator = make_pipeline(TfidfVectorizer(), linear_model.SGDClassifier(random_state=0)).fit(
        texts, [0, 1] * 20
    )
    told, _ = explain(estimator, [[texts[0] + " " + texts[1], "w1 w2"]])
    long, short = told
    assert len(long["contributions"]) == 200
    assert long["others"] != 0
    assert adds_up(long)
    assert set(short["contributions"]) <= {"w1", "w2"}
    assert "others" not in short
    least = min(abs(value) for value in long["contributions"].values())
    assert least > 0


def test_features_without_names_have_numbers() -> None:
    steps = HashingVectorizer(n_features=32), linear_model.LogisticRegression()
    told, _ = explain(make_pipeline(*steps).fit(TEXTS, [0, 1] * 25), [["good"]])
    assert "hashingvectorizer0" in told[0]["contributions"]
    assert adds_up(told[0])


def test_records_are_explained_by_their_fields() -> None:
    rows = [{"city": "Bonn", "age": 3.0}, {"city": "Ulm", "age": 50.0}] * 20
    estimator = make_pipeline(DictVectorizer(), linear_model.LogisticRegression()).fit(rows, [0, 1] * 20)
    told, _ = explain(estimator, [[{"city": "Ulm", "age": 40.0}]])
    assert set(told[0]["contributions"]) == {"city", "age"}
    assert set(told[0]["features"]) == {"city=Bonn", "city=Ulm", "age"}


@pytest.mark.parametrize(
    ("estimator", "y", "of"),
    [
        (GridSearchCV(linear_model.Ridge(), {"alpha": [1, 2]}, cv=2), Y, "predict"),
        (linear_model.RANSACRegressor(random_state=0), Y, "predict"),
        (
            ensemble.VotingRegressor(
                [("a", linear_model.Ridge()), ("b", tree.DecisionTreeRegressor())], weights=[1, 3]
            ),
            Y,
            "predict",
        ),
        (ensemble.BaggingRegressor(n_estimators=4, max_features=0.5, random_state=0), Y, "predict"),
        (ensemble.BaggingClassifier(n_estimators=4, random_state=0), NAMES, "predict_proba"),
        (OneVsRestClassifier(linear_model.LogisticRegression()), GROUPS, "decision_function"),
    ],
)
def test_what_wraps_estimators_and_stays_a_sum(estimator: Any, y: np.ndarray, of: str) -> None:
    told, x = explain(estimator.fit(X, y))
    assert all(one["of"] == of and adds_up(one) for one in told)
    np.testing.assert_allclose([one["sum"] for one in told], getattr(estimator, of)(x), atol=1e-12)


@pytest.mark.parametrize(
    ("estimator", "y", "words"),
    [
        (KNeighborsClassifier(), NAMES, "KNeighborsClassifier"),
        (svm.SVC(), NAMES, "kernel that is not linear"),
        (svm.SVC(kernel="linear"), GROUPS, "LinearSVC"),
        (ensemble.AdaBoostClassifier(n_estimators=3), NAMES, "AdaBoostClassifier"),
        (CalibratedClassifierCV(linear_model.LogisticRegression(), cv=2), NAMES, "CalibratedClassifierCV"),
        (ensemble.IsolationForest(n_estimators=5), None, "IsolationForest"),
        (ensemble.BaggingClassifier(KNeighborsClassifier(), n_estimators=2), NAMES, "KNeighborsClassifier"),
        (OneVsRestClassifier(tree.DecisionTreeClassifier()), GROUPS, "OneVsRestClassifier"),
        (ensemble.VotingRegressor([("a", linear_model.PoissonRegressor())]), COUNTS, "VotingRegressor"),
        (ensemble.RandomForestClassifier(3), np.c_[GROUPS, GROUPS], "several outputs"),
        (ensemble.GradientBoostingRegressor(init=linear_model.Ridge()), Y, "another model"),
        (make_pipeline(StandardScaler(), KNeighborsClassifier()), NAMES, "KNeighborsClassifier"),
        (StandardScaler(), None, "StandardScaler"),
    ],
)
def test_other_kinds_are_refused_in_words(estimator: Any, y: Any, words: str) -> None:
    described = describe(estimator.fit(X, y), StaticReport(format="joblib", size=1))
    assert described.signature.explainable is False
    with pytest.raises(NotExplainable, match=words):
        Explainer(estimator, described.signature)


def test_linear_trees_of_lightgbm_are_refused() -> None:
    from lightgbm import LGBMRegressor

    estimator = LGBMRegressor(n_estimators=3, linear_tree=True, verbose=-1).fit(X, Y)
    with pytest.raises(NotExplainable, match="linear models in their leaves"):
        Explainer(estimator, SIGNATURE)


SIGNATURE = describe(linear_model.Ridge().fit(X, Y), StaticReport(format="joblib", size=1)).signature


def test_parts_that_do_not_add_up_are_no_explanation() -> None:
    estimator = svm.SVR(kernel="linear").fit(X, Y)
    estimator.intercept_ = estimator.intercept_ + 1e-3  # predictions go on using the other copy
    with pytest.raises(Mismatch, match=r"differ by about 1e-0?[45] of its size$"):
        Explainer(estimator, SIGNATURE).explain(X[:3], 30)


def test_a_row_whose_output_is_infinite_is_refused() -> None:
    estimator = linear_model.LinearRegression().fit(X, Y * 1e10)
    with pytest.raises(NotExplainable, match="no finite number"):
        Explainer(estimator, SIGNATURE).explain(np.full((1, 4), 1e305), 30)


def test_the_deadline_is_noticed_between_trees_and_nothing_is_lost() -> None:
    estimator = ensemble.RandomForestRegressor(20, random_state=0).fit(X, Y)
    explainer = Explainer(estimator, SIGNATURE)
    with pytest.raises(OutOfTime):
        explainer.explain(X, 0.0)
    assert adds_up(explainer.explain(X[:1], 30)[0])


def test_a_description_says_whether_explanations_can_be_had() -> None:
    told = describe(linear_model.Ridge().fit(X, Y), StaticReport(format="joblib", size=1)).signature.to_json()
    assert told["explainable"] is True
    old = {key: value for key, value in told.items() if key != "explainable"}
    assert Signature.from_json(old).explainable is None
