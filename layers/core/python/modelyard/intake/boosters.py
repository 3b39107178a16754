"""What LightGBM and XGBoost estimators show about their columns."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelyard.intake.facts import Fact


def lightgbm_facts(estimator: Any, facts: list[Fact]) -> None:
    """Ranges and categories from `feature_infos`; pandas categories in the order of the categorical columns."""
    from modelyard.intake.facts import _finite, _span, _thin

    booster = estimator.booster_
    dump = booster.dump_model()
    names = dump["feature_names"]
    labels = iter(booster.pandas_categorical or [])
    for index, name in enumerate(names[: len(facts)]):
        info = dump["feature_infos"].get(name, {})
        if info.get("values"):
            known = next(labels, None)
            if known is not None:
                strings = all(isinstance(value, str) for value in known)
                facts[index].kind, facts[index].dtype = "string" if strings else "number", "category"
                facts[index].categories = list(known)
        elif info:
            facts[index].low, facts[index].high = float(info["min_value"]), float(info["max_value"])
            facts[index].span = _span((info["min_value"], info["max_value"]))
    found: dict[int, list[float]] = {}
    stack = [tree["tree_structure"] for tree in dump["tree_info"]]
    while stack:
        node = stack.pop()
        if "split_feature" in node:
            if node["decision_type"] == "<=":
                found.setdefault(node["split_feature"], []).append(float(node["threshold"]))
            stack += [node["left_child"], node["right_child"]]
    for index, points in found.items():
        facts[index].points = _thin(_finite(points))


def xgboost_facts(estimator: Any, facts: list[Fact]) -> None:
    """Thresholds from the trees; categories where the booster keeps them."""
    from modelyard.intake.facts import _finite, _span, _thin

    booster = estimator.get_booster()
    model = json.loads(booster.save_raw("json"))
    trees = model["learner"]["gradient_booster"].get("model", {}).get("trees", [])
    found: dict[int, list[float]] = {}
    for tree in trees:
        splits = zip(tree["split_indices"], tree["split_conditions"], tree["left_children"], strict=True)
        for feature, threshold, left in splits:
            if left >= 0:
                found.setdefault(feature, []).append(float(threshold))
    for index, points in found.items():
        if index < len(facts):
            facts[index].points = _thin(_finite(points))
            facts[index].span = _span(points)
    if "c" in (booster.feature_types or []) and hasattr(booster, "get_categories"):
        known = booster.get_categories(export_to_arrow=True).to_arrow()
        for index, (_, values) in enumerate(known):
            if values is not None and index < len(facts):
                labels = values.to_pylist()
                strings = all(isinstance(value, str) for value in labels)
                facts[index].kind, facts[index].dtype = "string" if strings else "number", "category"
                facts[index].categories = labels


@cache
def register_converters() -> None:
    """Converters of onnxmltools for the scikit-learn faces of LightGBM and XGBoost."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common import shape_calculator

    classes = shape_calculator.calculate_linear_classifier_output_shapes
    numbers = shape_calculator.calculate_linear_regressor_output_shapes
    classifier_options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    if find_spec("onnxmltools") is None:
        return
    if find_spec("lightgbm") is not None:
        from lightgbm import LGBMClassifier, LGBMRegressor
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

        update_registered_converter(
            LGBMClassifier, "LightGbmLGBMClassifier", classes, convert_lightgbm, options=classifier_options
        )
        update_registered_converter(
            LGBMRegressor, "LightGbmLGBMRegressor", numbers, convert_lightgbm, options={"split": None}
        )
    if find_spec("xgboost") is not None:
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
        from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier, XGBRFRegressor

        for model in (XGBClassifier, XGBRFClassifier):
            update_registered_converter(
                model, f"XGBoost{model.__name__}", classes, convert_xgboost, options=classifier_options
            )
        for model in (XGBRegressor, XGBRFRegressor):
            update_registered_converter(model, f"XGBoost{model.__name__}", numbers, convert_xgboost)
