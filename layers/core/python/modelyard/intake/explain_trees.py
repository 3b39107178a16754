"""Exact Shapley values of sums of decision trees, over all nodes of many trees at once.

The game: what is known of a row are the features of a coalition S; at a split on any other feature the row
goes both ways, in the shares in which the training rows did. A leaf with value v and distinct features 1…m on
its path then gives

    v · ∏(j in S) o_j · ∏(j not in S) z_j

where o_j is 1 if the row takes all turns of feature j on the path, else 0, and z_j is the product of the
shares of these turns. For such a product the Shapley value of j is an integral over t from 0 to 1 (every
other feature being known with probability t):

    v · ∫ (o_j - z_j) · ∏(i ≠ j) g_i(t) dt        with g_i(t) = z_i + t · (o_i - z_i)

The integrand is a polynomial of degree m - 1, so Gauss-Legendre quadrature with m/2 points is exact. At each
point, all leaves below an edge share the factor of that edge: one pass down multiplies the g, one pass up
sums the leaves, and each edge credits its feature with `(o - z) / g` of what is below it, less what an
earlier edge of the same feature credited. That is constant work per node, row and point, and nothing in it
is an approximation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray
Decide = Callable[[Array, Array], Array]
"""(node numbers, X) → whether each row goes left at each node, shape (nodes, rows)."""

_GROUP_NODES = 4096  # of several small trees worked on together
_CELLS = 300_000  # numbers that one array of the work may hold


class NoShares(ValueError):
    """The trees do not say in which shares training rows went left and right."""


@dataclass(frozen=True, slots=True)
class Tree:
    """One fitted tree. Node 0 is the root; `left` is -1 at leaves; `value` has shape (nodes, outputs)."""

    left: Array
    right: Array
    feature: Array
    weight: Array  # of the training rows that came through each node
    value: Array
    decide: Decide


@dataclass(slots=True)
class _Level:
    """Nodes at one depth, by their numbers in the group. Children lie in pairs, left before right."""

    start: int
    stop: int
    inner: Array  # which of this level have children, in the order of the pairs of the next


@dataclass(slots=True)
class _Group:
    """Some trees, nodes renumbered level by level over all of them."""

    levels: list[_Level]
    tree: Array  # per node: its tree's number and its own number there
    node: Array
    feature: Array  # that decided on the way to this node; -1 at roots
    before: Array  # the nearest node above whose way in was decided by the same feature; -1: none
    share: Array  # z: product of the shares of all turns of that feature down to here
    leaf: Array  # numbers of the leaves
    leaf_value: Array  # (leaves, outputs)
    expected: Array  # (outputs,)
    points: Array
    weights: Array
    trees: Sequence[Tree] = field(repr=False)


class Forest:
    """A sum of trees. What does not depend on rows is worked out at the first explanation and kept."""

    def __init__(self, trees: Sequence[Tree], n_features: int) -> None:
        self._n_features = n_features
        self._waiting = list(_parts(trees))
        self._groups: list[_Group] = []
        self.outputs = trees[0].value.shape[1]

    def contributions(self, x: Array, check: Callable[[], None]) -> Array:
        """Shapley values of each row, and at the end what is expected where nothing is known of it: shape
        (rows, outputs, features + 1). `check` is called now and then and may raise. Raises `NoShares`.
        """
        while self._waiting:
            check()
            self._groups.append(_group(self._waiting[0]))
            del self._waiting[0]
        rows = len(x)
        total = np.zeros((self._n_features + 1, rows, self.outputs))
        for group in self._groups:
            total[-1] += group.expected
            cells = len(group.feature) * len(group.points) * (self.outputs + 1)
            at_once = max(1, _CELLS // cells)
            for start in range(0, rows, at_once):
                check()
                stop = min(rows, start + at_once)
                total[:-1, start:stop] += _credit(group, x[start:stop], self._n_features)
        return total.transpose(1, 2, 0)


def _parts(trees: Sequence[Tree]) -> Iterator[list[Tree]]:
    part: list[Tree] = []
    nodes = 0
    for tree in trees:
        if part and nodes + len(tree.left) > _GROUP_NODES:
            yield part
            part, nodes = [], 0
        part.append(tree)
        nodes += len(tree.left)
    if part:
        yield part


def _group(trees: Sequence[Tree]) -> _Group:
    """Renumber the nodes of `trees` level by level and work out what does not depend on rows."""
    offsets = np.cumsum([0, *(len(tree.left) for tree in trees)])
    left = np.concatenate(
        [np.where(t.left >= 0, t.left + o, -1) for t, o in zip(trees, offsets, strict=False)]
    )
    right = np.concatenate(
        [np.where(t.left >= 0, t.right + o, -1) for t, o in zip(trees, offsets, strict=False)]
    )
    split_on = np.concatenate([tree.feature for tree in trees]).astype(np.int64)
    weight = np.concatenate([tree.weight for tree in trees]).astype(np.float64)
    value = np.concatenate([tree.value for tree in trees])
    owner = np.repeat(np.arange(len(trees)), np.diff(offsets))

    old = offsets[:-1]  # numbers as they were, of the nodes of this level
    parent = np.full(len(old), -1)
    kept: list[Array] = []
    parents: list[Array] = []
    levels: list[_Level] = []
    start = 0
    while len(old):
        inner = np.flatnonzero(left[old] >= 0) + start
        levels.append(_Level(start, start + len(old), inner))
        kept.append(old)
        parents.append(parent)
        splitting = old[inner - start]
        old = np.stack([left[splitting], right[splitting]], axis=1).reshape(-1)
        parent = np.repeat(inner, 2)
        start = levels[-1].stop
    order, up = np.concatenate(kept), np.concatenate(parents)
    below = up >= 0
    feature = np.where(below, split_on[order[up]], -1)
    before = _before(feature, up)
    share = _shares(weight[order], up, before, levels)
    leaf = np.flatnonzero(left[order] < 0)
    reach = _products(up, _own_shares(weight[order], up), levels)
    points, weights = _quadrature(up, before, levels)
    return _Group(
        levels=levels,
        tree=owner[order],
        node=order - offsets[owner[order]],
        feature=feature,
        before=before,
        share=share,
        leaf=leaf,
        leaf_value=value[order[leaf]],
        expected=reach[leaf] @ value[order[leaf]],
        points=points,
        weights=weights,
        trees=trees,
    )


def _before(feature: Array, up: Array) -> Array:
    """For each node the nearest one above it that was reached by a turn of the same feature, else -1."""
    before = np.full(len(feature), -1)
    open_nodes = np.flatnonzero(up >= 0)
    above = up[open_nodes]
    while len(open_nodes):
        same = feature[above] == feature[open_nodes]
        before[open_nodes[same]] = above[same]
        going = ~same & (up[above] >= 0)
        open_nodes, above = open_nodes[going], up[above[going]]
    return before


def _own_shares(weight: Array, up: Array) -> Array:
    """The share of its parent's training rows that came to each node; siblings' shares sum to 1."""
    children = np.flatnonzero(up >= 0)
    share = np.ones(len(weight))
    pairs = weight[children].reshape(-1, 2)
    if not (np.isfinite(pairs).all() and (pairs > 0).all()):
        raise NoShares("a branch that no training row came through")
    share[children] = (pairs / pairs.sum(axis=1, keepdims=True)).reshape(-1)
    return share


def _products(above: Array, own: Array, levels: list[_Level]) -> Array:
    """Each node's own number times that of the node that `above` names (-1: none), and so on upwards."""
    product = own.copy()
    for level in levels[1:]:
        names = above[level.start : level.stop]
        product[level.start : level.stop] *= np.where(names >= 0, product[names], 1.0)
    return product


def _shares(weight: Array, up: Array, before: Array, levels: list[_Level]) -> Array:
    return _products(before, _own_shares(weight, up), levels)


def _quadrature(up: Array, before: Array, levels: list[_Level]) -> tuple[Array, Array]:
    """Points and weights on (0, 1), enough for the path with the most distinct features."""
    distinct = np.zeros(len(up), dtype=np.int64)
    for level in levels[1:]:
        part = slice(level.start, level.stop)
        distinct[part] = distinct[up[part]] + (before[part] < 0)
    points, weights = np.polynomial.legendre.leggauss(max(1, (int(distinct.max()) + 1) // 2))
    return (points + 1) / 2, weights / 2


def _credit(group: _Group, x: Array, n_features: int) -> Array:
    """Shapley values of `x` by this group, shape (features, rows, outputs)."""
    from scipy import sparse

    rows, nodes = len(x), len(group.feature)
    taken = _taken(group, x)
    product = np.ones((nodes, rows, len(group.points)))
    credit = np.zeros_like(product)  # (o - z) / g of each edge, less that of the edge before
    share, before = group.share, group.before
    for upper, level in zip(group.levels, group.levels[1:], strict=False):
        part = slice(level.start, level.stop)
        earlier = before[part]
        repeated = np.flatnonzero(earlier >= 0)
        earlier = earlier[repeated]
        o, z = taken[part], share[part, None]
        factor, own = _factor(o, z, group.points)
        if len(repeated):
            first, credited = _factor(taken[earlier], share[earlier, None], group.points)
            factor[repeated] /= first
            own[repeated] -= credited
        credit[part] = own
        product[part] = np.repeat(product[upper.inner], 2, axis=0) * factor
    below = np.zeros((*product.shape, group.leaf_value.shape[1]))
    below[group.leaf] = product[group.leaf][..., None] * group.leaf_value[:, None, None, :]
    for upper, level in zip(reversed(group.levels[:-1]), reversed(group.levels[1:]), strict=True):
        pairs = below[level.start : level.stop]
        below[upper.inner] = pairs[0::2] + pairs[1::2]
    earned = np.einsum("nrq,nrqk,q->nrk", credit, below, group.weights, optimize=False)
    edges = np.flatnonzero(group.feature >= 0)
    if not len(edges):
        return np.zeros((n_features, rows, below.shape[-1]))
    ones = np.ones(len(edges))
    by_feature = sparse.csr_matrix(
        (ones, (group.feature[edges], np.arange(len(edges)))), shape=(n_features, len(edges))
    )
    summed: Any = by_feature @ earned[edges].reshape(len(edges), -1)
    return np.asarray(summed).reshape(n_features, rows, -1)


def _factor(o: Array, z: Array, points: Array) -> tuple[Array, Array]:
    """g and (o - z) / g at every point, shape (nodes, rows, points). Shares are positive, so g is too."""
    gap = o - z
    g = z[..., None] + gap[..., None] * points
    return g, gap[..., None] / g


def _taken(group: _Group, x: Array) -> Array:
    """o: whether each row takes all turns of the node's own feature down to it, shape (nodes, rows)."""
    taken = np.ones((len(group.feature), len(x)))
    turns_left = np.zeros((len(group.feature), len(x)), dtype=bool)
    inner = np.concatenate([level.inner for level in group.levels])
    for number in np.unique(group.tree[inner]) if len(inner) else ():
        mine = inner[group.tree[inner] == number]
        turns_left[mine] = group.trees[number].decide(group.node[mine], x)
    for upper, level in zip(group.levels, group.levels[1:], strict=False):
        left = turns_left[upper.inner]
        ways = np.stack([left, ~left], axis=1).reshape(-1, len(x))
        earlier = group.before[level.start : level.stop]
        repeated = earlier >= 0
        ways[repeated] &= taken[earlier[repeated]] > 0
        taken[level.start : level.stop] = ways
    return taken
