"""The published files of VLOG (Fouhey et al. 2018).

`manifest.txt` names one clip a line, with a slash at the end; line i of `splitId.txt` and row i of
`hand_object.npy` belong to line i of it. The matrix holds 1 for "touches this class", -1 for "does
not" and 0 for "the annotators could not tell".
"""

import itertools
import math
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from orn.shared.config.bounded import read_bounded
from orn.shared.data_files import not_a_file
from orn.shared.errors import ManifestError
from orn.shared.manifests.problems import Problems
from orn.shared.manifests.records import Listing, Segment
from orn.shared.manifests.schema import NumberSplit, VlogLabels
from orn.shared.manifests.text_files import read_class_names, read_lines, require_file
from orn.shared.text_table import counted

_MOST_BYTES = 2**28
_MOST_LABELS = 2**24
"""Of the matrix; the published one has 3.5 million."""
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""By the version of the format; the third is for names of columns, of which there are none."""


def read(
    spec: VlogLabels, split: NumberSplit, folder: Path, *, labels: bool, partial: bool = False
) -> Listing:
    """What the published files say; a segment is a whole clip and has the clip's id.

    Args:
        labels: False leaves labels empty and needs neither the label matrix nor the class names.
        partial: whether to do without the label matrix, which is then named as absent.

    Raises:
        DataRootError: naming the file that is not there.
        ManifestError: naming the file, and line or shape, that does not fit the others.
    """
    video_ids = _read_ids(folder / spec.list)
    splits = _read_splits(folder / spec.splits, split, num_videos=len(video_ids))
    absent = (spec.matrix,) if partial and not_a_file(folder / spec.matrix) else ()
    classes = read_class_names(folder / spec.classes) if labels else ()
    held: list[tuple[int, ...]] = [()] * len(video_ids)
    unsure = held
    if labels and not absent:
        matrix_NA = _read_matrix(folder / spec.matrix, shape=(len(video_ids), len(classes)))
        held = _columns_of_rows(matrix_NA > 0)
        if (matrix_NA < 0).any():  # a matrix of only 0 and 1 says "no" by 0
            unsure = _columns_of_rows(matrix_NA == 0)
    segments = tuple(
        Segment(id=video_id, video_id=video_id, split=name, labels=row, unsure=unsure_row)
        for video_id, name, row, unsure_row in zip(video_ids, splits, held, unsure, strict=True)
    )
    return Listing(classes=classes, video_ids=video_ids, segments=segments, absent=absent)


def _read_ids(path: Path) -> tuple[str, ...]:
    problems = Problems(path=path)
    seen: dict[str, int] = {}
    for line, text in enumerate(read_lines(path, "VLOG's list of clips"), start=1):
        video_id = text.strip(" \r").removesuffix("/")
        if problems.check_id(line, video_id) and video_id in seen:
            problems.add(line, f"clip {video_id!r} is listed before, on line {seen[video_id]}")
        seen[video_id] = line
    problems.raise_if_any()
    return tuple(seen)


def _read_splits(path: Path, split: NumberSplit, *, num_videos: int) -> list[str]:
    lines = read_lines(path, "VLOG's split numbers")
    if len(lines) != num_videos:
        raise ManifestError(
            f"{path}: wanted one number for each of {counted(num_videos, 'listed clip')}, "
            f"found {len(lines)}"
        )
    names = {str(number): name for number, name in split.names().items()}
    problems = Problems(path=path)
    for line, text in enumerate(lines, start=1):
        if text.strip() not in names:
            problems.add(line, f"wanted one of {', '.join(sorted(names))}, found {text!r}")
    problems.raise_if_any()
    return [names[text.strip()] for text in lines]


def _read_matrix(path: Path, *, shape: tuple[int, int]) -> npt.NDArray[np.int8]:
    """The label matrix as int8; never unpickles anything, nor makes room for more than there is."""
    require_file(path, "VLOG's label matrix (clips x classes)")
    content = BytesIO(read_bounded(path, most_bytes=_MOST_BYTES, error=ManifestError))
    try:
        header = _HEADERS[np.lib.format.read_magic(content)]
        found, in_columns, dtype = header(content)
    except Exception as err:  # numpy evaluates the header as Python, and lets all that raises pass
        raise ManifestError(f"{path}: wanted a numpy array of numbers ({err})") from err
    if found != shape:
        raise ManifestError(f"{path}: wanted shape {shape} (clips x classes), found {found}")
    if dtype.kind not in "biuf":
        raise ManifestError(f"{path}: wanted a numpy array of numbers, found one of {dtype}")
    data = content.read()
    if len(data) != math.prod(shape) * dtype.itemsize or math.prod(shape) > _MOST_LABELS:
        raise ManifestError(
            f"{path}: wanted a numpy array of {math.prod(shape)} numbers of {dtype}, at most "
            f"{_MOST_LABELS:,}, found {len(data)} bytes of them"
        )
    matrix_NA = np.frombuffer(data, dtype).reshape(shape, order="F" if in_columns else "C")
    is_label_NA = (matrix_NA == -1) | (matrix_NA == 0) | (matrix_NA == 1)
    if not is_label_NA.all():
        row, column = np.argwhere(~is_label_NA)[0]
        raise ManifestError(
            f"{path}: wanted -1, 0 or 1, found {matrix_NA[row, column]} "
            f"in row {row}, column {column} (from 0)"
        )
    return matrix_NA.astype(np.int8)


def _columns_of_rows(chosen_NA: npt.NDArray[np.bool_]) -> list[tuple[int, ...]]:
    """For each row the indices of its true columns, ascending."""
    rows, columns = np.nonzero(chosen_NA)
    offsets = np.searchsorted(rows, np.arange(len(chosen_NA) + 1)).tolist()
    flat = columns.tolist()
    return [tuple(flat[a:b]) for a, b in itertools.pairwise(offsets)]
