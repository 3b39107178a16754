"""Estimators of LightGBM and XGBoost, trained small on the iris data."""

from __future__ import annotations

from typing import Any

from sklearn.preprocessing import LabelEncoder

from tests.support.estimators import iris


def boosted(library: str) -> Any:
    """A classifier of `lightgbm` or `xgboost` with whole numbers as labels."""
    x, names = iris()
    y = LabelEncoder().fit_transform(names)
    if library == "lightgbm":
        from lightgbm import LGBMClassifier

        return LGBMClassifier(n_estimators=20, random_state=3, n_jobs=1, verbose=-1).fit(x, y)
    from xgboost import XGBClassifier

    return XGBClassifier(n_estimators=20, random_state=3, n_jobs=1).fit(x, y)
