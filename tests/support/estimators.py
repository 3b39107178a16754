"""Estimators that people upload, trained small, and files that nobody should."""

from __future__ import annotations

import io
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd


def dumped(estimator: Any) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    return buffer.getvalue()


@cache
def iris() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_iris

    data = load_iris()
    return data.data, data.target_names[data.target]


@cache
def forest() -> Any:
    """A RandomForestClassifier with string labels on the iris data."""
    from sklearn.ensemble import RandomForestClassifier

    x, y = iris()
    return RandomForestClassifier(n_estimators=100, random_state=3).fit(x, y)


@cache
def people() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    rows = 400
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, rows).astype(float),
            "income": rng.normal(40_000, 12_000, rows).round(2),
            "city": rng.choice(["Bern", "Genève", "Zürich"], rows),
            "plan": rng.choice(["free", "team", "pro"], rows),
        }
    )


@cache
def pipeline() -> Any:
    """Numbers scaled, strings one-hot, trained on a DataFrame."""
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = people()
    target = ((frame.age > 45) ^ (frame.plan == "pro")).map({True: "stay", False: "leave"})
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["age", "income"]),
            ("strings", OneHotEncoder(handle_unknown="ignore"), ["city", "plan"]),
        ]
    )
    return Pipeline([("columns", columns), ("model", LogisticRegression(max_iter=500))]).fit(frame, target)


def command_pickle(marker: Path) -> bytes:
    """A pickle that creates `marker` where it is opened."""

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            import os

            return os.system, (f"touch {marker}",)

    return pickle.dumps(Payload())


def command_joblib(marker: Path) -> bytes:
    """A joblib file of a real estimator with a command hidden in one of its attributes."""
    from sklearn.linear_model import LogisticRegression

    x, y = iris()
    estimator = LogisticRegression(max_iter=500).fit(x, y)

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return eval, (f"__import__('pathlib').Path({str(marker)!r}).touch()",)

    estimator.note_ = Payload()
    return dumped(estimator)


@cache
def flats() -> pd.DataFrame:
    """Floats of which some are missing, integers, and strings of which some are missing."""
    rng = np.random.default_rng(11)
    rows = 300
    size = rng.normal(70, 20, rows).round(1)
    size[rng.random(rows) < 0.1] = np.nan
    city = rng.choice(["Bern", "Genève", "Zürich"], rows).astype(object)
    city[rng.random(rows) < 0.1] = None
    return pd.DataFrame({"size": size, "rooms": rng.integers(1, 6, rows), "city": city})


@cache
def flat_model() -> Any:
    """What a flat costs: missing sizes are imputed, a missing city is a category of its own."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder

    frame = flats()
    rng = np.random.default_rng(12)
    extra = frame.city.map({"Bern": 300.0, "Genève": 700.0, "Zürich": 900.0}).fillna(0.0)
    rent = 20 * frame["size"].fillna(60.0) + 100 * frame.rooms + extra + rng.normal(0, 5, len(frame))
    columns = ColumnTransformer(
        [
            ("numbers", SimpleImputer(), ["size", "rooms"]),
            ("strings", OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ]
    )
    return Pipeline([("columns", columns), ("model", LinearRegression())]).fit(frame, rent)
