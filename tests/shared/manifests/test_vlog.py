"""VLOG's published files."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from orn.shared.errors import ManifestError
from orn.shared.manifests import vlog
from orn.shared.manifests.manifest import VlogLabels
from orn.shared.manifests.records import Listing, Segment

SPEC = VlogLabels(format="vlog")
NO, UNSURE, YES = -1, 0, 1


def write(
    folder: Path, matrix: npt.ArrayLike, *, ids: str = "O/a/1/\nO/b/2/\n", splits: str = "0\n2\n"
) -> None:
    (folder / "meta" / "hand_object").mkdir(parents=True, exist_ok=True)
    (folder / SPEC.list).write_text(ids)
    (folder / SPEC.splits).write_text(splits)
    (folder / SPEC.classes).write_text("bag\nbed\nbowl")
    np.save(folder / SPEC.matrix, np.asarray(matrix))


def read(folder: Path, *, labels: bool = True, partial: bool = False) -> Listing:
    return vlog.read(SPEC, folder, labels=labels, partial=partial)


def test_lines_belong_together(tmp_path: Path) -> None:
    matrix = np.array([[YES, NO, YES], [NO, UNSURE, YES]])
    for kind in (matrix, np.asfortranarray(matrix), matrix.astype(">f4")):
        write(tmp_path, kind)
        assert read(tmp_path) == Listing(
            classes=("bag", "bed", "bowl"),
            video_ids=("O/a/1", "O/b/2"),
            segments=(
                Segment(id="O/a/1", video_id="O/a/1", split="test", labels=(0, 2)),
                Segment(id="O/b/2", video_id="O/b/2", split="train", labels=(2,), unsure=(1,)),
            ),
        )


def test_matrix_of_zeros_and_ones_is_sure(tmp_path: Path) -> None:
    write(tmp_path, np.array([[0, 0, 0], [0, 1, 0]], dtype=np.float64))
    segments = read(tmp_path).segments
    assert [(segment.labels, segment.unsure) for segment in segments] == [((), ()), ((1,), ())]


def test_what_need_not_be_there(tmp_path: Path) -> None:
    write(tmp_path, np.zeros((2, 3)))
    (tmp_path / SPEC.matrix).unlink()
    assert read(tmp_path, partial=True).absent == (SPEC.matrix,)
    (tmp_path / SPEC.classes).unlink()
    splits = [segment.split for segment in read(tmp_path, labels=False).segments]
    assert splits == ["test", "train"]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[0, 0, 0]], r"a NumPy array of numbers of shape \(2, 3\) .*got int64 of shape \(1, 3\)"),
        ([[0, 0, 0], [0, 2, 0]], "-1, 0 or 1, got 2 in row 1, column 1"),
    ],
)
def test_matrix_that_does_not_fit(tmp_path: Path, matrix: npt.ArrayLike, message: str) -> None:
    write(tmp_path, matrix)
    with pytest.raises(ManifestError, match=rf"hand_object\.npy: expected {message}"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("ids", "splits", "message"),
    [
        ("O/a/1/\n", "0\n2\n", r"splitId\.txt: expected one number for each of 1 .* got 2"),
        ("O/a/1/\nO/b/2/\n", "0\n7\n", r"splitId\.txt, row 2: expected one of 0, 1, 2, 3, got '7'"),
        ("O/a/1/\nO/a/1/\n", "0\n2\n", r"manifest\.txt, row 2: .*'O/a/1' twice"),
        ("O/a/1/\n../x/\n", "0\n2\n", r"row 2: expected a path .*got '\.\./x'"),
    ],
)
def test_lists_that_do_not_fit(tmp_path: Path, ids: str, splits: str, message: str) -> None:
    write(tmp_path, np.zeros((2, 3)), ids=ids, splits=splits)
    with pytest.raises(ManifestError, match=message):
        read(tmp_path)


def test_a_number_in_two_splits_is_refused() -> None:
    with pytest.raises(ValueError, match=r"each number in one split only, got \[0, 1, 3, 3\]"):
        VlogLabels(format="vlog", train=(1, 3))
