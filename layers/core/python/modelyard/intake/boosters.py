"""What LightGBM and XGBoost estimators show about their columns."""

from __future__ import annotations

import json
import sys
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

from modelyard.intake.fact import Fact, finite, span, thin
from modelyard.intake.verdict import Refused

_CLASSIFIER_OPTIONS: dict[str, Any] = {"nocl": [True, False], "zipmap": [True, False, "columns"]}


def lightgbm_facts(estimator: Any, facts: list[Fact]) -> None:
    """Ranges and categories from `feature_infos`; pandas categories in the order of the categorical
    columns.
    """
    booster = estimator.booster_
    dump = booster.dump_model(num_iteration=1)  # of a large model the whole takes ten seconds and more
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
            facts[index].span = span((info["min_value"], info["max_value"]))
    for index, points in _lightgbm_thresholds(booster.model_to_string()).items():
        facts[index].points = thin(finite(points))


def _lightgbm_thresholds(text: str) -> dict[int, list[float]]:
    """Numbers at which each feature is split, from the lines of the model's text."""
    found: dict[int, list[float]] = {}
    features: list[str] = []
    thresholds: list[str] = []
    for line in text.split("\n"):
        name, _, values = line.partition("=")
        if name == "split_feature":
            features = values.split()
        elif name == "threshold":
            thresholds = values.split()
        elif name == "decision_type":
            for feature, threshold, kind in zip(features, thresholds, values.split(), strict=True):
                if not int(kind) & 1:  # the lowest bit: a set of categories
                    found.setdefault(int(feature), []).append(float(threshold))
    return found


def xgboost_facts(estimator: Any, facts: list[Fact]) -> None:
    """Thresholds from the trees; categories where the booster keeps them."""
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
            facts[index].points = thin(finite(points))
            facts[index].span = span(points)
    encodings = model["learner"]["gradient_booster"].get("model", {}).get("cats", {}).get("enc", [])
    for fact, encoding in zip(facts, encodings, strict=False):
        labels = _categories(encoding)
        if labels:
            fact.kind, fact.dtype = "string" if isinstance(labels[0], str) else "number", "category"
            fact.categories = labels


def _categories(encoding: dict[str, Any]) -> list[Any]:
    """Strings lie end to end as UTF-8 bytes; numbers lie as they are.

    The offsets of strings count characters where they were taken from pandas, and bytes elsewhere.
    """
    values, offsets = encoding.get("values") or [], encoding.get("offsets")
    if not offsets:
        return list(values)
    raw = bytes(value % 256 for value in values)
    text = raw.decode("utf-8", "replace")
    if len(text) < offsets[-1]:
        raise Refused(
            "categories",
            "the file holds categories beyond ASCII letters, which this version of XGBoost itself cuts short "
            "when it saves; train with categories in plain letters, or with numbers that stand for them.",
        )
    if offsets[-1] == len(text):
        return [text[start:end] for start, end in pairwise(offsets)]
    return [raw[start:end].decode("utf-8", "replace") for start, end in pairwise(offsets)]


def register_converters() -> None:
    """Teach the converter the scikit-learn faces of LightGBM and XGBoost, as soon as an estimator has brought
    them along: importing them takes a second, which other models need not wait.
    """
    if "lightgbm" in sys.modules:
        _register_lightgbm()
    if "xgboost" in sys.modules and find_spec("onnxmltools") is not None:
        _register_xgboost()


@cache
def _register_lightgbm() -> None:
    """Our own converter first; that of onnxmltools, where it is installed, for what ours cannot express."""
    from lightgbm import LGBMClassifier, LGBMRanker, LGBMRegressor
    from skl2onnx import update_registered_converter
    from skl2onnx.common import shape_calculator

    from modelyard.intake import lightgbm_converter
    from modelyard.intake.nodes import or_else

    theirs: Any = _no_other
    if find_spec("onnxmltools") is not None:
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

        theirs = convert_lightgbm

    update_registered_converter(
        LGBMClassifier,
        "ModelyardLGBMClassifier",
        shape_calculator.calculate_linear_classifier_output_shapes,
        or_else(lightgbm_converter.classifier, theirs),
        options={**_CLASSIFIER_OPTIONS, "raw_scores": [True, False]},
    )
    for model in (LGBMRegressor, LGBMRanker):
        update_registered_converter(
            model,
            f"Modelyard{model.__name__}",
            shape_calculator.calculate_linear_regressor_output_shapes,
            or_else(lightgbm_converter.regressor, theirs),
            options={"split": None},
        )


@cache
def _register_xgboost() -> None:
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from skl2onnx import update_registered_converter
    from skl2onnx.common import shape_calculator
    from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier, XGBRFRegressor

    for model in (XGBClassifier, XGBRFClassifier):
        update_registered_converter(
            model,
            f"XGBoost{model.__name__}",
            shape_calculator.calculate_linear_classifier_output_shapes,
            convert_xgboost,
            options=_CLASSIFIER_OPTIONS,
        )
    for model in (XGBRegressor, XGBRFRegressor):
        update_registered_converter(
            model,
            f"XGBoost{model.__name__}",
            shape_calculator.calculate_linear_regressor_output_shapes,
            convert_xgboost,
        )


def _no_other(scope: Any, operator: Any, container: Any) -> None:
    raise NotImplementedError("no converter for this form of LightGBM model")
