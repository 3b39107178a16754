"""scikit-learn's trees, forests and boosted trees as sums of `trees.Tree`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from modelyard.intake.explanation.sums import Additive, Check, NotExplainable, dense, labels_of, same
from modelyard.intake.explanation.trees import Forest, NoShares, TooDeep, Tree
from modelyard.serving.explanation_terms import KINDS

_CATEGORIES = 256  # what the bit sets of histogram trees have room for


def of_trees(estimator: Any) -> Additive:
    """A tree or an average of trees: probabilities of classes, or the predicted numbers."""
    members = getattr(estimator, "estimators_", [estimator])
    classifies = hasattr(estimator, "classes_")
    if classifies and isinstance(estimator.n_classes_, list | np.ndarray):
        raise NotExplainable(f"A classifier of several outputs cannot be explained: {KINDS}")
    trees = [_sklearn_tree(member.tree_, 1 / len(members), classifies=classifies) for member in members]
    forest = Forest(trees, int(estimator.n_features_in_))
    output = "predict_proba" if classifies else "predict"

    def own(x: Any) -> np.ndarray:
        found = np.asarray(getattr(estimator, output)(x), dtype=np.float64)
        return found.reshape(len(found), -1)

    return Additive(
        of=output,
        base=np.zeros(forest.outputs),
        parts=lambda x, check: _contributions(forest, _float32(x), check),
        own=own,
        features=int(estimator.n_features_in_),
        classes=labels_of(estimator),
    )


def of_gradient_boosting(estimator: Any) -> Additive:
    classifies = hasattr(estimator, "classes_")
    if not isinstance(estimator.init_, str) and type(estimator.init_).__module__ != "sklearn.dummy":
        raise NotExplainable("Gradient boosting that starts from another model's predictions is no sum.")
    trees = [
        [_sklearn_tree(member.tree_, estimator.learning_rate, classifies=False) for member in column]
        for column in np.atleast_2d(estimator.estimators_).T
    ]
    width = int(estimator.n_features_in_)
    start = np.asarray(estimator._raw_predict_init(np.zeros((1, width), dtype=np.float32)))
    output = "decision_function" if classifies else "predict"

    def own(x: Any) -> np.ndarray:
        found = np.asarray(getattr(estimator, output)(x), dtype=np.float64)
        return found.reshape(len(found), -1)

    return _boosted(
        estimator, trees, start[0], of=output, own=own, width=width, read=_float32, classifies=classifies
    )


def of_histograms(estimator: Any) -> Additive:
    """`HistGradientBoosting*` before the link's inverse, with categories and missing values."""
    classifies = hasattr(estimator, "classes_")
    width = int(estimator.n_features_in_)
    known, places = estimator._bin_mapper.make_known_categories_bitsets()
    seen = [_bits(row) for row in known]
    trees: list[list[Tree]] = [[] for _ in range(estimator.n_trees_per_iteration_)]
    for iteration in estimator._predictors:
        for output, predictor in enumerate(iteration):
            trees[output].append(_histogram_tree(predictor, seen, places))
    link = estimator._loss.link
    identity = type(link).__name__ == "IdentityLink"
    of = "decision_function" if classifies else "predict" if identity else "link"

    def own(x: Any) -> np.ndarray:
        found = np.asarray((estimator.decision_function if classifies else estimator.predict)(x), np.float64)
        return found.reshape(len(found), -1)

    order = _original_order(estimator)
    return _boosted(
        estimator,
        trees,
        np.ravel(estimator._baseline_prediction),
        of=of,
        own=own,
        width=width,
        read=lambda x: np.asarray(estimator._preprocess_X(x, reset=False), dtype=np.float64),
        classifies=classifies,
        order=order,
        shown=None if classifies or identity else link.inverse,
    )


def _boosted(
    estimator: Any,
    trees: list[list[Tree]],
    start: np.ndarray,
    *,
    of: str,
    own: Callable[[Any], np.ndarray],
    width: int,
    read: Callable[[Any], np.ndarray],
    classifies: bool,
    order: np.ndarray | None = None,
    shown: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Additive:
    """One sum of trees per output. `order[i]` is where feature i of the trees stands in the input."""
    forests = [Forest(column, width) if column else None for column in trees]

    def parts(x: Any, check: Check) -> np.ndarray:
        values = read(x)
        found = np.zeros((len(values), len(forests), width + 1))
        for output, forest in enumerate(forests):
            if forest is not None:
                found[:, output, :] = _contributions(forest, values, check)[:, 0, :]
        if order is not None:
            found[:, :, order] = found[:, :, :-1].copy()
        return found

    classes = labels_of(estimator) if classifies else None
    two = classes is not None and len(forests) == 1
    return Additive(
        of=of,
        base=np.asarray(start, dtype=np.float64),
        parts=parts,
        own=own,
        features=width,
        classes=None if two else classes,
        toward=classes[1] if two and classes is not None else None,
        has_toward=two,
        shown=shown or same,
    )


def _original_order(estimator: Any) -> np.ndarray | None:
    """Histogram trees see categorical features first; each of theirs is this one of the caller's."""
    before = getattr(estimator, "_preprocessor", None)
    if before is None:
        return None
    taken = [before._transformer_to_input_indices[name] for name, _, _ in before.transformers_]
    return np.concatenate([np.asarray(indices, dtype=np.int64) for indices in taken])


def _contributions(forest: Forest, x: np.ndarray, check: Check) -> np.ndarray:
    try:
        return forest.contributions(x, check)
    except NoShares as error:
        raise NotExplainable(
            "The trees were trained with weights that leave a branch without any, so there are no shares to "
            "explain them by; train with positive sample weights."
        ) from error
    except TooDeep as error:
        raise NotExplainable("One of the trees is too deep to be explained; train with max_depth.") from error


def _float32(x: Any) -> np.ndarray:
    """As scikit-learn's trees read numbers: rounded to float32."""
    with np.errstate(over="ignore"):
        return dense(x).astype(np.float32).astype(np.float64)


def _sklearn_tree(tree: Any, scale: float, *, classifies: bool) -> Tree:
    nodes = tree.__getstate__()["nodes"]
    feature, threshold = nodes["feature"], nodes["threshold"]
    missing_left = nodes["missing_go_to_left"].astype(bool)

    def decide(at: np.ndarray, x: np.ndarray) -> np.ndarray:
        values = x[:, feature[at]].T
        left: np.ndarray = values <= threshold[at][:, None]
        missing = np.isnan(values)
        return np.where(missing, missing_left[at][:, None], left) if missing.any() else left

    value = tree.value[:, 0, :] if classifies else tree.value[:, :, 0]
    return Tree(
        nodes["left_child"],
        nodes["right_child"],
        feature,
        nodes["weighted_n_node_samples"],
        value * scale,
        decide,
    )


def _histogram_tree(predictor: Any, seen: list[np.ndarray], places: np.ndarray) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    feature = nodes["feature_idx"].astype(np.int64)
    threshold, categorical = nodes["num_threshold"], nodes["is_categorical"].astype(bool)
    missing_left = nodes["missing_go_to_left"].astype(bool)
    turning_left = [_bits(row) for row in predictor.raw_left_cat_bitsets]

    def decide(at: np.ndarray, x: np.ndarray) -> np.ndarray:
        values = x[:, feature[at]].T
        left: np.ndarray = values <= threshold[at][:, None]
        missing = np.isnan(values)
        for row in np.flatnonzero(categorical[at]):
            node = at[row]
            codes = np.where(missing[row], -1, values[row])
            inside = (codes >= 0) & (codes < _CATEGORIES)
            code = np.where(inside, codes, 0).astype(np.int64)
            left[row] = turning_left[nodes["bitset_idx"][node]][code]
            # What was not among the training's categories goes the way of missing values.
            missing[row] = ~inside | ~(left[row] | seen[places[feature[node]]][code])
        return np.where(missing, missing_left[at][:, None], left)

    return Tree(
        np.where(leaf, -1, nodes["left"].astype(np.int64)),
        np.where(leaf, -1, nodes["right"].astype(np.int64)),
        feature,
        nodes["count"].astype(np.float64),
        nodes["value"].astype(np.float64)[:, None],
        decide,
    )


def _bits(words: np.ndarray) -> np.ndarray:
    """256 truths of eight 32-bit words, lowest bit first."""
    shifts = np.arange(32, dtype=np.uint32)
    return ((np.asarray(words, dtype=np.uint32)[:, None] >> shifts) & 1).astype(bool).reshape(-1)
