"""Operators whose attributes the runtime believes: tree ensembles, linear models and support vector
machines.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from typing import NoReturn

from modelyard.intake.onnx_tensors import Attributes
from modelyard.intake.verdict import Refused

FEATURES = 1 << 24


def refuse(what: str) -> NoReturn:
    raise Refused(
        "operator_data", f"{what}; export the model again with an unmodified converter", format="onnx"
    )


def _ensemble(attributes: Attributes, outputs: str) -> None:
    trees = attributes.integers("nodes_treeids")
    nodes = attributes.integers("nodes_nodeids")
    features = attributes.integers("nodes_featureids")
    yes = attributes.integers("nodes_truenodeids")
    no = attributes.integers("nodes_falsenodeids")
    leaf = attributes.leaves("nodes_modes")
    values = attributes.floats("nodes_values") + attributes.elements("nodes_values_as_tensor")
    count = len(nodes)
    if not count or {len(trees), len(features), len(yes), len(no), len(leaf), values} != {count}:
        refuse("a tree ensemble's lists of nodes differ in length or are empty")
    for optional in ("nodes_missing_value_tracks_true",):
        if attributes.has(optional) and len(attributes.integers(optional)) not in (0, count):
            refuse("a tree ensemble's lists of nodes differ in length")
    hits = attributes.floats("nodes_hitrates") + attributes.elements("nodes_hitrates_as_tensor")
    if hits not in (0, count):
        refuse("a tree ensemble's lists of nodes differ in length")
    if min(features) < 0 or max(features) >= FEATURES:
        refuse("a tree ensemble reads a feature out of range")
    _leaf_lists(attributes, outputs, _follow(trees, nodes, yes, no, leaf), leaf)


Places = dict[int, tuple[int, Mapping[int, int] | range]]
"""Per tree: where its nodes begin, and which place behind that each node id has."""


def _follow(trees: array[int], nodes: array[int], yes: array[int], no: array[int], leaf: bytearray) -> Places:
    """Every tree is one tree: children exist, have one parent each, and all nodes hang below the first."""
    places: Places = {}
    start = 0
    while start < len(trees):
        tree, end = trees[start], start + 1
        while end < len(trees) and trees[end] == tree:
            end += 1
        if tree in places:
            refuse("a tree ensemble's nodes are not written tree by tree")
        places[tree] = (start, _one_tree(nodes[start:end], yes[start:end], no[start:end], leaf[start:end]))
        start = end
    return places


def _one_tree(
    nodes: array[int], yes: array[int], no: array[int], leaf: bytearray
) -> Mapping[int, int] | range:
    count = len(nodes)
    numbered = nodes == array("q", range(count))
    place: Mapping[int, int] | range = (
        range(count) if numbered else {item: at for at, item in enumerate(nodes)}
    )
    if len(place) != count:
        refuse("a tree ensemble has one node twice")
    children = bytearray(count)
    reached, waiting = 0, [0]
    while waiting:
        at = waiting.pop()
        reached += 1
        if leaf[at]:
            continue
        for child in (yes[at], no[at]):
            if child not in place:
                refuse("a tree ensemble points to a node that is missing")
            target = place[child]
            if not target or children[target]:
                refuse("a tree ensemble runs in a circle or points to one node from two places")
            children[target] = 1
            waiting.append(target)
    if reached != count:
        refuse("a tree ensemble has nodes that no path reaches")
    return place


def _leaf_lists(attributes: Attributes, outputs: str, places: Places, leaf: bytearray) -> None:
    trees = attributes.integers(f"{outputs}_treeids")
    nodes = attributes.integers(f"{outputs}_nodeids")
    ids = attributes.integers(f"{outputs}_ids")
    weights = attributes.floats(f"{outputs}_weights") + attributes.elements(f"{outputs}_weights_as_tensor")
    if not ids or {len(trees), len(nodes), weights} != {len(ids)}:
        refuse("a tree ensemble's lists of leaves differ in length or are empty")
    for tree, node in zip(trees, nodes, strict=True):
        start, place = places.get(tree, (0, range(0)))
        if node not in place or not leaf[start + place[node]]:
            refuse("a tree ensemble gives a value to a node that is no leaf")
    if outputs == "class":
        limit = max(
            len(attributes.integers("classlabels_int64s")), len(attributes.texts("classlabels_strings"))
        )
    else:
        limit = attributes.integer("n_targets", 1)
    if min(ids) < 0 or max(ids) >= max(limit, 1):
        refuse("a tree ensemble gives a value to a class or target out of range")
    base = attributes.floats("base_values") + attributes.elements("base_values_as_tensor")
    if base not in (0, 1, limit):
        refuse("a tree ensemble has more or fewer base values than outputs")


def _classifier(attributes: Attributes) -> None:
    _ensemble(attributes, "class")


def _regressor(attributes: Attributes) -> None:
    _ensemble(attributes, "target")


def _linear_classifier(attributes: Attributes) -> None:
    coefficients, intercepts = attributes.floats("coefficients"), attributes.floats("intercepts")
    if not coefficients or (intercepts and coefficients % intercepts):
        refuse("a linear classifier's coefficients do not fit its intercepts")


def _linear_regressor(attributes: Attributes) -> None:
    coefficients, targets = attributes.floats("coefficients"), attributes.integer("targets", 1)
    intercepts = attributes.floats("intercepts")
    if targets < 1 or not coefficients or coefficients % targets or intercepts not in (0, 1, targets):
        refuse("a linear regressor's coefficients do not fit its targets")


def _svm_classifier(attributes: Attributes) -> None:
    per_class = attributes.integers("vectors_per_class")
    vectors, coefficients = attributes.floats("support_vectors"), attributes.floats("coefficients")
    classes = max(len(attributes.integers("classlabels_ints")), len(attributes.texts("classlabels_strings")))
    if not per_class:  # a linear machine: one row of coefficients per class
        if not coefficients or (classes and coefficients % classes):
            refuse("a support vector classifier's coefficients do not fit its classes")
        return
    supports = sum(per_class)
    pairs = classes * (classes - 1) // 2
    if min(per_class) < 0 or not supports or vectors % supports or len(per_class) != classes:
        refuse("a support vector classifier's vectors do not fit its classes")
    if coefficients != supports * (classes - 1) or attributes.floats("rho") != pairs:
        refuse("a support vector classifier's coefficients do not fit its vectors")
    if {attributes.floats("prob_a"), attributes.floats("prob_b")} not in ({0}, {pairs}):
        refuse("a support vector classifier's probabilities do not fit its classes")


def _svm_regressor(attributes: Attributes) -> None:
    supports = attributes.integer("n_supports")
    vectors, coefficients = attributes.floats("support_vectors"), attributes.floats("coefficients")
    if supports < 0 or attributes.floats("rho") != 1:
        refuse("a support vector regressor has no proper offset")
    if supports and (not vectors or vectors % supports or coefficients != supports):
        refuse("a support vector regressor's coefficients do not fit its vectors")


def _scaler(attributes: Attributes) -> None:
    offset, scale = attributes.floats("offset"), attributes.floats("scale")
    if offset and scale and offset != scale and 1 not in (offset, scale):
        refuse("a scaler has more offsets than scales")


OPERATOR_CHECKS: dict[tuple[str, str], Callable[[Attributes], None]] = {
    ("ai.onnx.ml", "TreeEnsembleClassifier"): _classifier,
    ("ai.onnx.ml", "TreeEnsembleRegressor"): _regressor,
    ("ai.onnx.ml", "LinearClassifier"): _linear_classifier,
    ("ai.onnx.ml", "LinearRegressor"): _linear_regressor,
    ("ai.onnx.ml", "SVMClassifier"): _svm_classifier,
    ("ai.onnx.ml", "SVMRegressor"): _svm_regressor,
    ("ai.onnx.ml", "Scaler"): _scaler,
}
