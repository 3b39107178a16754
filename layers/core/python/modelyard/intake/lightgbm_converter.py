"""LightGBM's scikit-learn estimators in doubles: thresholds as trained, missing values where the booster
sends them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from modelyard.intake.ensembles import Layout, NotExpressible
from modelyard.intake.nodes import Graph, labels_of, options_of

_IDENTITY = {"regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg"}
_ZERO = float(np.float32(1e-35))
_EXPONENTIAL = {"poisson", "gamma", "tweedie"}


def classifier(scope: Any, operator: Any, container: Any) -> None:
    """A label and probabilities; binary, multiclass (softmax or one against all)."""
    model = operator.raw_operator
    if options_of(container, model, raw_scores=False).get("raw_scores"):
        raise NotExpressible("raw scores")
    dump = model.booster_.dump_model()
    objective, parameters = _objective(dump)
    if objective not in ("binary", "multiclass", "multiclassova"):
        raise NotExpressible("another objective")
    layout, labels = _layout(dump), labels_of(model, container)
    graph = Graph(scope, operator, container)
    raw = _raw(graph, layout, dump)
    if objective == "multiclass":
        probabilities = graph.name("probabilities")
        graph.add("Softmax", [raw], [probabilities], op_version=13, axis=1)
    else:
        slope = np.array([[float(parameters.get("sigmoid", 1.0))]])
        probabilities = graph.unary("Sigmoid", graph.binary("Mul", raw, slope))
        if objective == "binary":
            negative = graph.binary("Sub", np.ones((1, 1)), probabilities)
            probabilities = graph.concat([negative, probabilities])
    graph.label(probabilities, labels, operator.outputs[0])
    graph.finish(probabilities, operator.outputs[1])


def regressor(scope: Any, operator: Any, container: Any) -> None:
    """Raw sums, or their exponential where the objective has a logarithmic link."""
    dump = operator.raw_operator.booster_.dump_model()
    objective, parameters = _objective(dump)
    if objective not in _IDENTITY | _EXPONENTIAL or "sqrt" in parameters:
        raise NotExpressible("another objective")
    layout = _layout(dump)
    graph = Graph(scope, operator, container)
    raw = _raw(graph, layout, dump)
    graph.finish(graph.unary("Exp", raw) if objective in _EXPONENTIAL else raw, operator.outputs[0])


def _objective(dump: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """The name, and its parameters as the booster writes them: `binary sigmoid:1`."""
    words = str(dump.get("objective", "")).split()
    if not words:
        raise NotExpressible("an objective of its own")
    return words[0], {key: value for key, _, value in (word.partition(":") for word in words[1:])}


def _raw(graph: Graph, layout: Layout, dump: dict[str, Any]) -> str:
    width = int(dump["num_tree_per_iteration"])
    sums = graph.cast(graph.regress(graph.input(), layout, width))
    if not dump.get("average_output"):
        return sums
    return graph.binary("Div", sums, np.array([[float(layout.trees // width)]]))


def _layout(dump: dict[str, Any]) -> Layout:
    layout = Layout()
    width = int(dump["num_tree_per_iteration"])
    for number, tree in enumerate(dump["tree_info"]):
        _add(layout, tree["tree_structure"], number % width)
    if not layout.trees:
        raise NotExpressible("no trees")
    return layout


def _add(layout: Layout, root: dict[str, Any], target: int) -> None:
    """One tree; nodes are numbered in the order in which they are met, without recursion."""
    nodes: list[dict[str, Any]] = [root]
    left, right, feature, threshold, missing, value = [], [], [], [], [], []
    for node in nodes:  # grows while it is read
        leaf = "split_feature" not in node
        if "leaf_coeff" in node:
            raise NotExpressible("linear trees")
        value.append(float(node["leaf_value"]) if leaf else 0.0)
        feature.append(0 if leaf else int(node["split_feature"]))
        threshold.append(0.0 if leaf else _threshold(node))
        missing.append(False if leaf else _missing_left(node))
        left.append(-1 if leaf else len(nodes))
        right.append(-1 if leaf else len(nodes) + 1)
        if not leaf:
            nodes += [node["left_child"], node["right_child"]]
    layout.add(
        left=np.array(left),
        right=np.array(right),
        feature=np.array(feature),
        threshold=np.array(threshold),
        missing_left=np.array(missing),
        leaf=np.array(left) < 0,
        values=np.array(value).reshape(-1, 1),
        target=target,
    )


def _threshold(node: dict[str, Any]) -> float:
    if node["decision_type"] != "<=":
        raise NotExpressible("a split over a set of categories")
    threshold = float(node["threshold"])
    # The booster reads values as small as this as zero, which is then greater.
    return float(np.nextafter(threshold, -np.inf)) if threshold == -_ZERO else threshold


def _missing_left(node: dict[str, Any]) -> bool:
    """Where NaN goes. A booster that met none in training reads NaN as zero."""
    if node["missing_type"] == "NaN":
        return bool(node["default_left"])
    if node["missing_type"] == "None":
        return float(node["threshold"]) >= 0.0
    raise NotExpressible("zeros that count as missing")
