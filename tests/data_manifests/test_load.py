"""Data sets by name or file, as they lie on a disk, and what is said of those that do not."""

from pathlib import Path

import pytest

from orn.data_manifests.load import (
    dataset_names,
    files_of,
    load_dataset,
    load_listing,
    load_manifest,
    shipped_detectors,
    video_rates,
)
from orn.data_manifests.manifest import Videos
from orn.data_manifests.records import DetectorChoice, Video
from orn.shared.errors import DataRootError, ManifestError


def test_shipped_manifests_are_valid_named_like_their_files_and_described() -> None:
    names = dataset_names()
    assert {"demo", "epic", "something", "vlog"} <= set(names)
    assert [load_manifest(name).name for name in names] == names
    page = load_manifest("epic").file.with_name("README.md").read_text()
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert set(names) <= {
        name.strip() for line in headings for name in line[3:].split(":")[0].split(",")
    }


def test_dataset_of_ones_own(mine: Path, tmp_path: Path) -> None:
    dataset = load_dataset(mine, tmp_path)
    folder = tmp_path / "mine"
    assert (dataset.name, dataset.root, dataset.clip_frames) == ("mine", folder, 4)
    assert dataset.classes == ("open", "close")
    assert dataset.videos == (
        Video(id="a", path=folder / "videos/a.mp4"),
        Video(id="b", path=folder / "videos/b.mp4"),
    )
    assert dataset.missing == ("c",)
    assert [segment.id for segment in dataset.segments] == ["a", "b"]
    assert len(load_listing(load_manifest(mine), tmp_path).segments) == 3
    assert set(files_of(mine, tmp_path)) >= {
        *(mine, folder / "labels.csv", folder / "classes.txt", folder / "videos/a.mp4")
    }
    assert list(files_of("none", tmp_path)) == []


def test_listed_videos_that_are_not_there(mine: Path, tmp_path: Path) -> None:
    rows = "".join(f"v{i},open\n" for i in range(9))
    (tmp_path / "mine" / "labels.csv").write_text(f"video,label\n{rows}")
    with pytest.raises(DataRootError, match=r"got none of 9 .*\(v0, v1, v2, \.\.\.\).*own_videos"):
        load_dataset(mine, tmp_path, needs_videos=True)
    with pytest.raises(DataRootError, match="`make demo`"):
        load_dataset("demo", tmp_path)


def test_without_labels_only_videos_are_read(mine: Path, tmp_path: Path) -> None:
    (tmp_path / "mine" / "labels.csv").write_text("video,label\n../../secret,open\n")
    with pytest.raises(ManifestError, match=r"column 'video': .*got '\.\./\.\./secret'"):
        load_dataset(mine, tmp_path, labels=False)
    (tmp_path / "mine" / "labels.csv").write_text("video,label\na,unknown\n")
    (tmp_path / "mine" / "classes.txt").unlink()
    dataset = load_dataset(mine, tmp_path, labels=False)
    assert [video.id for video in dataset.videos] == ["a"]


def test_detectors(mine: Path, tmp_path: Path) -> None:
    text = mine.read_text()
    mine.write_text(f'{text}[detector]\nconfig = "solo_r50_fpn_1x_coco"\n')
    assert load_dataset(mine, tmp_path).detector == DetectorChoice(config="solo_r50_fpn_1x_coco")
    mine.write_text(f'{text}[detector]\nconfig = "mask_rcnn_demo"\n')
    assert load_dataset(mine, tmp_path).detector == shipped_detectors()["mask_rcnn_demo"]


def test_the_first_pattern_of_rates_that_fits_counts() -> None:
    videos = Videos(pattern="{id}", rate=60, rates={"P??_???": 50, "P01_*": 30})
    ids = ["P01_101", "P01_01", "P02_01", "p02_101"]
    assert list(video_rates(videos, ids).values()) == [50, 30, 60, 60]
    assert video_rates(Videos(pattern="{id}.mp4"), ["a"]) == {"a": None}
    published = load_manifest("epic100-frames").videos  # 60 for the videos of EPIC Kitchens 55
    assert video_rates(published, ids[:2]) == {"P01_101": 50, "P01_01": 60}
