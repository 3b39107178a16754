"""Trees laid out for ONNX: double thresholds, missing values where scikit-learn sends them, sums in its own
order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


class NotExpressible(Exception):
    """A tree that the tree operators cannot hold exactly."""


@dataclass(slots=True)
class Layout:
    """The attributes of one `TreeEnsemble*` node, as they grow tree by tree."""

    tree_ids: list[int] = field(default_factory=list)
    node_ids: list[int] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    true_ids: list[int] = field(default_factory=list)
    false_ids: list[int] = field(default_factory=list)
    missing_true: list[int] = field(default_factory=list)
    weight_trees: list[int] = field(default_factory=list)
    weight_nodes: list[int] = field(default_factory=list)
    weight_targets: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    trees: int = 0

    def add(
        self,
        *,
        left: np.ndarray,
        right: np.ndarray,
        feature: np.ndarray,
        threshold: np.ndarray,
        missing_left: np.ndarray,
        leaf: np.ndarray,
        values: np.ndarray,
        target: int = 0,
    ) -> None:
        """One tree of `n` nodes. `values` has shape (n, k) and feeds the targets `target` … `target + k -
        1`.
        """
        count = len(left)
        ids = np.arange(count)
        self.tree_ids += [self.trees] * count
        self.node_ids += ids.tolist()
        self.features += np.where(leaf, 0, feature).tolist()
        self.modes += np.where(leaf, "LEAF", "BRANCH_LEQ").tolist()
        self.thresholds += np.where(leaf, 0.0, threshold).tolist()
        self.true_ids += np.where(leaf, 0, left).tolist()
        self.false_ids += np.where(leaf, 0, right).tolist()
        self.missing_true += np.where(leaf, 0, missing_left).astype(int).tolist()
        nodes, targets = np.nonzero(leaf[:, None] & (values != 0))
        first = int(np.flatnonzero(leaf)[0])
        # Every target is named once even where all its weights are zero, so that none is left out of the
        # result.
        unnamed = sorted(set(range(values.shape[1])) - set(targets[nodes == first].tolist()))
        self.weight_trees += [self.trees] * (len(nodes) + len(unnamed))
        self.weight_nodes += nodes.tolist() + [first] * len(unnamed)
        self.weight_targets += (targets + target).tolist() + [target + k for k in unnamed]
        self.weights += values[nodes, targets].tolist() + [0.0] * len(unnamed)
        self.trees += 1

    def attributes(self, prefix: str) -> dict[str, Any]:
        """`prefix` is "class" or "target". Weights come node by node, as the runtime expects them."""
        from onnx import TensorProto, helper

        order = np.lexsort((self.weight_targets, self.weight_nodes, self.weight_trees))

        def pick(values: list[Any]) -> list[Any]:
            picked: list[Any] = np.asarray(values)[order].tolist()
            return picked

        return {
            "nodes_treeids": self.tree_ids,
            "nodes_nodeids": self.node_ids,
            "nodes_featureids": self.features,
            "nodes_modes": self.modes,
            "nodes_values_as_tensor": helper.make_tensor(
                "nodes_values", TensorProto.DOUBLE, [len(self.thresholds)], self.thresholds
            ),
            "nodes_truenodeids": self.true_ids,
            "nodes_falsenodeids": self.false_ids,
            "nodes_missing_value_tracks_true": self.missing_true,
            f"{prefix}_treeids": pick(self.weight_trees),
            f"{prefix}_nodeids": pick(self.weight_nodes),
            f"{prefix}_ids": pick(self.weight_targets),
            f"{prefix}_weights_as_tensor": helper.make_tensor(
                f"{prefix}_weights", TensorProto.DOUBLE, [len(self.weights)], pick(self.weights)
            ),
            "post_transform": "NONE",
        }


def add_tree(layout: Layout, tree: Any, values: np.ndarray, features: np.ndarray | None = None) -> None:
    """A `sklearn.tree._tree.Tree`; `features` maps its feature numbers to columns where it saw only some."""
    leaf = tree.children_left < 0
    feature = np.where(leaf, 0, tree.feature)
    missing = getattr(tree, "missing_go_to_left", None)
    layout.add(
        left=tree.children_left,
        right=tree.children_right,
        feature=feature if features is None else np.asarray(features)[feature],
        threshold=tree.threshold,
        missing_left=np.zeros(len(leaf)) if missing is None else missing,
        leaf=leaf,
        values=values,
    )


def add_histogram_tree(layout: Layout, nodes: np.ndarray, target: int) -> None:
    """The nodes of a `TreePredictor` of histogram gradient boosting."""
    leaf = nodes["is_leaf"].astype(bool)
    if bool((nodes["is_categorical"].astype(bool) & ~leaf).any()):
        raise NotExpressible("a split over a set of categories")
    layout.add(
        left=nodes["left"].astype(np.int64),
        right=nodes["right"].astype(np.int64),
        feature=nodes["feature_idx"],
        threshold=nodes["num_threshold"],
        missing_left=nodes["missing_go_to_left"],
        leaf=leaf,
        values=nodes["value"].reshape(-1, 1),
        target=target,
    )
