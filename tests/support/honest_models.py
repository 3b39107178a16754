"""Honest models: what data scientists save. Fitted on small data, without a network, the same on every run.

Only public API of scikit-learn 1.4 and later is used, so that old versions in throw-away environments can
run this
file as well: `python honest_models.py FOLDER` writes every model in every format.
"""

from __future__ import annotations

import gzip
import inspect
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROWS = 60
TEXTS = ["red apple pie", "green apple", "blue sky", "grey sky rain", "apple rain", "red sky at night"] * 10


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    X = random.normal(size=(ROWS, 4))
    return X, (X[:, 0] + X[:, 1] > 0).astype(int), X @ [1.0, 2.0, 0.5, -1.0] + 5


def frame() -> Any:
    import pandas as pd

    X, _, _ = data()
    return pd.DataFrame(
        {
            "age": X[:, 0],
            "income": X[:, 1] * 1000,
            "city": ["Rome", "Oslo", "Bern"] * 20,
            "tier": ["a", "b"] * 30,
        }
    )


SMALL = {"n_estimators": 4, "max_iter": 20, "n_init": 1, "n_components": 2, "cv": 3, "random_state": 0}
SPECIAL: dict[str, dict[str, Any]] = {
    "LinearDiscriminantAnalysis": {},
    "OrthogonalMatchingPursuitCV": {"max_iter": 3, "cv": 3},
}


def _parameters(cls: type) -> dict[str, Any]:
    known = inspect.signature(cls).parameters
    chosen = {key: value for key, value in SMALL.items() if key in known}
    if cls.__name__ in (
        "ElasticNet",
        "Lasso",
        "MLPClassifier",
        "MLPRegressor",
        "LinearSVC",
        "LinearSVR",
        "QuantileRegressor",
    ):
        chosen.pop("max_iter", None)
    if cls.__name__ in ("GaussianRandomProjection", "SparseRandomProjection", "IncrementalPCA"):
        chosen["n_components"] = 2
    if cls.__name__ in ("CCA", "PLSCanonical", "PLSRegression", "PLSSVD"):
        chosen["n_components"] = 1
    chosen |= SPECIAL.get(cls.__name__, {})
    if cls.__name__ in ("LinearDiscriminantAnalysis", "OrthogonalMatchingPursuitCV"):
        chosen = SPECIAL[cls.__name__]
    return chosen


def _wrapped(name: str, cls: type) -> Any:
    """Meta-estimators need a part to wrap."""
    from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

    classifier, regressor = LogisticRegression(), Ridge()
    known = inspect.signature(cls).parameters
    if "transformers" in known:
        from sklearn.preprocessing import StandardScaler

        return cls([("scale", StandardScaler(), [0, 1])], remainder="passthrough")
    if name == "FeatureUnion":
        from sklearn.decomposition import PCA

        return cls([("pca", PCA(2))])
    if name == "Pipeline":
        from sklearn.preprocessing import StandardScaler

        return cls([("scale", StandardScaler()), ("model", classifier)])
    if name in ("GridSearchCV", "HalvingGridSearchCV"):
        return cls(classifier, {"C": [0.1, 1.0]}, cv=2)
    if name in ("RandomizedSearchCV", "HalvingRandomSearchCV"):
        from scipy.stats import loguniform, randint, uniform

        return cls(
            classifier,
            {"C": loguniform(0.1, 10), "max_iter": randint(100, 200), "tol": uniform(1e-4, 0.1)}, cv=2,
            random_state=0, **({"n_iter": 2} if name == "RandomizedSearchCV" else {}),
        )  # fmt: skip
    if "estimators" in known:
        parts = [("a", classifier), ("b", LogisticRegression(C=0.1))]
        if name.endswith("Regressor"):
            parts = [("a", regressor), ("b", LinearRegression())]
        return cls(parts)
    part = (
        regressor if "Regressor" in name or "Regression" in name or name == "RegressorChain" else classifier
    )
    if name == "SparseCoder":
        return cls(np.eye(4))
    if name == "SelfTrainingClassifier":
        return cls(classifier)
    for key in ("estimator", "base_estimator", "regressor"):
        if key in known and known[key].default is inspect.Parameter.empty:
            return cls(part.fit(*data()[:2]) if name == "FrozenEstimator" else part)
    return cls(**_parameters(cls))


def estimators() -> Iterator[tuple[str, Any]]:
    """Every scikit-learn estimator that can be fitted on plain data, fitted."""
    from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
    from sklearn.utils import all_estimators

    X, labels, targets = data()
    positive = np.abs(X)
    for name, cls in all_estimators():
        if name in ("TSNE", "SpectralBiclustering", "SpectralCoclustering"):  # slow, and nothing to serve
            continue
        try:
            model = _wrapped(name, cls)
            samples: Any = X
            answer: Any = targets if "Regress" in name and "Logistic" not in name else labels
            if name in ("MultiTaskElasticNet", "MultiTaskLasso", "MultiTaskElasticNetCV", "MultiTaskLassoCV"):
                answer = np.c_[targets, targets]
            elif name in ("MultiOutputRegressor", "RegressorChain", "CCA", "PLSCanonical", "PLSSVD"):
                answer = np.c_[targets, -targets]
            elif name in ("MultiOutputClassifier", "ClassifierChain"):
                answer = np.c_[labels, 1 - labels]
            elif name in (
                "CategoricalNB",
                "ComplementNB",
                "MultinomialNB",
                "NMF",
                "MiniBatchNMF",
                "AdditiveChi2Sampler",
                "LatentDirichletAllocation",
                "GammaRegressor",
                "PoissonRegressor",
                "SkewedChi2Sampler",
            ):
                samples, answer = np.floor(positive * 3), np.abs(answer) + (name.endswith("Regressor"))
            elif name in ("CountVectorizer", "HashingVectorizer", "TfidfVectorizer"):
                samples = TEXTS
            elif name == "DictVectorizer":
                samples = [{"city": "Rome", "age": 3}, {"city": "Oslo", "age": 4}]
            elif name == "FeatureHasher":
                samples = [{"city": 1, "age": 3}]
            elif name == "IsotonicRegression":
                samples = X[:, 0]
            elif name in ("LabelBinarizer", "LabelEncoder"):
                samples = labels
            elif name == "MultiLabelBinarizer":
                samples = [("a", "b"), ("b",), ("c",)]
            elif name == "KernelCenterer":
                samples = X @ X.T
            elif name == "PatchExtractor":
                samples = X.reshape(-1, 4, 4)
            elif name in ("LabelPropagation", "LabelSpreading", "SelfTrainingClassifier"):
                answer = np.where(np.arange(ROWS) % 5 == 0, -1, labels)
            if name in ("LabelBinarizer", "LabelEncoder", "IsotonicRegression", "MultiLabelBinarizer"):
                model.fit(samples) if name != "IsotonicRegression" else model.fit(samples, targets)
            else:
                model.fit(samples, answer)
        except ImportError:  # a part of an older version that needs what is not there
            continue
        yield name, model


def compositions() -> Iterator[tuple[str, Any]]:
    """What people build from the parts."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
    from sklearn.decomposition import PCA, TruncatedSVD
    from sklearn.ensemble import (
        BaggingClassifier,
        GradientBoostingClassifier,
        GradientBoostingRegressor,
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
        IsolationForest,
        RandomForestClassifier,
        RandomForestRegressor,
        StackingClassifier,
        VotingClassifier,
    )
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.feature_selection import SelectKBest, f_classif, mutual_info_classif
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
    from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedKFold
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import (
        FunctionTransformer,
        KBinsDiscretizer,
        OneHotEncoder,
        OrdinalEncoder,
        PolynomialFeatures,
        StandardScaler,
    )
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    X, labels, targets = data()
    names = np.where(labels == 1, "yes", "no")
    table = frame()
    numeric, words = ["age", "income"], ["city", "tier"]
    columns = ColumnTransformer(
        [("n", make_pipeline(SimpleImputer(), StandardScaler()), numeric),
         ("c", OneHotEncoder(handle_unknown="ignore"), words)]
    )  # fmt: skip
    chosen = ColumnTransformer(
        [("n", StandardScaler(), make_column_selector(dtype_include=np.number)),
         ("c", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), words)],
        remainder="passthrough",
    )  # fmt: skip
    yield "frame_logistic", make_pipeline(columns, LogisticRegression()).fit(table, names)
    yield "frame_forest", make_pipeline(chosen, RandomForestClassifier(5, random_state=0)).fit(table, labels)
    categories = table.assign(city=table["city"].astype("category"))
    boosted = HistGradientBoostingClassifier(max_iter=5, categorical_features=[False, False, True, False])
    yield "frame_categories", boosted.fit(categories.drop(columns="tier").assign(x=1.0), labels)
    yield (
        "pandas_out",
        make_pipeline(StandardScaler(), PCA(2)).set_output(transform="pandas").fit(table[numeric]),
    )
    yield (
        "text_tfidf",
        make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression()).fit(TEXTS, labels),
    )
    yield (
        "text_counts",
        make_pipeline(CountVectorizer(stop_words="english"), MultinomialNB()).fit(TEXTS, names),
    )
    yield "text_svd", make_pipeline(TfidfVectorizer(), TruncatedSVD(2), SVC()).fit(TEXTS, labels)
    yield (
        "grid_forest",
        GridSearchCV(
            RandomForestClassifier(3, random_state=0),
            {"max_depth": [2, 3]},
            cv=StratifiedKFold(2),
            scoring="f1",
        ).fit(X, labels),
    )
    yield (
        "grid_scorers",
        GridSearchCV(
            LogisticRegression(), {"C": [0.1, 1]}, scoring={"a": "accuracy", "b": "roc_auc"}, refit="a", cv=2
        ).fit(X, labels),
    )
    import scipy.stats as st

    yield "random_search", RandomizedSearchCV(
        SGDClassifier(random_state=0, max_iter=5),
        {"alpha": st.expon(scale=0.01), "eta0": st.uniform(0.1, 1), "tol": st.norm(1, 0.01),
         "power_t": st.beta(2, 3),
         "max_iter": st.randint(3, 9), "n_iter_no_change": st.poisson(4)}, n_iter=2, cv=2, random_state=0,
    ).fit(X, labels)  # fmt: skip
    yield (
        "function_log",
        make_pipeline(FunctionTransformer(np.log1p, np.expm1), LogisticRegression()).fit(np.abs(X), labels),
    )
    yield (
        "target_log",
        TransformedTargetRegressor(SGDRegressor(), func=np.log1p, inverse_func=np.expm1).fit(
            X, np.abs(targets)
        ),
    )
    yield "select_f", make_pipeline(SelectKBest(f_classif, k=2), LogisticRegression()).fit(X, names)
    yield (
        "select_mi",
        make_pipeline(SelectKBest(mutual_info_classif, k=2), LogisticRegression()).fit(X, names),
    )
    yield (
        "poly_bins",
        make_pipeline(PolynomialFeatures(2), KBinsDiscretizer(3), LogisticRegression()).fit(X, labels),
    )
    yield (
        "stack",
        StackingClassifier(
            [("t", DecisionTreeClassifier(max_depth=2)), ("k", KNeighborsClassifier(3))], cv=2
        ).fit(X, names),
    )
    yield (
        "vote_soft",
        VotingClassifier([("l", LogisticRegression()), ("f", RandomForestClassifier(3))], voting="soft").fit(
            X, names
        ),
    )
    yield "bagging_svc", BaggingClassifier(SVC(probability=False), n_estimators=3).fit(X, labels)
    yield (
        "calibrated_isotonic",
        CalibratedClassifierCV(SGDClassifier(random_state=0), method="isotonic", cv=2).fit(X, labels),
    )
    yield (
        "ovr_text",
        make_pipeline(TfidfVectorizer(), OneVsRestClassifier(LogisticRegression())).fit(
            TEXTS, np.array(["a", "b", "c"] * 20)
        ),
    )
    yield (
        "gp_kernels",
        GaussianProcessRegressor(ConstantKernel() * RBF() + WhiteKernel()).fit(X[:20], targets[:20]),
    )
    yield "knn_ball", KNeighborsRegressor(algorithm="ball_tree", metric="minkowski", p=3).fit(X, targets)
    yield "knn_kd", KNeighborsClassifier(algorithm="kd_tree", metric="manhattan").fit(X, names)
    yield "mlp_adam", MLPClassifier((5,), max_iter=20, early_stopping=True, random_state=1).fit(X, names)
    yield (
        "mlp_sgd_state",
        MLPClassifier((5,), max_iter=20, random_state=np.random.RandomState(3)).fit(X, names),
    )
    yield (
        "gb_multi",
        GradientBoostingClassifier(n_estimators=3, init=LogisticRegression()).fit(
            X, np.array(["a", "b", "c"] * 20)
        ),
    )
    yield "gb_quantile", GradientBoostingRegressor(n_estimators=3, loss="quantile").fit(X, targets)
    yield "gb_huber", GradientBoostingRegressor(n_estimators=3, loss="huber").fit(X, targets)
    for loss in ("absolute_error", "gamma", "poisson", "quantile"):
        yield (
            f"hist_{loss}",
            HistGradientBoostingRegressor(
                max_iter=4, loss=loss, **({"quantile": 0.3} if loss == "quantile" else {})
            ).fit(X, np.abs(targets) + 1),
        )
    yield (
        "hist_multi",
        HistGradientBoostingClassifier(max_iter=4, early_stopping=True).fit(
            X, np.array(["a", "b", "c"] * 20)
        ),
    )
    yield "isolation", IsolationForest(n_estimators=5, random_state=0).fit(X)
    yield (
        "forest_multi",
        RandomForestRegressor(4, random_state=0, oob_score=True).fit(X, np.c_[targets, -targets]),
    )
    for loss in ("hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron", "huber"):
        yield f"sgd_{loss}", SGDClassifier(loss=loss, random_state=0, max_iter=20).fit(X, names)
    import scipy.sparse as sp

    yield "sparse_svc", SVC().fit(sp.csr_matrix(X), labels)
    yield "sparse_knn", KNeighborsClassifier(3).fit(sp.csr_matrix(X), labels)
    yield "dates", OrdinalEncoder().fit(np.array(["2020-01-01", "2021-01-01"], "M8[D]").reshape(-1, 1))
    yield (
        "missing",
        make_pipeline(
            SimpleImputer(strategy="most_frequent", add_indicator=True), DecisionTreeClassifier()
        ).fit(np.where(X > 1, np.nan, X), labels),
    )
    yield "fortran", LogisticRegression().fit(np.asfortranarray(X), np.array(["a", "b", "c"] * 20))


def boosters() -> Iterator[tuple[str, Any]]:
    """LightGBM and XGBoost through their scikit-learn classes, where they are installed."""
    X, labels, targets = data()
    three = np.arange(ROWS) % 3
    try:
        import lightgbm as lgb

        small: dict[str, Any] = {"n_estimators": 4, "verbose": -1, "n_jobs": 1, "min_child_samples": 5}
        yield "lgbm_classifier", lgb.LGBMClassifier(**small).fit(X, labels)
        yield "lgbm_multi", lgb.LGBMClassifier(**small).fit(X, np.array(["a", "b", "c"] * 20))
        yield "lgbm_regressor", lgb.LGBMRegressor(**small).fit(X, targets, eval_set=[(X, targets)])
        yield "lgbm_frame", lgb.LGBMClassifier(**small).fit(frame()[["age", "income"]], labels)
        yield "lgbm_ranker", lgb.LGBMRanker(**small).fit(X, three, group=[20, 40])
    except ImportError:
        pass
    try:
        import xgboost as xgb

        few: dict[str, Any] = {"n_estimators": 4, "n_jobs": 1, "max_depth": 3}
        yield "xgb_classifier", xgb.XGBClassifier(**few).fit(X, labels)
        yield "xgb_multi", xgb.XGBClassifier(**few).fit(X, three)
        yield "xgb_regressor", xgb.XGBRegressor(**few).fit(X, targets, eval_set=[(X, targets)], verbose=False)
        yield "xgb_frame", xgb.XGBClassifier(**few).fit(frame()[["age", "income"]], labels)
        yield "xgb_rf", xgb.XGBRFClassifier(**few).fit(X, labels)
        yield "xgb_ranker", xgb.XGBRanker(**few).fit(X, three, qid=np.arange(ROWS) // 20)
    except ImportError:
        pass


def all_models() -> dict[str, Any]:
    from threadpoolctl import threadpool_limits

    # small fits lose more to threads than they gain
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")
        return {name: model for source in (estimators, compositions, boosters) for name, model in source()}


def _joblib(compress: Any, protocol: int | None = None) -> Callable[[Any, Path], Any]:
    def write(model: Any, path: Path) -> Any:
        import joblib

        return joblib.dump(model, path, compress=compress, protocol=protocol)

    return write


def _pickle(protocol: int) -> Callable[[Any, Path], Any]:
    return lambda model, path: path.write_bytes(pickle.dumps(model, protocol))


def _skops(**options: Any) -> Callable[[Any, Path], Any]:
    def write(model: Any, path: Path) -> Any:
        import skops.io

        return skops.io.dump(model, path, **options)

    return write


FORMATS: dict[str, Callable[[Any, Path], Any]] = {
    **{f"p{protocol}.pkl": _pickle(protocol) for protocol in range(6)},
    "gzip.pkl": lambda model, path: path.write_bytes(gzip.compress(pickle.dumps(model))),
    "raw.joblib": _joblib(0),
    **{f"raw-p{protocol}.joblib": _joblib(0, protocol) for protocol in (2, 3, 5)},
    **{f"{name}.joblib": _joblib((name, 3)) for name in ("zlib", "gzip", "bz2", "lzma", "xz", "lz4")},
    "stored.skops": _skops(),
    "deflated.skops": _skops(compression=8),
}


def write_all(folder: Path, models: dict[str, Any], formats: list[str] | None = None) -> list[Path]:
    """Each model in each format; what a format cannot express is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, model in models.items():
        for ending in formats or FORMATS:
            path = folder / f"{name}.{ending}"
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    FORMATS[ending](model, path)
            except Exception:
                if not ending.endswith("skops"):
                    raise
                path.unlink(missing_ok=True)
                continue
            paths.append(path)
    return paths


if __name__ == "__main__":
    written = write_all(Path(sys.argv[1]), all_models())
    print(len(written), "files")
