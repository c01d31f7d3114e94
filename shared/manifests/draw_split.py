"""Random splits into training, validation and test, for `orn manifest new --split`.

A split is saved as a table (`split_table` in a manifest), so that adding rows later does not move
videos to a different split.
"""

import csv
import hashlib
import io
import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from orn.shared.errors import ConfigError
from orn.shared.manifests.records import SPLITS, Split
from orn.shared.manifests.table import LABEL_SEPARATOR, LabelledRow
from orn.shared.manifests.text_files import read_rows
from orn.shared.text import escape

Shares = Mapping[Split, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRequest:
    """A request for a random split."""

    text: str
    """Shares given by the user, such as "80/10/10"."""
    seed: int = 0
    """Random seed for the order of videos or groups."""
    group: str | None = None
    """Column of the table; videos with the same value in it are kept together."""

    def __post_init__(self) -> None:
        if self.group in (known := set(LabelledRow.model_fields) - {"video", "group"}):
            raise ConfigError(
                f"--group {self.group}: expected a column of your own, such as person, got one of "
                f"{', '.join(sorted(known))}; omit --group to keep the rows of each video together"
            )

    @property
    def options(self) -> str:
        """The corresponding options of `orn manifest new`."""
        group = "" if self.group is None else f" --group {escape(shlex.quote(self.group))}"
        return f"--split {self.text} --seed {self.seed}{group}"


Group = Mapping[str | None, int]
"""Rows of a label table that are kept together, such as the rows of a video or a person: the number
of rows of each class, and of all rows (None)."""


class _GroupedRow(LabelledRow):
    group: Annotated[str, Field(min_length=1)]


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


def draw_table(table: Path, request: SplitRequest) -> dict[str, Split]:
    """Return the split of each video of a label table, in the order of the table.

    The assignment does not depend on the order of rows.

    Raises:
        ManifestError: if the groups of rows are invalid.
        ConfigError: if the shares are invalid, or there are fewer videos or groups than splits.
    """
    shares = parse_shares(request.text)
    groups: dict[str, Counter[str | None]] = {}
    group_of: dict[str, str] = {}
    column = request.group or "video"

    def add(row: _GroupedRow) -> None:
        if group_of.setdefault(row.video, row.group) != row.group:
            raise ValueError(
                f"expected the same {column} in all rows of video {row.video!r}, got "
                f"{group_of[row.video]!r} and {row.group!r}; use one value"
            )
        classes = {part.strip() for part in row.label.split(LABEL_SEPARATOR)}
        groups.setdefault(row.group, Counter()).update([None, *classes])

    read_rows(table, "the label table", _GroupedRow, add, columns={"group": column})
    if len(groups) < len(shares):
        raise ConfigError(
            f"{table}: expected at least {len(shares)} values of {column!r} for {len(shares)} "
            f"splits, got {len(groups)}; use fewer splits, such as --split 80/20, or add videos"
        )
    part_of = assign_groups(groups, [*shares.values()], seed=request.seed)
    splits = [*shares]
    return {video: splits[part_of[name]] for video, name in group_of.items()}


def split_text(split_of: Mapping[str, Split]) -> str:
    """Return the split of each video as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("video", "split"), *split_of.items()])
    return text.getvalue()


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
