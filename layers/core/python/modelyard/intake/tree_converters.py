"""Converters for trees, forests and histogram boosting that take the same branch as scikit-learn for every
double.

skl2onnx's own converters compare in float32 or divide leaf weights before they are summed, and then flip on
values at a threshold and on exact ties. These feed doubles, round to float32 only where scikit-learn itself
does, and sum the leaves in scikit-learn's order before dividing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from modelyard.intake.ensembles import Layout, NotExpressible, add_histogram_tree, add_tree
from modelyard.intake.nodes import Converter, Graph, labels_of, options_of, or_else

_ML = "ai.onnx.ml"


@cache
def register_converters() -> None:
    """Put these in place of skl2onnx's; models they cannot express still go to the ones that were there."""
    import sklearn.ensemble as ensemble
    import sklearn.tree as tree
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import _converter_pool, register_converter

    ours: dict[type, Converter] = {
        tree.DecisionTreeClassifier: _classifier,
        tree.ExtraTreeClassifier: _classifier,
        ensemble.RandomForestClassifier: _classifier,
        ensemble.ExtraTreesClassifier: _classifier,
        tree.DecisionTreeRegressor: _regressor,
        tree.ExtraTreeRegressor: _regressor,
        ensemble.RandomForestRegressor: _regressor,
        ensemble.ExtraTreesRegressor: _regressor,
        ensemble.HistGradientBoostingClassifier: _histogram_classifier,
        ensemble.HistGradientBoostingRegressor: _histogram_regressor,
        ensemble.IsolationForest: _isolation_forest,
    }
    for model, converter in ours.items():
        alias = sklearn_operator_name_map[model]
        theirs = _converter_pool[alias]
        register_converter(
            alias, or_else(converter, theirs), overwrite=True, options=theirs.get_allowed_options()
        )


# --- converters


def _classifier(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    if model.n_outputs_ != 1:
        raise NotExpressible("several outputs")
    _no_options(model, container, "raw_scores", "decision_path", "decision_leaf")
    labels = labels_of(model, container)
    layout = Layout()
    trees = _trees(model)
    for tree in trees:
        add_tree(layout, tree, tree.value[:, 0, :])
    binary = len(model.classes_) == 2
    if len(model.classes_) < 2:
        raise NotExpressible("a single class")
    if binary:
        # With two classes the runtime compares against a half instead of taking the larger sum, which is
        # another thing on ties and for sums that are not divided yet; a third class that never wins prevents
        # that.
        labels = {key: [*known, known[0]] for key, known in labels.items()}
    graph = Graph(scope, operator, container)
    sums = graph.name("sums")
    graph.add(
        "TreeEnsembleClassifier",
        [graph.rounded_input()],
        [operator.outputs[0].full_name, sums],
        op_domain=_ML,
        op_version=3,
        **labels,
        **layout.attributes("class"),
    )
    if binary:
        sums = graph.gather(sums, [0, 1])
    graph.divide(sums, len(trees), operator.outputs[1])


def _regressor(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    _no_options(model, container, "decision_path", "decision_leaf")
    layout = Layout()
    trees = _trees(model)
    for tree in trees:
        add_tree(layout, tree, tree.value[:, :, 0])
    graph = Graph(scope, operator, container)
    sums = graph.regress(graph.rounded_input(), layout, trees[0].value.shape[1])
    graph.divide(sums, len(trees), operator.outputs[0])


def _histogram(model: Any, graph: Graph) -> str:
    """Raw predictions in doubles, shape (rows, trees per iteration)."""
    layout = Layout()
    for iteration in model._predictors:
        for target, predictor in enumerate(iteration):
            add_histogram_tree(layout, predictor.nodes, target)
    width = int(model.n_trees_per_iteration_)
    sums = graph.cast(graph.regress(graph.input(), layout, width))
    return graph.binary("Add", sums, np.asarray(model._baseline_prediction, dtype=np.float64).reshape(1, -1))


def _expressible(model: Any) -> None:
    if getattr(model, "_preprocessor", None) is not None or not model._predictors:
        raise NotExpressible("categorical features")
    for iteration in model._predictors:
        for predictor in iteration:
            nodes = predictor.nodes
            if bool((nodes["is_categorical"].astype(bool) & ~nodes["is_leaf"].astype(bool)).any()):
                raise NotExpressible("categorical features")


def _histogram_classifier(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    _expressible(model)
    _no_options(model, container, "raw_scores")
    labels = labels_of(model, container)
    graph = Graph(scope, operator, container)
    raw = _histogram(model, graph)
    if model.n_trees_per_iteration_ == 1:
        positive = graph.unary("Sigmoid", raw)
        negative = graph.binary("Sub", np.ones((1, 1)), positive)
        probabilities = graph.name("probabilities")
        graph.add("Concat", [negative, positive], [probabilities], op_version=13, axis=1)
    else:
        probabilities = graph.name("probabilities")
        graph.add("Softmax", [raw], [probabilities], op_version=13, axis=1)
    graph.label(probabilities, labels, operator.outputs[0])
    graph.finish(probabilities, operator.outputs[1])


def _histogram_regressor(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    _expressible(model)
    _no_options(model, container, "raw_scores")
    link = type(model._loss.link).__name__
    if link not in ("IdentityLink", "LogLink"):
        raise NotExpressible("an unusual link function")
    graph = Graph(scope, operator, container)
    raw = _histogram(model, graph)
    graph.finish(graph.unary("Exp", raw) if link == "LogLink" else raw, operator.outputs[0])


def _isolation_forest(scope: Any, operator: Any, container: Any) -> None:
    from sklearn.ensemble._iforest import _average_path_length

    model = operator.raw_operator
    scored = container.get_options(model, {"score_samples": False})["score_samples"]
    layout = Layout()
    per_tree = zip(
        model.estimators_,
        model.estimators_features_,
        model._decision_path_lengths,
        model._average_path_length_per_tree,
        strict=True,
    )
    for tree, features, depths, lengths in per_tree:
        values = (depths + lengths - 1.0).reshape(-1, 1).astype(np.float64)
        add_tree(layout, tree.tree_, values, features)
    longest = len(model.estimators_) * float(_average_path_length([model._max_samples])[0])
    if longest == 0:
        raise NotExpressible("trees of a single sample")
    graph = Graph(scope, operator, container)
    depths = graph.cast(graph.regress(graph.rounded_input(), layout, 1))
    exponent = graph.binary("Div", graph.unary("Neg", depths), np.array([[longest]]))
    scores = graph.unary("Neg", graph.binary("Pow", np.array([[2.0]]), exponent))
    decision = graph.binary("Sub", scores, np.array([[float(model.offset_)]]))
    below = graph.name("below")
    graph.add("Less", [decision, graph.constant(np.zeros((1, 1)))], [below], op_version=13)
    outlier, inlier = (graph.constant(np.array([[v]], dtype=np.int64)) for v in (-1, 1))
    graph.add("Where", [below, outlier, inlier], [operator.outputs[0].full_name], op_version=16)
    graph.finish(decision, operator.outputs[1])
    if scored:
        graph.finish(scores, operator.outputs[2])


# --- parts


def _trees(model: Any) -> list[Any]:
    if hasattr(model, "tree_"):
        return [model.tree_]
    return [estimator.tree_ for estimator in model.estimators_]


def _no_options(model: Any, container: Any, *names: str) -> None:
    found = options_of(container, model, **dict.fromkeys(names, False))
    if any(found.get(name) for name in names):
        raise NotExpressible("an option that only the converter's own form has")
