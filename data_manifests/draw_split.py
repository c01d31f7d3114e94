"""Random splits into training, validation and test, and into folds, for `orn manifest new`; groups
of rows are assigned at random, stratified by label.

A split is saved as a table (`split_table` in a manifest), so that adding rows later does not move
videos to a different split.
"""

import csv
import hashlib
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from orn.data_manifests.records import ALL, SPLITS, Split, fold_names
from orn.data_manifests.table import LABEL_SEPARATOR, LabeledRow
from orn.data_manifests.text_files import each_row
from orn.shared.errors import ConfigError

Shares = Mapping[Split, float]
FOLD_VALIDATION = 0.15
"""Fraction of the rows outside of a fold that become its validation split."""
Group = Mapping[str | None, int]
"""Rows of a label table that are kept together, such as the rows of a video or a person: the number
of rows of each class, and of all rows (None)."""


def assign_groups(
    groups: Mapping[str, Group],
    shares: Sequence[float],
    *,
    seed: int,
    known: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, int]:
    """Return the part of each group, stratified by class as far as the groups allow.

    Each group, the largest first, goes to the part whose chi-squared distance from its share of
    each class and of all rows then increases least. No part is empty if there are enough groups.

    Args:
        groups: groups by name.
        shares: fraction of the rows in each part; for K folds, K times 1/K.
        seed: random seed for the order of groups of one size.
        known: parts of groups that stay where they are.
    """
    order = sorted(groups, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    order.sort(key=lambda name: (name not in known, -groups[name][None]))
    names = sorted({label for group in groups.values() for label in group if label is not None})
    column_of = {None: 0} | {name: column for column, name in enumerate(names, start=1)}
    counts = {
        name: np.array(sorted((column_of[label], rows) for label, rows in group.items())).T
        for name, group in groups.items()
    }
    total_C = np.zeros(len(column_of))
    for columns, rows in counts.values():
        total_C[columns] += rows
    wanted_PC = np.outer(shares, total_C)
    excess_PC = -wanted_PC
    is_empty_P = np.ones(len(shares), np.bool_)
    part_of: dict[str, int] = {}
    for number, name in enumerate(order):
        columns, rows = counts[name]
        rise_P = ((2 * excess_PC[:, columns] + rows) * rows / wanted_PC[:, columns]).sum(1)
        if len(order) - number <= is_empty_P.sum():
            rise_P[~is_empty_P] = np.inf
        part = part_of[name] = known.get(name, int(rise_P.argmin()))
        excess_PC[part, columns] += rows
        is_empty_P[part] = False
    return part_of


def split_columns(folds: int | None) -> tuple[str, ...]:
    """Return the columns of a table of splits: one for each fold, and one without any test split;
    or one for a single split."""
    return (*fold_names(folds), ALL) if folds else ("split",)


def parse_shares(text: str) -> Shares:
    """Return the share of each split, given text such as "80/10/10" or "80/20".

    Raises:
        ConfigError: if the text does not contain two or three percentages that sum to 100.
    """
    try:
        shares = [float(part) / 100 for part in text.split("/")]
    except ValueError:
        shares = []
    is_valid = len(shares) in (2, 3) and min(shares) > 0 and math.isclose(sum(shares), 1)
    if not is_valid:
        raise ConfigError(
            "--split: expected percentages of train, validation and, optionally, test that sum to "
            f"100, such as 80/10/10 or 80/20, got {text!r}; correct them"
        )
    return dict(zip(SPLITS, shares, strict=False))


def draw_table(
    table: Path,
    rows: Mapping[int, LabeledRow],
    *,
    shares: str | None,
    folds: int | None = None,
    seed: int = 0,
) -> dict[str, tuple[Split, ...]]:
    """Return the split of each video of a label table in each of `split_columns`, in the order of
    the table. The assignment does not depend on the order of rows.

    Args:
        table: the label table, for messages.
        rows: its rows by number.
        shares: shares given by the user, such as "80/10/10"; not read for folds.
        folds: number of folds, each of which is the test split once; None for a single split.
        seed: random seed for the order of videos or groups.

    Raises:
        ManifestError: if the groups of rows are invalid.
        ConfigError: if the shares are invalid, there are fewer videos or groups than splits, or a
            class would not occur in the training split of a fold.
    """
    parts = None if folds else parse_shares(shares or "")
    num_parts = folds or len(parts or ())
    groups, group_of = grouped(table, rows)
    if any(row.split is not None for row in rows.values()):
        raise ConfigError(
            f"{table}: expected a table without a split, got a column 'split'; omit "
            f"--{'folds' if folds else 'split'}, or remove the column"
        )
    if len(groups) < num_parts:
        remedy = "--folds 3" if folds else "--split 80/20"
        raise ConfigError(
            f"{table}: expected at least {num_parts} groups for {num_parts} splits, "
            f"got {len(groups)}; use fewer splits, such as {remedy}, or add videos"
        )
    holders = Counter(label for group in groups.values() for label in group if label)
    for label, number in holders.items() if folds else ():
        if number < 2:
            raise ConfigError(
                f"{table}: expected class {label!r} in at least 2 groups, got 1, so that it would "
                "not occur in the training split of a fold; add videos, or remove it"
            )
    drawn = extended_splits(groups, {}, folds=folds, seed=seed, shares=parts)
    return {video: drawn[name] for video, name in group_of.items()}


def grouped(
    table: Path, rows: Mapping[int, LabeledRow]
) -> tuple[dict[str, Counter[str | None]], dict[str, str]]:
    """Return the groups of rows that are kept together, and the group of each video.

    A video without a value in the column `group` is a group of its own.

    Args:
        table: the label table, for messages.
        rows: its rows by number.

    Raises:
        ManifestError: if the rows of a video have several groups.
    """
    groups: dict[str, Counter[str | None]] = {}
    group_of: dict[str, str] = {}

    def add(row: LabeledRow) -> None:
        group = row.group or row.video
        if group_of.setdefault(row.video, group) != group:
            raise ValueError(
                f"expected the same group in all rows of video {row.video!r}, got "
                f"{group_of[row.video]!r} and {group!r}; use one value"
            )
        classes = {part.strip() for part in row.label.split(LABEL_SEPARATOR)}
        groups.setdefault(group, Counter()).update([None, *classes])

    each_row(table, rows.items(), add)
    return groups, group_of


def _column_of_fold(
    groups: Mapping[str, Group],
    fold_of: Mapping[str, int],
    fold: int,
    *,
    known: Mapping[str, Split],
    seed: int,
) -> dict[str, Split]:
    """Return the split of each group in one fold; each class stays in the training split.

    Args:
        groups: all groups.
        fold_of: the fold of each group, in which it is tested.
        fold: the fold.
        known: splits of groups that stay where they are.
        seed: as for `assign_groups`.
    """
    rest = {name: group for name, group in groups.items() if fold_of[name] != fold}
    left = Counter(label for group in rest.values() for label in group)
    known_parts = {name: int(known[name] == "validation") for name in rest if name in known}
    shares = [1 - FOLD_VALIDATION, FOLD_VALIDATION]
    parts = assign_groups(rest, shares, seed=seed, known=known_parts)
    column: dict[str, Split] = {}
    for name in sorted(groups, key=lambda name: name not in known):
        held_out = parts.get(name) == 1 and (
            name in known or all(left[label] > 1 for label in groups[name])
        )
        if held_out:
            left.subtract(groups[name].keys())
        column[name] = "test" if fold_of[name] == fold else "validation" if held_out else "train"
    return column


def extended_splits(
    groups: Mapping[str, Group],
    known: Mapping[str, Sequence[Split]],
    *,
    folds: int | None,
    seed: int,
    shares: Shares | None = None,
) -> dict[str, tuple[Split, ...]]:
    """Return the splits of groups that have none yet; the others stay where they are.

    Args:
        groups: all groups.
        known: splits of groups in each column of the table of splits.
        folds: number of folds; None for a single split.
        seed: seed of the splits.
        shares: shares of a single split; None: the shares of the known groups.
    """
    if folds is None:
        if shares is None:
            rows = Counter[Split]()
            for name, (split,) in known.items():
                rows[split] += groups[name][None]
            used = [split for split in SPLITS if rows[split]] or ["train"]
            shares = {split: rows[split] / max(rows.total(), 1) for split in used}
        splits = [*shares]
        parts = {name: splits.index(split) for name, (split,) in known.items()}
        drawn = assign_groups(groups, [*shares.values()], seed=seed, known=parts)
        return {name: (splits[drawn[name]],) for name in groups if name not in known}
    tested = {name: [*splits].index("test") for name, splits in known.items()}
    fold_of = assign_groups(groups, [1 / folds] * folds, seed=seed, known=tested)
    columns = [
        _column_of_fold(
            groups,
            fold_of,
            fold,
            known={name: splits[fold] for name, splits in known.items()},
            seed=seed,
        )
        for fold in range(folds)
    ]
    return {
        name: (*(column[name] for column in columns), "train")
        for name in groups
        if name not in known
    }


def split_text(columns: Sequence[str], split_of: Mapping[str, Sequence[Split]]) -> str:
    """Return the split of each video in each column as CSV."""
    text = io.StringIO()
    rows = ((video, *splits) for video, splits in split_of.items())
    csv.writer(text, lineterminator="\n").writerows([("video", *columns), *rows])
    return text.getvalue()
