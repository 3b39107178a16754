"""What compiled code of scikit-learn and scipy believes without looking, class by class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from modelyard.intake.verdict import Refused

LEAF = -1
DEGREE = 64  # of a spline; scipy allocates by it


def unsound(item: Any, what: str) -> NoReturn:
    raise Refused(
        "unsound",
        f"a {type(item).__name__} in the model is inconsistent: {what}; save the model again from an"
        " unmodified fit",
    )


def check_object(item: Any) -> None:
    """Raises `Refused` if `item` is of a class with a check and fails it."""
    for cls in type(item).__mro__:
        check = CHECKS.get(cls.__name__)
        if check is not None and cls.__module__.startswith(("sklearn.", "scipy.")):
            check(item)


def _features(estimator: Any) -> int:
    count = getattr(estimator, "n_features_in_", None)
    if not isinstance(count, int | np.integer) or not 0 < count < 2**31:
        unsound(estimator, "it does not know its number of features")
    return int(count)


def _follow(item: Any, left: Any, right: Any, leaf: Any) -> int:
    """Children lie behind their parent and within the nodes, so that every walk ends; returns the depth."""
    count = len(left)
    if not count:
        unsound(item, "it has no nodes")
    inner = np.flatnonzero(~leaf)
    for children in (left, right):
        chosen = children[inner].astype(np.int64)
        if (chosen <= inner).any() or (chosen >= count).any():
            unsound(item, "a node points outside the tree or backwards")
    children = np.concatenate([left[inner], right[inner]]).astype(np.int64)
    if len(children) and np.bincount(children).max() > 1:
        unsound(item, "two nodes share what lies below them, so it is no tree")
    level, depth = np.array([0]), 0
    while True:
        level = level[~leaf[level]]
        if not len(level):
            return depth
        if depth > count:
            unsound(item, "its nodes run in a circle")
        level = np.unique(np.concatenate([left[level], right[level]]).astype(np.int64))
        depth += 1


def _tree(tree: Any) -> None:
    left, right = tree.children_left, tree.children_right
    leaf = left == LEAF
    if ((right == LEAF) != leaf).any():
        unsound(tree, "a node has one child only")
    depth = _follow(tree, left, right, leaf)
    if tree.max_depth < depth:
        unsound(tree, "it is deeper than it says")
    features = tree.feature[~leaf]
    if (features < 0).any() or (features >= tree.n_features).any():
        unsound(tree, "a node reads a feature that is not there")
    if not np.isfinite(tree.value).all():
        unsound(tree, "a node's value is not a finite number")


def _decision_tree(estimator: Any) -> None:
    tree = vars(estimator).get("tree_")
    if tree is None:
        return
    if type(tree).__module__ != "sklearn.tree._tree" or tree.n_features != _features(estimator):
        unsound(estimator, "its tree has another number of features")
    if tree.n_outputs != estimator.n_outputs_:
        unsound(estimator, "its tree has another number of outputs")
    if hasattr(estimator, "classes_"):
        counts = np.atleast_1d(estimator.n_classes_)
        if len(counts) != tree.n_outputs or not np.array_equal(counts, tree.n_classes):
            unsound(estimator, "its tree has another number of classes")


def _forest(estimator: Any) -> None:
    for tree in vars(estimator).get("estimators_", ()):
        if _features(tree) != _features(estimator):
            unsound(estimator, "one of its trees has another number of features")


def _gradient_boosting(estimator: Any) -> None:
    trees = vars(estimator).get("estimators_")
    if trees is None:
        return
    outputs = getattr(estimator, "n_trees_per_iteration_", None)
    if (
        not isinstance(trees, np.ndarray)
        or trees.ndim != 2
        or (outputs is not None and trees.shape[1] != outputs)
    ):
        unsound(estimator, "its trees are not one per output and step")
    for tree in trees.ravel().tolist():
        if (
            _features(tree) != _features(estimator)
            or tree.tree_.n_outputs != 1
            or tree.tree_.max_n_classes != 1
        ):
            unsound(estimator, "one of its trees has another number of features or outputs")


def _predictor(predictor: Any) -> None:
    """A tree of histogram gradient boosting, by itself; `_hist_gradient_boosting` knows the features."""
    nodes = predictor.nodes
    if not isinstance(nodes, np.ndarray) or nodes.ndim != 1 or nodes.dtype.names is None:
        unsound(predictor, "it has no nodes")
    leaf = nodes["is_leaf"].astype(bool)
    _follow(predictor, nodes["left"], nodes["right"], leaf)
    if not np.isfinite(nodes["value"]).all():
        unsound(predictor, "a node's value is not a finite number")
    if "is_categorical" in nodes.dtype.names:
        chosen = nodes["bitset_idx"][~leaf & nodes["is_categorical"].astype(bool)]
        for name in ("raw_left_cat_bitsets", "binned_left_cat_bitsets"):
            bits = getattr(predictor, name)
            if (
                bits.ndim != 2
                or (len(bits) and bits.shape[1] != 8)
                or (len(chosen) and chosen.max() >= len(bits))
            ):
                unsound(predictor, "a node refers to categories that are not there")


def _hist_gradient_boosting(estimator: Any) -> None:
    steps = vars(estimator).get("_predictors")
    if steps is None:
        return
    outputs, features = estimator.n_trees_per_iteration_, _features(estimator)
    categorical = vars(estimator).get("is_categorical_")
    mapper = vars(estimator).get("_bin_mapper")
    known = getattr(mapper, "is_categorical_", categorical)
    if known is not None and len(known) != features:
        unsound(estimator, "its categorical features do not fit its features")
    if np.atleast_1d(estimator._baseline_prediction).size not in (1, outputs):
        unsound(estimator, "its baseline does not fit its outputs")
    for step in steps:
        if len(step) != outputs:
            unsound(estimator, "its trees are not one per output and step")
        for predictor in step:
            _step_features(estimator, predictor.nodes, features, known)


def _step_features(estimator: Any, nodes: Any, features: int, known: Any) -> None:
    inner = nodes[~nodes["is_leaf"].astype(bool)]
    chosen = inner["feature_idx"]
    if (chosen < 0).any() or (chosen >= features).any():
        unsound(estimator, "one of its trees reads a feature that is not there")
    if "is_categorical" in nodes.dtype.names:
        named = chosen[inner["is_categorical"].astype(bool)]
        if len(named) and (known is None or not np.asarray(known, dtype=bool)[named].all()):
            unsound(estimator, "one of its trees takes a number for a category")


def _bin_mapper(mapper: Any) -> None:
    thresholds = vars(mapper).get("bin_thresholds_")
    if thresholds is None:
        return
    if any(np.ndim(item) != 1 or len(item) > 2**16 for item in thresholds):
        unsound(mapper, "its thresholds are no lists of numbers")


def _neighbour_tree(tree: Any) -> None:
    """A KD or ball tree: the samples of each node lie within the data, and inner nodes have two children."""
    data, order, nodes, bounds, leaf_size, levels, count = tree.__getstate__()[:7]
    weights = tree.__getstate__()[12]
    samples = data.shape[0]
    if order.shape != (samples,) or (order < 0).any() or (order >= samples).any():
        unsound(tree, "its order of samples leaves the data")
    if leaf_size < 1 or not 0 < levels < 48 or count != 2**levels - 1 or nodes.shape != (count,):
        unsound(tree, "its nodes do not fit its levels")
    if bounds.ndim != 3 or bounds.shape[1] < count or bounds.shape[2] != data.shape[1]:
        unsound(tree, "its bounds do not fit its nodes")
    start, end = nodes["idx_start"], nodes["idx_end"]
    if (start < 0).any() or (end < start).any() or (end > samples).any():
        unsound(tree, "a node's samples leave the data")
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    if len(inner) and 2 * inner.max() + 2 >= count:
        unsound(tree, "a node has children outside the tree")
    if weights is not None and np.shape(weights) != (samples,):
        unsound(tree, "its weights do not fit its samples")
    _distance_fits(tree, tree.__getstate__()[11], data.shape[1])


def _distance_fits(owner: Any, distance: Any, features: int) -> None:
    _, vector, matrix = distance.__getstate__()[:3]
    name = type(distance).__name__
    if name.startswith("PyFunc"):
        unsound(owner, "its distance calls a Python function")
    needs_vector = name.startswith("SEuclidean") or (name.startswith("Minkowski") and vector.shape[0] > 0)
    if name.startswith("Minkowski") and vector.shape == (1,) and features != 1:
        needs_vector = False  # the place-holder of an unweighted distance
        if not np.isfinite(vector).all():
            unsound(owner, "its distance has weights that are no numbers")
    if needs_vector and vector.shape[0] != features:
        unsound(owner, "its distance is for another number of features")
    if name.startswith("Mahalanobis") and matrix.shape != (features, features):
        unsound(owner, "its distance is for another number of features")


def _neighbours(estimator: Any) -> None:
    data = vars(estimator).get("_fit_X")
    if data is None:
        return
    samples = data.shape[0]
    if data.ndim != 2 or data.shape[1] != _features(estimator):
        unsound(estimator, "its samples have another number of features")
    tree = vars(estimator).get("_tree")
    if tree is not None and (tree.__getstate__()[0].shape != data.shape):
        unsound(estimator, "its tree holds other samples")
    answers = vars(estimator).get("_y")
    if answers is None:
        return
    if len(answers) != samples:
        unsound(estimator, "it has more or fewer answers than samples")
    classes = vars(estimator).get("classes_")
    if classes is not None:
        columns = answers.reshape(samples, -1).T
        groups = classes if isinstance(classes, list) else [classes]
        for column, group in zip(columns, groups, strict=True):
            if (column < 0).any() or (column >= len(group)).any():
                unsound(estimator, "an answer belongs to no class")


def _libsvm(estimator: Any) -> None:
    vectors = vars(estimator).get("support_vectors_")
    if vectors is None:
        return
    own, count = vars(estimator), vectors.shape[0]
    per_class = np.asarray(own.get("_n_support", own.get("n_support_")))
    coefficients = own.get("_dual_coef_", own.get("dual_coef_"))
    intercepts = np.atleast_1d(own.get("_intercept_", own.get("intercept_")))
    classes = len(own["classes_"]) if "classes_" in own else 2
    pairs = classes * (classes - 1) // 2
    kernel = own.get("kernel")
    if kernel != "precomputed" and not callable(kernel) and vectors.shape[1] != _features(estimator):
        unsound(estimator, "its support vectors have another number of features")
    if np.shape(own["support_"]) != (count,) or coefficients.shape != (classes - 1, count):
        unsound(estimator, "its coefficients do not fit its support vectors")
    total = int(per_class.sum()) if "classes_" in own else int(per_class.flat[0])
    if per_class.ndim != 1 or (per_class < 0).any() or total != count or len(per_class) != classes:
        unsound(estimator, "its support vectors do not fit its classes")
    if intercepts.shape != (pairs,):
        unsound(estimator, "its intercepts do not fit its classes")
    for name in ("_probA", "_probB"):
        if np.size(own.get(name, ())) not in (0, pairs):
            unsound(estimator, "its probabilities do not fit its classes")


def _linear(estimator: Any) -> None:
    """Anything with coefficients: finite, and as wide as the features."""
    own = vars(estimator)
    for name in ("coef_", "intercept_"):
        value = own.get(name)
        numeric = isinstance(value, np.ndarray | float) and np.asarray(value).dtype.kind == "f"
        if numeric and not np.isfinite(value).all():
            unsound(estimator, f"its {name} holds values that are no finite numbers")
    coefficients = own.get("coef_")
    wide = isinstance(coefficients, np.ndarray) and coefficients.ndim in (1, 2)
    linear = type(estimator).__module__.startswith("sklearn.linear_model")
    if wide and linear and coefficients.shape[-1] != _features(estimator):
        unsound(estimator, "its coefficients do not fit its features")


def _sparse(matrix: Any) -> None:
    if matrix.format in ("csr", "csc", "bsr"):
        try:
            matrix.check_format(full_check=True)
        except ValueError:
            unsound(matrix, "its indices do not fit its shape")
        if matrix.format != "bsr" and len(matrix.data) != len(matrix.indices):
            unsound(matrix, "its data does not fit its indices")
    elif matrix.format == "coo":
        for axis, side in zip((matrix.row, matrix.col), matrix.shape, strict=True):
            if len(axis) != len(matrix.data) or (len(axis) and (axis.min() < 0 or axis.max() >= side)):
                unsound(matrix, "its indices do not fit its shape")
    elif matrix.format == "dia" and (matrix.data.ndim != 2 or len(matrix.offsets) != len(matrix.data)):
        unsound(matrix, "its diagonals do not fit its data")


def _spline(spline: Any) -> None:
    knots, degree = spline.t, spline.k
    if not isinstance(degree, int | np.integer) or not 0 <= degree <= DEGREE or np.ndim(knots) != 1:
        unsound(spline, "it has no proper degree")
    if len(knots) < 2 * (degree + 1) or len(spline.c) < len(knots) - degree - 1 or (np.diff(knots) < 0).any():
        unsound(spline, "its coefficients do not fit its knots")


def _clusters(estimator: Any) -> None:
    centers = vars(estimator).get("cluster_centers_")
    if isinstance(centers, np.ndarray) and (
        centers.ndim != 2 or centers.shape[1] != _features(estimator) or not np.isfinite(centers).all()
    ):
        unsound(estimator, "its centers do not fit its features")


def _vocabulary(estimator: Any) -> None:
    """Columns of words: scipy builds matrices with them unchecked."""
    vocabulary = vars(estimator).get("vocabulary_")
    if vocabulary is None:
        return
    width = len(vocabulary)
    if not isinstance(vocabulary, dict) or not all(
        isinstance(column, int | np.integer) and 0 <= column < width for column in vocabulary.values()
    ):
        unsound(estimator, "a word belongs to a column that is not there")


CHECKS: dict[str, Callable[[Any], None]] = {
    "Tree": _tree,
    "BaseDecisionTree": _decision_tree,
    "BaseForest": _forest,
    "IsolationForest": _forest,
    "BaseGradientBoosting": _gradient_boosting,
    "TreePredictor": _predictor,
    "BaseHistGradientBoosting": _hist_gradient_boosting,
    "_BinMapper": _bin_mapper,
    "BinaryTree64": _neighbour_tree,
    "BinaryTree": _neighbour_tree,
    "KDTree": _neighbour_tree,
    "BallTree": _neighbour_tree,
    "NeighborsBase": _neighbours,
    "BaseLibSVM": _libsvm,
    "LinearModel": _linear,
    "LinearClassifierMixin": _linear,
    "BSpline": _spline,
    "_BaseKMeans": _clusters,
    "CountVectorizer": _vocabulary,
    "DictVectorizer": _vocabulary,
    "_spbase": _sparse,
}
