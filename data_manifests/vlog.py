"""Reader for the published files of VLOG (Fouhey et al. 2018).

`manifest.txt` has one clip per line, with a trailing slash; line i of `splitId.txt` and row i of
`hand_object.npy` belong to it. The label matrix contains 1 for contact with a class, -1 for no
contact, and 0 for unsure labels.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from orn.data_manifests.manifest import VlogLabels
from orn.data_manifests.records import Listing, Segment, Split
from orn.data_manifests.text_files import (
    VideoId,
    each_row,
    read_class_names,
    read_lines,
    require_file,
)
from orn.shared.data_files import not_a_file
from orn.shared.errors import ManifestError
from orn.shared.text import counted

_SPLITS: dict[str, Split] = {"0": "test", "1": "train", "2": "train", "3": "validation"}
"""Splits by their number in `splitId.txt`."""


def read(spec: VlogLabels, folder: Path, *, labels: bool, partial: bool = False) -> Listing:
    """Return the listing; a segment is a whole clip and has its id.

    Args:
        spec: paths of the files.
        folder: folder of the data set.
        labels: whether to read the label matrix and the class names.
        partial: whether to accept a missing label matrix, which is listed as absent.

    Raises:
        DataRootError: if a file is missing.
        ManifestError: if a file is invalid or does not match the others.
    """
    list_path, splits_path = folder / spec.list, folder / spec.splits
    check = TypeAdapter(VideoId).validate_python
    lines = read_lines(list_path, "VLOG's list of clips")
    ids = each_row(list_path, lines, lambda line: check(line.removesuffix("/")), id_of=str)

    def name_of(number: str) -> Split:
        if number not in _SPLITS:
            raise ValueError(f"expected one of {', '.join(_SPLITS)}, got {number!r}")
        return _SPLITS[number]

    numbers = read_lines(splits_path, "VLOG's split numbers")
    splits = each_row(splits_path, numbers, name_of)
    if len(splits) != len(ids):
        raise ManifestError(
            f"{splits_path}: expected one number for each of "
            f"{counted(len(ids), 'listed clip')}, got {len(splits)}; download both files again"
        )
    absent = (spec.matrix,) if partial and not_a_file(folder / spec.matrix) else ()
    classes = read_class_names(folder / spec.classes) if labels else {}
    held: list[tuple[int, ...]] = [()] * len(ids)
    unsure = held
    if labels and not absent:
        matrix_NA = _read_matrix(folder / spec.matrix, shape=(len(ids), len(classes)))
        held = _columns_of_rows(matrix_NA > 0)
        if (matrix_NA < 0).any():  # in a matrix with only 0 and 1, 0 is "no"
            unsure = _columns_of_rows(matrix_NA == 0)
    segments = tuple(
        Segment(id=video_id, video_id=video_id, split=name, labels=row, unsure=unsure_row)
        for video_id, name, row, unsure_row in zip(ids, splits, held, unsure, strict=True)
    )
    return Listing(classes=tuple(classes), video_ids=tuple(ids), segments=segments, absent=absent)


def _read_matrix(path: Path, *, shape: tuple[int, int]) -> npt.NDArray[np.int8]:
    """Return the label matrix as int8, without unpickling."""
    require_file(path, "VLOG's label matrix (clips x classes)")
    expected = f"{path}: expected a NumPy array of numbers of shape {shape} (clips x classes)"
    try:
        matrix_NA = np.lib.format.open_memmap(path, mode="r")
    except Exception as err:  # numpy evaluates the header, which can raise any exception
        raise ManifestError(f"{expected} ({err}); download it again") from err
    if matrix_NA.shape != shape or matrix_NA.dtype.kind not in "biuf":
        got = f"{matrix_NA.dtype} of shape {matrix_NA.shape}"
        raise ManifestError(f"{expected}, got {got}; download it and the lists of clips again")
    is_label_NA = (matrix_NA == -1) | (matrix_NA == 0) | (matrix_NA == 1)
    if not is_label_NA.all():
        row, column = np.argwhere(~is_label_NA)[0]
        raise ManifestError(
            f"{path}: expected -1, 0 or 1, got {matrix_NA[row, column]} in row {row}, column "
            f"{column} (from 0); download it again"
        )
    return matrix_NA.astype(np.int8)


def _columns_of_rows(chosen_NA: npt.NDArray[np.bool_]) -> list[tuple[int, ...]]:
    """Return the indices of the true columns of each row, ascending."""
    return [tuple(np.flatnonzero(row).tolist()) for row in chosen_NA]
