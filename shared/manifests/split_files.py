"""The tables of a data set that has one for each split."""

from dataclasses import dataclass
from pathlib import Path

from shared.manifests.label_schema import Epic100Labels, SomethingLabels, SomethingV1Labels
from shared.manifests.records import Split

__all__ = ["SplitFiles", "split_files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFiles:
    """Which tables to read."""

    present: dict[Split, str]
    """For each split its file, relative to the data set's folder."""
    absent: tuple[str, ...]
    """Files that are left out since they are not there."""


def split_files(
    spec: Epic100Labels | SomethingLabels | SomethingV1Labels, folder: Path, *, partial: bool
) -> SplitFiles:
    """The tables that a manifest names.

    Args:
        partial: whether those that are not there may be left out, if another one is there.
    """
    named: dict[Split, str] = {"train": spec.train, "validation": spec.validation}
    if spec.test is not None:
        named["test"] = spec.test
    there = {split: name for split, name in named.items() if (folder / name).is_file()}
    present = there if partial and there else named
    absent = tuple(name for split, name in named.items() if split not in present)
    return SplitFiles(present=present, absent=absent)
