"""The globals of LightGBM's and XGBoost's scikit-learn estimators, measured on LightGBM 3.3–4.7 and XGBoost
1.7–3.2.

Their boosters keep the model as one text (LightGBM) or one byte string (XGBoost) that a C++ parser reads
back; the
gate bounds its length and form, and only the sandbox ever parses it.
"""

from __future__ import annotations

CALL = {
    "collections": frozenset({"OrderedDict", "defaultdict"}),
    "builtins": frozenset({"bytearray"}),
    "__builtin__": frozenset({"bytearray"}),
}
NEW = {
    "lightgbm.basic": frozenset({"Booster"}),
    "lightgbm.sklearn": frozenset({"LGBMClassifier", "LGBMRanker", "LGBMRegressor"}),
    "lightgbm.compat": frozenset({"_LGBMLabelEncoder"}),
    "xgboost.core": frozenset({"Booster"}),
    "xgboost.sklearn": frozenset(
        {"XGBClassifier", "XGBRanker", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor"}
    ),
}
VALUE = {"collections": frozenset({"OrderedDict"})}
