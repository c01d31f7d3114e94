"""Random splits into training, validation and test, for `orn manifest new --split`.

A split is saved as a table (`split_table` in a manifest), so that adding rows later does not move
videos to a different split.
"""

import csv
import hashlib
import io
import math
import shlex
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

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

    @property
    def options(self) -> str:
        """The corresponding options of `orn manifest new`."""
        group = "" if self.group is None else f" --group {escape(shlex.quote(self.group))}"
        return f"--split {self.text} --seed {self.seed}{group}"


@dataclass(slots=True, kw_only=True)
class Group:
    """Rows of a label table that are kept together, such as the rows of a video or a person."""

    rows: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    """Number of rows of each class."""

    def add(self, other: "Group") -> None:
        """Add the rows of a second group."""
        self.rows += other.rows
        self.classes.update(other.classes)


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
    groups: dict[str, Group] = {}
    group_of: dict[str, str] = {}
    column = request.group or "video"

    def add(row: _GroupedRow) -> None:
        if group_of.setdefault(row.video, row.group) != row.group:
            raise ValueError(
                f"expected the same {column} in all rows of video {row.video!r}, got "
                f"{group_of[row.video]!r} and {row.group!r}; use one value"
            )
        classes = Counter({part.strip() for part in row.label.split(LABEL_SEPARATOR)})
        groups.setdefault(row.group, Group()).add(Group(rows=1, classes=classes))

    read_rows(table, "the label table", _GroupedRow, add, columns={"group": column})
    if len(groups) < len(shares):
        raise ConfigError(
            f"{table}: expected at least {len(shares)} values of {column!r} for {len(shares)} "
            f"splits, got {len(groups)}; use fewer splits, such as --split 80/20, or add videos"
        )
    split_of = draw(groups, shares, seed=request.seed)
    return {video: split_of[name] for video, name in group_of.items()}


def split_text(split_of: Mapping[str, Split]) -> str:
    """Return the split of each video as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("video", "split"), *split_of.items()])
    return text.getvalue()


def draw(groups: Mapping[str, Group], shares: Shares, *, seed: int) -> dict[str, Split]:
    """Return the split of each group, stratified by class as far as the groups allow.

    No split is empty.

    Args:
        groups: groups by name, at least as many as splits.
        shares: fraction of the rows, by split.
        seed: random seed for the order of groups.
    """
    order = sorted(groups, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    train = {name: groups[name] for name in order}
    whole = Group()
    for group in groups.values():
        whole.add(group)
    split_of: dict[str, Split] = dict.fromkeys(order, "train")
    waiting = [split for split in shares if split != "train"]
    while waiting:
        split = waiting.pop(0)
        rest = shares["train"] + sum(shares[each] for each in waiting)
        taken = _take(train, whole, share=shares[split], rest=rest, keep=1 + len(waiting))
        split_of |= dict.fromkeys(taken, split)
    return split_of


def _take(
    train: dict[str, Group], whole: Group, *, share: float, rest: float, keep: int
) -> list[str]:
    """Move groups from `train` to a split until the split has its share of all rows. Each step
    moves the next group of the class that is most underrepresented in the split and most
    overrepresented in train. The last group of a class in train is moved only if there is no other
    group. At least one group moves.

    Args:
        train: groups not assigned to any other split, in random order.
        whole: rows of all groups.
        share: fraction of all rows for the split.
        rest: fraction of all rows for the remaining groups.
        keep: minimum number of groups that remain.
    """
    taken, names, lasts = Group(), list[str](), list[str]()
    left = Group()
    holders: Counter[str] = Counter()
    queues: dict[str, deque[str]] = {name: deque() for name in sorted(whole.classes)}
    for name, group in train.items():
        left.add(group)
        holders.update(group.classes.keys())
        for each in group.classes:
            queues[each].append(name)
    target = share * whole.rows
    smallest = min(group.rows for group in train.values())

    def lack(name: str) -> float:
        total = whole.classes[name]
        return (share * total - taken.classes[name]) + (left.classes[name] - rest * total)

    def fits(name: str) -> bool:
        return name in train and len(train) > keep and taken.rows + train[name].rows / 2 <= target

    def is_last(name: str) -> bool:
        return any(holders[each] == 1 for each in train[name].classes)

    def move(name: str) -> None:
        group = train.pop(name)
        names.append(name)
        taken.add(group)
        left.classes.subtract(group.classes)
        holders.subtract(group.classes.keys())

    while taken.rows + smallest / 2 <= target and any(queues.values()):
        next_one = queues[max(filter(queues.get, queues), key=lack)].popleft()
        if fits(next_one):
            lasts.append(next_one) if is_last(next_one) else move(next_one)
    for name in lasts:
        if fits(name):
            move(name)
    if not names:
        move(min(train, key=lambda name: (is_last(name), train[name].rows)))
    return names
