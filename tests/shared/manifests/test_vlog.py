"""VLOG's published files."""

from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from orn.shared.errors import DataRootError, ManifestError
from orn.shared.manifests import vlog
from orn.shared.manifests.load import load_dataset, load_listing, load_manifest
from orn.shared.manifests.records import Listing, Segment
from orn.shared.manifests.schema import NumberSplit, VlogLabels

SPEC = VlogLabels(format="vlog")
SPLIT = NumberSplit(rule="number")
NO, UNSURE, YES = -1, 0, 1


def write(
    folder: Path, matrix: npt.ArrayLike, *, ids: str = "O/a/1/\nO/b/2/\n", splits: str = "0\n2\n"
) -> None:
    (folder / "meta" / "hand_object").mkdir(parents=True, exist_ok=True)
    (folder / SPEC.list).write_text(ids)
    (folder / SPEC.splits).write_text(splits)
    (folder / SPEC.classes).write_text("bag\nbed\nbowl")
    np.save(folder / SPEC.matrix, np.asarray(matrix))


def read(folder: Path, *, labels: bool = True) -> Listing:
    return vlog.read(SPEC, SPLIT, folder, labels=labels)


def test_lines_belong_together(tmp_path: Path) -> None:
    write(tmp_path, [[YES, NO, YES], [NO, UNSURE, YES]])
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
    assert [segment.labels for segment in read(tmp_path).segments] == [(), (1,)]
    assert [segment.unsure for segment in read(tmp_path).segments] == [(), ()]


def test_without_labels_matrix_and_names_are_not_needed(tmp_path: Path) -> None:
    write(tmp_path, [[0, 0, 0], [0, 1, 0]])
    (tmp_path / SPEC.matrix).unlink()
    (tmp_path / SPEC.classes).unlink()
    assert [segment.split for segment in read(tmp_path, labels=False).segments] == ["test", "train"]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[0, 0], [0, 1]], r"hand_object\.npy: wanted shape \(2, 3\) .*found \(2, 2\)"),
        ([[0, 0, 0]], r"wanted shape \(2, 3\) .*found \(1, 3\)"),
        ([[0, 0, 0], [0, 2, 0]], "wanted -1, 0 or 1, found 2 in row 1, column 1"),
        ([[0, 0, 0], [0, np.nan, 0]], "wanted -1, 0 or 1, found nan in row 1, column 1"),
    ],
)
def test_matrix_that_does_not_fit(tmp_path: Path, matrix: npt.ArrayLike, message: str) -> None:
    write(tmp_path, matrix)
    with pytest.raises(ManifestError, match=message):
        read(tmp_path)


def test_pickled_matrix_is_never_opened(tmp_path: Path) -> None:
    write(tmp_path, np.array([[0, 0, 0], [0, 1, 0]], dtype=object))
    with pytest.raises(ManifestError, match="wanted a numpy array of numbers"):
        read(tmp_path)


def test_matrix_that_is_cut_off(tmp_path: Path) -> None:
    write(tmp_path, [[0, 0, 0], [0, 1, 0]])
    path = tmp_path / SPEC.matrix
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ManifestError, match=r"hand_object\.npy: wanted a numpy array"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("ids", "splits", "message"),
    [
        ("O/a/1/\n", "0\n2\n", r"splitId\.txt: wanted one number for each of 1 .* found 2"),
        (
            "O/a/1/\nO/b/2/\n",
            "0\n7\n",
            r"splitId\.txt: .*line 2: wanted one of 0, 1, 2, 3, found '7'",
        ),
        ("O/a/1/\nO/a/1/\n", "0\n2\n", "line 2: clip 'O/a/1' is listed before, on line 1"),
        ("O/a/1/\n\nO/b/2/\n", "0\n2\n1\n", "line 2: video id '' is empty"),
        ("O/a/1/\n../x/\n", "0\n2\n", "line 2: video id '../x' would leave"),
        ("O/a/1/\n/etc/\n", "0\n2\n", "line 2: video id '/etc' is an absolute path"),
    ],
)
def test_lists_that_do_not_fit(tmp_path: Path, ids: str, splits: str, message: str) -> None:
    write(tmp_path, np.zeros((2, 3)), ids=ids, splits=splits)
    with pytest.raises(ManifestError, match=message):
        read(tmp_path)


@pytest.mark.parametrize("name", [SPEC.list, SPEC.splits, SPEC.classes, SPEC.matrix])
def test_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path, np.zeros((2, 3)))
    (tmp_path / name).unlink()
    with pytest.raises(DataRootError, match=f"{tmp_path / name}: no such file"):
        read(tmp_path)


@pytest.mark.real_data
def test_published_list(sample_data: Path) -> None:
    dataset = load_dataset("vlog", sample_data, labels=False)
    assert [video.id for video in dataset.videos] == [
        "O/5/E/v_vAqaXZuAO5E/075",
        "o/p/Y/v_7Tsrimk7opY/052",
    ]
    assert dataset.videos[0].path == sample_data / "vlog/videos/o/5/E/v_vAqaXZuAO5E/075/clip.mp4"
    assert dataset.ignoring_case == ("O/5/E/v_vAqaXZuAO5E/075",)
    assert len(dataset.missing) == 113_837
    assert [segment.split for segment in dataset.segments] == ["train", "validation"]


@pytest.mark.real_data
def test_published_splits(sample_data: Path) -> None:
    listing = load_listing(load_manifest("vlog"), sample_data, labels=False)
    counts = Counter(segment.split for segment in listing.segments)
    assert counts == {"test": 28_034, "train": 28_956 + 29_970, "validation": 26_879}


@pytest.mark.real_data
def test_matrix_that_is_not_there_is_named(sample_data: Path) -> None:
    with pytest.raises(DataRootError, match=r"vlog/meta/hand_object/hand_object\.npy: no such"):
        load_dataset("vlog", sample_data)
