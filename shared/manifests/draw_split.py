"""Drawing which videos train, validate and test, for `orn manifest new --split`.

What is drawn is kept in a table of its own (`split_table` of a manifest), so that rows which are
added later move no video to another split.
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
    """A split that is to be drawn."""

    text: str
    """The shares as the user wrote them, such as "80/10/10"."""
    seed: int = 0
    """With the names of videos or groups it gives the order in which they leave train."""
    group: str | None = None
    """Column of the table; videos with the same value in it stay together."""

    @property
    def options(self) -> str:
        """The options of `orn manifest new` that ask for it."""
        group = "" if self.group is None else f" --group {escape(shlex.quote(self.group))}"
        return f"--split {self.text} --seed {self.seed}{group}"


@dataclass(slots=True, kw_only=True)
class Group:
    """Rows of a label table that stay together: of one video, or of all videos of one person."""

    rows: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    """How many of the rows have each class."""

    def add(self, other: "Group") -> None:
        """Add the rows of another one."""
        self.rows += other.rows
        self.classes.update(other.classes)


class _GroupedRow(LabelledRow):
    group: Annotated[str, Field(min_length=1)]


def parse_shares(text: str) -> Shares:
    """Return the share of each split, from a text such as "80/10/10" or "80/20".

    Raises:
        ConfigError: if these are not two or three percentages that add up to 100.
    """
    try:
        shares = [float(part) / 100 for part in text.split("/")]
    except ValueError:
        shares = []
    is_valid = len(shares) in (2, 3) and min(shares) > 0 and math.isclose(sum(shares), 1)
    if not is_valid:
        raise ConfigError(
            "--split: expected percentages of train, validation and, where wanted, test that add "
            f"up to 100, such as 80/10/10 or 80/20, got {text!r}"
        )
    return dict(zip(SPLITS, shares, strict=False))


def draw_table(table: Path, request: SplitRequest) -> dict[str, Split]:
    """Return the split of each video of a label table, in the table's order.

    The order of its rows makes no difference.

    Raises:
        ManifestError: naming the rows whose group cannot be used.
        ConfigError: if the shares are not valid, or more splits are asked for than there are videos
            or groups.
    """
    shares = parse_shares(request.text)
    groups: dict[str, Group] = {}
    group_of: dict[str, str] = {}
    column = request.group or "video"

    def add(row: _GroupedRow) -> None:
        if group_of.setdefault(row.video, row.group) != row.group:
            raise ValueError(
                f"expected one {column} for all rows of video {row.video!r}, got "
                f"{group_of[row.video]!r} and {row.group!r}; give all the same"
            )
        classes = Counter({part.strip() for part in row.label.split(LABEL_SEPARATOR)})
        groups.setdefault(row.group, Group()).add(Group(rows=1, classes=classes))

    read_rows(table, "the label table", _GroupedRow, add, columns={"group": column})
    if len(groups) < len(shares):
        raise ConfigError(
            f"{table}: expected at least {len(shares)} values of {column!r} for {len(shares)} "
            f"splits, got {len(groups)}; ask for fewer splits, such as --split 80/20, or add videos"
        )
    split_of = draw(groups, shares, seed=request.seed)
    return {video: split_of[name] for video, name in group_of.items()}


def split_text(split_of: Mapping[str, Split]) -> str:
    """Return the CSV file that says which split each video is in."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("video", "split"), *split_of.items()])
    return text.getvalue()


def draw(groups: Mapping[str, Group], shares: Shares, *, seed: int) -> dict[str, Split]:
    """Return the split of each group: each split has its share of the rows and, as far as groups
    allow, of the rows of each class, and none is empty.

    Args:
        groups: by name, at least as many as `shares` has splits.
        shares: of the rows, by split.
        seed: with the names of groups it gives the order in which they leave train.
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
    """Take groups for a split out of `train`, each time the next one of the class of which the
    split lacks most and train has most too many, as long as that brings the split nearer to its
    share of all rows.

    The last group of a class in train goes only where no other is left. At least one group goes.

    Args:
        train: groups that are in no other split yet, in the order in which they leave.
        whole: the rows of all groups.
        share: of all rows, for the split.
        rest: of all rows, for those that stay.
        keep: how many groups stay at least.
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
