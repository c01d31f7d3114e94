"""Warnings about splits that are too small for reliable results."""

from collections.abc import Iterable, Sequence
from typing import Any

from orn.data_manifests.manifest import TableLabels
from orn.data_manifests.records import SPLITS, Segment
from orn.shared.text import counted, first_few

_FEW_FOR_A_SPLIT = 300
"""Number of clips below which cross-validation is advised."""
_FEW_CLIPS = 20
"""Splits with fewer clips have a warning."""


def split_warnings(segments: Iterable[Segment], classes: Sequence[str]) -> list[str]:
    """Return a warning for each split that has few segments or lacks classes."""
    of_split: dict[str, list[Segment]] = {split: [] for split in SPLITS}
    for segment in segments:
        of_split[segment.split].append(segment)
    found = []
    for split, own in of_split.items():
        if 0 < len(own) < _FEW_CLIPS:
            found.append(
                f"{split} split: expected at least {_FEW_CLIPS} clips for reliable results, got "
                f"{len(own)}; add videos or change the split"
            )
        used = {label for each in own for label in (*each.labels, *each.unsure)}
        lacking = [name for label, name in enumerate(classes) if label not in used]
        if used and lacking:  # labels of some test splits are not published
            found.append(
                f"{split} split: no clip of {counted(len(lacking), 'class', 'classes')}: "
                f"{first_few(lacking)}"
            )
    return found


def split_advice(labels: Any, segments: Sequence[Segment], classes: Sequence[str]) -> list[str]:
    """Return the warnings about the splits, and for a small table with a drawn split the advice to
    cross-validate; none for folds, which are evaluated together."""
    is_table = isinstance(labels, TableLabels)
    if is_table and labels.folds:
        return []
    warnings = split_warnings(segments, classes)
    if not is_table or not labels.split_table or len(segments) >= _FEW_FOR_A_SPLIT:
        return warnings
    return [
        f"expected at least {_FEW_FOR_A_SPLIT} clips for one split, got {len(segments)}; "
        "cross-validate with --folds 5 (`orn manifest new TABLE.csv --folds 5 --fresh`)",
        *warnings,
    ]
