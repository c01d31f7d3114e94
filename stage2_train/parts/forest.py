"""Random forests as plain arrays: fitted by scikit-learn, stored and evaluated without it.

N nodes of all trees, L entries of leaves, R trees, M clips, S statistics, A activity classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAF = -1
_MOST_TREES, _MOST_NODES, _MOST_DEPTH = 2_000, 1 << 23, 1_000
"""Bounds of a stored forest: those of `small` have 500 trees of some hundred nodes each."""
_ROUNDING = 1e-6
_BLOCK = 1024
"""Clips whose nodes are in memory together."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forest:
    """Decision trees whose leaves hold the shares of the activity classes.

    Each tree starts at its root and goes to the left child of a node if the statistic of the node
    is at most its threshold, and to the right child otherwise, until a node without children. Most
    leaves hold a single class, so only shares above 0 are stored.
    """

    roots: NDArray[np.int32]
    """(R,) int32 first node of each tree."""
    feature: NDArray[np.int32]
    """(N,) int32 statistic that a node compares; -1 for a leaf."""
    threshold: NDArray[np.float64]
    """(N,) float64 largest value that goes to the left."""
    children: NDArray[np.int32]
    """(N, 2) int32 left and right child; a leaf is its own child."""
    offsets: NDArray[np.int32]
    """(N + 1,) int32: the entries of node n are [offsets[n], offsets[n + 1])."""
    classes: NDArray[np.int32]
    """(L,) int32 class of an entry."""
    shares: NDArray[np.float64]
    """(L,) float64 share of the training clips in the leaf that have this class."""
    num_classes: int

    def probabilities(self, statistics_MS: NDArray[Any]) -> NDArray[np.float64]:
        """Return (M, A) float64: the mean over trees of the shares in the leaf of each clip.

        Statistics are compared in float32, and trees are added in their order, as in scikit-learn,
        so that the result is the same to the last digit.
        """
        from scipy.sparse import csr_array  # help texts must not import it

        shape = (len(self.feature), self.num_classes)
        shares_NA = csr_array((self.shares, self.classes, self.offsets), shape=shape)
        total_MA = np.zeros((len(statistics_MS), self.num_classes))
        for first in range(0, len(total_MA), _BLOCK):
            own = slice(first, first + _BLOCK)
            for node_M in self._leaves(np.asarray(statistics_MS[own], np.float32)).T:
                total_MA[own] += shares_NA[node_M].toarray()
        return total_MA / len(self.roots)

    def _leaves(self, rows_MS: NDArray[np.float32]) -> NDArray[np.int32]:
        """Return the (M, R) leaves of clips."""
        clip_M = np.arange(len(rows_MS))[:, None]
        node_MR = np.broadcast_to(self.roots, (len(rows_MS), len(self.roots)))
        while (self.feature[node_MR] != _LEAF).any():
            is_right_MR = rows_MS[clip_M, self.feature[node_MR]] > self.threshold[node_MR]
            node_MR = self.children[node_MR, is_right_MR.astype(np.int32)]
        return node_MR

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name; `Forest.of_arrays` is the inverse."""
        return {
            field.name: value
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), np.ndarray)
        }

    @classmethod
    def of_arrays(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        *,
        num_classes: int,
        num_statistics: int,
        multi_label: bool,
    ) -> "Forest":
        """Return the forest with these arrays, which may come from a damaged or hostile file.

        Every node except the roots is the child of one earlier node, so each path ends. There are
        at most 2,000 trees, 8,388,608 nodes and 1,000 nodes on a path.

        Raises:
            ValueError: if the arrays are not such trees, or their leaves have no shares of classes.
        """
        forest = cls(**arrays, num_classes=num_classes)
        nodes, entries = len(forest.feature), len(forest.classes)
        expected = {
            "roots": (forest.roots.shape[:1], np.int32),
            "feature": ((nodes,), np.int32),
            "threshold": ((nodes,), np.float64),
            "children": ((nodes, 2), np.int32),
            "offsets": ((nodes + 1,), np.int32),
            "classes": ((entries,), np.int32),
            "shares": ((entries,), np.float64),
        }
        for name, array in forest.arrays().items():
            if (array.shape, array.dtype) != expected[name]:
                raise ValueError(f"{name}: expected {expected[name]}, got {array.shape}")
        counts = {"trees": (len(forest.roots), _MOST_TREES), "nodes": (nodes, _MOST_NODES)}
        for name, (count, most) in counts.items():
            if not 0 < count <= most:
                raise ValueError(f"{name}: expected 1 to {most:,}, got {count:,}")
        own_N, is_leaf_N = np.arange(nodes), forest.feature == _LEAF
        ranges = {
            "roots": (forest.roots, 0, nodes),
            "feature": (forest.feature, _LEAF, num_statistics),
            "threshold": (forest.threshold[~is_leaf_N], -np.inf, np.inf),
            "children of leaves": (forest.children[is_leaf_N].T, own_N[is_leaf_N], None),
            "children": (forest.children[~is_leaf_N].T, own_N[~is_leaf_N] + 1, nodes),
            "classes": (forest.classes, 0, num_classes),
            "shares": (forest.shares, np.nextafter(0, 1), 1 + _ROUNDING),
            "offsets": (np.diff(forest.offsets), 0, entries + 1),
        }
        for name, (values, low, high) in ranges.items():
            high = low + 1 if high is None else high
            if not ((values >= low) & (values < high)).all():
                raise ValueError(f"{name}: out of range")
        if forest.offsets[0] or forest.offsets[-1] != entries:
            raise ValueError("offsets: expected to cover all entries")
        forest._check_trees(is_leaf_N)
        node_L = np.repeat(own_N, np.diff(forest.offsets))
        total_N = np.bincount(node_L, forest.shares, nodes)
        if not (multi_label or (abs(total_N[is_leaf_N] - 1) < _ROUNDING).all()):
            raise ValueError("shares: expected a distribution over classes in each leaf")
        return forest

    def _check_trees(self, is_leaf_N: NDArray[np.bool_]) -> None:
        """Raise ValueError unless each node is a root or the child of one node, and no path is too
        long; children come after their node."""
        inner_children = self.children[~is_leaf_N].ravel()
        reached_N = np.bincount(
            np.concatenate([self.roots, inner_children]), minlength=len(is_leaf_N)
        )
        if (reached_N != 1).any():
            raise ValueError("children: expected each node in one tree")
        level = self.roots
        for _ in range(_MOST_DEPTH):
            level = self.children[level[~is_leaf_N[level]]].ravel()
            if not len(level):
                return
        raise ValueError(f"children: expected at most {_MOST_DEPTH:,} nodes on a path")


def fit_forest(
    statistics_NS: NDArray[Any],
    labels: NDArray[np.int64] | NDArray[np.float32],
    num_classes: int,
    *,
    trees: int,
    seed: int,
    jobs: int,
) -> Forest:
    """Return a random forest fitted by scikit-learn, which predicts all labels of a clip.

    Args:
        statistics_NS: (N, S) of the training clips.
        labels: (N,) classes, or (N, A) zeros and ones.
        num_classes: A; classes without a training clip get a share of 0.
        trees: number of trees.
        seed: seed of the draws of clips and statistics.
        jobs: number of threads.
    """
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(trees, random_state=seed, n_jobs=jobs)
    targets = labels.astype(np.int64)
    model.fit(statistics_NS, targets if num_classes > 1 else targets.reshape(-1))
    if labels.ndim == 1:
        columns = [(0, column, label) for column, label in enumerate(model.classes_.tolist())]
    else:
        known = model.classes_ if num_classes > 1 else [model.classes_]
        columns = [
            (output, of_output.tolist().index(1), output)
            for output, of_output in enumerate(known)
            if 1 in of_output
        ]
    return _joined([tree.tree_ for tree in model.estimators_], columns, num_classes)


def _joined(trees: list[Any], columns: list[tuple[int, int, int]], num_classes: int) -> Forest:
    """Return the forest of fitted trees of scikit-learn.

    Args:
        trees: `sklearn.tree._tree.Tree` each.
        columns: output, column of its values and activity class.
        num_classes: A.
    """
    sizes = np.array([tree.node_count for tree in trees])
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    outputs, chosen, labels = (np.array(own, np.int64) for own in zip(*columns, strict=True))
    feature, children, shares_NA = [], [], []
    for tree, root in zip(trees, roots, strict=True):
        own_n = np.arange(tree.node_count)
        is_leaf_n = tree.children_left == tree.children_right
        feature.append(np.where(is_leaf_n, _LEAF, tree.feature))
        for_both_n2 = np.stack([tree.children_left, tree.children_right], axis=1)
        children.append(np.where(is_leaf_n[:, None], own_n[:, None], for_both_n2) + root)
        shares_nA = np.zeros((tree.node_count, num_classes))
        shares_nA[:, labels] = tree.value[:, outputs, chosen] * is_leaf_n[:, None]
        shares_NA.append(shares_nA)
    entries = [np.nonzero(shares_nA) for shares_nA in shares_NA]
    numbers_N = np.concatenate([(shares_nA > 0).sum(axis=1) for shares_nA in shares_NA])
    return Forest(
        roots=roots.astype(np.int32),
        feature=np.concatenate(feature).astype(np.int32),
        threshold=np.concatenate([tree.threshold for tree in trees]),
        children=np.concatenate(children).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(numbers_N)]).astype(np.int32),
        classes=np.concatenate([classes for _, classes in entries]).astype(np.int32),
        shares=np.concatenate(
            [shares_nA[entry] for shares_nA, entry in zip(shares_NA, entries, strict=True)]
        ),
        num_classes=num_classes,
    )
