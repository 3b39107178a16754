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
Check = Callable[[], None]
Decide = Callable[[Array, Array], Array]
"""(node numbers, X) → whether each row goes left at each node, shape (nodes, rows)."""

_GROUP_NODES = 4096  # of several small trees worked on together
_CELLS = 300_000  # numbers that one array of the work should hold …
_MOST_CELLS = 4_000_000  # … and for one row of a large tree, before its points are worked on apart
_SMALLEST_SHARE = 1e-290  # what is smaller would lose its digits, and divides
_LONGEST = 2_000  # features on one path: quadrature takes half as many points, found in cubic time
_NOW_AND_THEN = 256  # levels between two looks at the clock


class NoShares(ValueError):
    """The trees do not say in which shares training rows went left and right."""


class TooDeep(ValueError):
    """A path of a tree asks more features than can be worked with."""


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
    used: Array  # the features that decide anywhere
    by_feature: Any  # sparse, (used, nodes): which nodes were reached by a turn of which
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

    def contributions(self, x: Array, check: Check) -> Array:
        """Shapley values of each row, and at the end what is expected where nothing is known of it: shape
        (rows, outputs, features + 1). `check` is called now and then and may raise. Raises `NoShares` and
        `TooDeep`.
        """
        while self._waiting:
            self._groups.append(_group(self._waiting[0], check))
            del self._waiting[0]
        rows = len(x)
        total = np.zeros((self._n_features + 1, rows, self.outputs))
        for group in self._groups:
            total[-1] += group.expected
            cells = len(group.feature) * len(group.points) * (self.outputs + 1)
            at_once = max(1, _CELLS // cells)
            for start in range(0, rows, at_once):
                stop = min(rows, start + at_once)
                total[group.used, start:stop] += _credit(group, x[start:stop], check)
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


def _group(trees: Sequence[Tree], check: Check) -> _Group:
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
        if not len(levels) % _NOW_AND_THEN:
            check()
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
    before = _before(feature, up, check)
    own = _own_shares(weight[order], up)
    share = _products(before, own, levels)
    if not (share > _SMALLEST_SHARE).all():
        raise NoShares("a branch that next to no training row came through")
    leaf = np.flatnonzero(left[order] < 0)
    reach = _products(up, own, levels)
    points, weights = _quadrature(up, before, levels)
    used, by_feature = _users(feature)
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
        used=used,
        by_feature=by_feature,
        points=points,
        weights=weights,
        trees=trees,
    )


def _users(feature: Array) -> tuple[Array, Any]:
    """The features that decide, and a matrix that sums nodes by them."""
    from scipy import sparse

    edges = np.flatnonzero(feature >= 0)
    used, row = np.unique(feature[edges], return_inverse=True)
    places = (row.reshape(-1), edges)
    return used, sparse.csr_matrix((np.ones(len(edges)), places), shape=(len(used), len(feature)))


def _before(feature: Array, up: Array, check: Check) -> Array:
    """For each node the nearest one above it that was reached by a turn of the same feature, else -1."""
    before = np.full(len(feature), -1)
    open_nodes = np.flatnonzero(up >= 0)
    above = up[open_nodes]
    steps = 0
    while len(open_nodes):
        if not steps % _NOW_AND_THEN:
            check()
        steps += 1
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


def _quadrature(up: Array, before: Array, levels: list[_Level]) -> tuple[Array, Array]:
    """Points and weights on (0, 1), enough for the path with the most distinct features."""
    distinct = np.zeros(len(up), dtype=np.int64)
    for level in levels[1:]:
        part = slice(level.start, level.stop)
        distinct[part] = distinct[up[part]] + (before[part] < 0)
    longest = int(distinct.max())
    if longest > _LONGEST:
        raise TooDeep(f"a path over {longest} features")
    points, weights = np.polynomial.legendre.leggauss(max(1, (longest + 1) // 2))
    return (points + 1) / 2, weights / 2


def _credit(group: _Group, x: Array, check: Check) -> Array:
    """Shapley values of `x` by this group, shape (used features, rows, outputs)."""
    taken = _taken(group, x, check)
    outputs = group.leaf_value.shape[1]
    earned = np.zeros((len(group.feature), len(x), outputs))
    at_once = max(1, _MOST_CELLS // (taken.size * (outputs + 1)))
    for start in range(0, len(group.points), at_once):
        few = slice(start, start + at_once)
        earned += _at_points(group, taken, group.points[few], group.weights[few], check)
    summed: Any = group.by_feature @ earned.reshape(len(earned), -1)
    return np.asarray(summed).reshape(len(group.used), len(x), outputs)


def _at_points(group: _Group, taken: Array, points: Array, weights: Array, check: Check) -> Array:
    """What each edge earns for its feature, summed over some points, shape (nodes, rows, outputs)."""
    nodes, rows = taken.shape
    product = np.ones((nodes, rows, len(points)))
    credit = np.zeros_like(product)  # (o - z) / g of each edge, less that of the edge before
    share, before = group.share, group.before
    for number, (upper, level) in enumerate(zip(group.levels, group.levels[1:], strict=False)):
        if not number % _NOW_AND_THEN:
            check()
        part = slice(level.start, level.stop)
        earlier = before[part]
        repeated = np.flatnonzero(earlier >= 0)
        earlier = earlier[repeated]
        o, z = taken[part], share[part, None]
        factor, own = _factor(o, z, points)
        if len(repeated):
            first, credited = _factor(taken[earlier], share[earlier, None], points)
            factor[repeated] /= first
            own[repeated] -= credited
        credit[part] = own
        product[part] = np.repeat(product[upper.inner], 2, axis=0) * factor
    below = np.zeros((*product.shape, group.leaf_value.shape[1]))
    below[group.leaf] = product[group.leaf][..., None] * group.leaf_value[:, None, None, :]
    for number, level in enumerate(reversed(group.levels[1:])):
        if not number % _NOW_AND_THEN:
            check()
        upper = group.levels[-2 - number]
        pairs = below[level.start : level.stop]
        below[upper.inner] = pairs[0::2] + pairs[1::2]
    earned: Array = np.einsum("nrq,nrqk,q->nrk", credit, below, weights, optimize=False)
    return earned


def _factor(o: Array, z: Array, points: Array) -> tuple[Array, Array]:
    """g and (o - z) / g at every point, shape (nodes, rows, points). Shares are positive, so g is too."""
    gap = o - z
    g = z[..., None] + gap[..., None] * points
    return g, gap[..., None] / g


def _taken(group: _Group, x: Array, check: Check) -> Array:
    """o: whether each row takes all turns of the node's own feature down to it, shape (nodes, rows)."""
    taken = np.ones((len(group.feature), len(x)))
    turns_left = np.zeros((len(group.feature), len(x)), dtype=bool)
    inner = np.concatenate([level.inner for level in group.levels])
    for mine in _by_tree(group.tree, inner):
        turns_left[mine] = group.trees[group.tree[mine[0]]].decide(group.node[mine], x)
    for number, (upper, level) in enumerate(zip(group.levels, group.levels[1:], strict=False)):
        if not number % _NOW_AND_THEN:
            check()
        left = turns_left[upper.inner]
        ways = np.stack([left, ~left], axis=1).reshape(-1, len(x))
        earlier = group.before[level.start : level.stop]
        repeated = earlier >= 0
        ways[repeated] &= taken[earlier[repeated]] > 0
        taken[level.start : level.stop] = ways
    return taken


def _by_tree(tree: Array, nodes: Array) -> list[Array]:
    """`nodes` apart by the tree that they belong to."""
    ordered = nodes[np.argsort(tree[nodes], kind="stable")]
    parts = np.split(ordered, np.flatnonzero(np.diff(tree[ordered])) + 1)
    return [part for part in parts if len(part)]
