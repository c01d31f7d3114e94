"""The folds of a cross-validation: columns in a table of splits, in which every video is tested
once."""

from dataclasses import astuple, make_dataclass
from pathlib import Path
from typing import Any

from orn.data_manifests.records import Split
from orn.data_manifests.text_files import SPLIT_NAMES, each_row, read_rows
from orn.shared.errors import ManifestError
from orn.shared.text import first_few

ALL = "all"
"""Column of a table of folds in which every video is used for training."""


def fold_names(number: int) -> tuple[str, ...]:
    """Return the names of folds, which are columns of the table of splits."""
    return tuple(f"fold-{fold}" for fold in range(1, number + 1))


(FIRST_FOLD,) = fold_names(1)
"""Name of the fold that every cross-validation has."""


def read_folds(path: Path, num_folds: int, column: str) -> dict[str, Split]:
    """Return the split of each video in one column of a table of folds.

    Args:
        path: the table.
        num_folds: number of folds.
        column: name of a fold, or `ALL`.

    Raises:
        DataRootError: if the table does not exist.
        ManifestError: if rows are invalid in any column, or a video is not tested exactly once.
    """
    names = (*fold_names(num_folds), ALL)
    if column not in names:
        raise ManifestError(
            f"labels.split: expected {names[0]} to {names[-2]} or {ALL} for {num_folds} folds, got "
            f"{column!r}; correct the manifest"
        )
    columns = {f"column_{place}": name for place, name in enumerate(names)}
    row_type: Any = make_dataclass("FoldsRow", [("video", str), *((name, str) for name in columns)])
    rows = read_rows(path, "the table of folds", row_type, columns=columns)
    place = names.index(column)

    def split_of(row: Any) -> tuple[str, Split]:
        video, *cells = astuple(row)
        splits = [SPLIT_NAMES.get(cell.lower()) for cell in cells]
        for name, cell, split in zip(names, cells, splits, strict=True):
            if split is None:
                raise ValueError(
                    f"column {name!r}: expected train, validation or test, got {cell[:80]!r}"
                )
        tested = [name for name, split in zip(names, splits, strict=True) if split == "test"]
        if len(tested) != 1 or tested == [ALL]:
            raise ValueError(
                f"expected video {video[:80]!r} in the test split of one fold, got "
                f"{first_few(tested) or 'none'}"
            )
        found = splits[place]
        assert found is not None
        return video, found

    return dict(each_row(path, rows.items(), split_of, id_of=lambda pair: pair[0]))
