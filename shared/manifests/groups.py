"""Random, stratified assignment of groups of rows to the parts of a split."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

Group = Mapping[str | None, int]
"""Rows of a label table that are kept together, such as the rows of a video or a person: the number
of rows of each class, and of all rows (None)."""


def assign_groups(
    groups: Mapping[str, Group], shares: Sequence[float], *, seed: int
) -> dict[str, int]:
    """Return the part of each group, stratified by class as far as the groups allow.

    Each group, the largest first, goes to the part whose chi-squared distance from its share of
    each class and of all rows then increases least. No part is empty if there are enough groups.

    Args:
        groups: groups by name.
        shares: fraction of the rows in each part; for K folds, K times 1/K.
        seed: random seed for the order of groups of one size.
    """
    order = sorted(groups, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    order.sort(key=lambda name: -groups[name][None])
    names = sorted({each for group in groups.values() for each in group if each is not None})
    column_of = {None: 0} | {name: place for place, name in enumerate(names, start=1)}
    counts = {
        name: np.array(sorted((column_of[each], rows) for each, rows in group.items())).T
        for name, group in groups.items()
    }
    total_C = np.zeros(len(column_of))
    for columns, rows in counts.values():
        total_C[columns] += rows
    wanted_PC = np.outer(shares, total_C)
    excess_PC = -wanted_PC
    is_empty_P = np.ones(len(shares), np.bool_)
    part_of: dict[str, int] = {}
    for place, name in enumerate(order):
        columns, rows = counts[name]
        rise_P = ((2 * excess_PC[:, columns] + rows) * rows / wanted_PC[:, columns]).sum(1)
        if len(order) - place <= is_empty_P.sum():
            rise_P[~is_empty_P] = np.inf
        part = part_of[name] = int(rise_P.argmin())
        excess_PC[part, columns] += rows
        is_empty_P[part] = False
    return part_of
