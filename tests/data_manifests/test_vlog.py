"""VLOG's published files."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from orn.data_manifests import vlog
from orn.data_manifests.manifest import VlogLabels
from orn.data_manifests.records import Listing, Segment

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
