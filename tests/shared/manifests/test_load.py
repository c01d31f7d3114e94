"""Data sets by name or file, as they lie on a disk."""

import logging
from pathlib import Path

import pytest

from orn.shared.errors import DataRootError, ManifestError, UnknownDatasetError
from orn.shared.manifests.load import (
    dataset_names,
    load_dataset,
    load_listing,
    load_manifest,
    shipped_detectors,
)
from orn.shared.manifests.records import DetectorChoice, Video


def test_shipped_manifests_are_valid_and_named_like_their_files() -> None:
    names = dataset_names()
    assert {"demo", "demo-long", "demo-touch", "epic", "something", "vlog"} <= set(names)
    assert [load_manifest(name).name for name in names] == names


def test_how_to_get_each_data_set_is_written_down() -> None:
    page = load_manifest("epic").source.with_name("README.md").read_text()
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    named = {name.strip() for line in headings for name in line[3:].split(":")[0].split(",")}
    assert set(dataset_names()) <= named


def test_numbers_of_the_paper() -> None:
    settings = {
        name: (load_manifest(name).clip_frames, load_manifest(name).metric)
        for name in ("epic", "something", "vlog")
    }
    assert settings == {"epic": (4, "top1"), "something": (8, "top1"), "vlog": (4, "map")}


def test_dataset_of_ones_own(mine: Path, tmp_path: Path) -> None:
    dataset = load_dataset(mine, tmp_path)
    folder = tmp_path / "mine"
    assert dataset.name == "mine"
    assert dataset.root == folder
    assert dataset.clip_frames == 4
    assert dataset.classes == ("open", "close")
    assert dataset.videos == (
        Video(id="a", path=folder / "videos/a.mp4"),
        Video(id="b", path=folder / "videos/b.mp4"),
    )
    assert dataset.missing == ("c",)
    assert [segment.id for segment in dataset.segments] == ["a", "b"]
    assert len(load_listing(load_manifest(mine), tmp_path).segments) == 3


def test_unknown_name_lists_the_nearest_first() -> None:
    with pytest.raises(UnknownDatasetError) as caught:
        load_manifest("vlgo")
    assert "no data set is called 'vlgo'; there are vlog, " in str(caught.value)
    assert all(name in str(caught.value) for name in dataset_names())


@pytest.mark.parametrize("name", ["none/such.toml", "such.toml", "../data_manifests/vlog"])
def test_file_that_is_not_there(name: str) -> None:
    with pytest.raises(UnknownDatasetError, match="no such manifest file"):
        load_manifest(name)


def test_missing_data_root_says_where_and_how(tmp_path: Path) -> None:
    with pytest.raises(DataRootError) as caught:
        load_dataset("vlog", tmp_path / "nowhere")
    message = str(caught.value)
    assert f"got no folder {tmp_path / 'nowhere'};" in message
    assert "--data" in message
    assert "ORN_DATA" in message


def test_missing_folder_of_the_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataRootError) as caught:
        load_dataset("vlog", tmp_path)
    message = str(caught.value)
    assert "data set 'vlog': expected" in message
    assert f"got no folder {tmp_path / 'vlog'};" in message
    assert "--data" in message


def test_ids_are_checked_before_any_file_is_looked_for(mine: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").touch()
    (tmp_path / "mine" / "labels.csv").write_text("video,label\n../../secret,open\n")
    with pytest.raises(ManifestError, match=r"video id '\.\./\.\./secret' would leave"):
        load_dataset(mine, tmp_path, labels=False)


def test_without_labels_tables_need_not_be_there(mine: Path, tmp_path: Path, caplog) -> None:
    (tmp_path / "mine" / "labels.csv").unlink()
    (tmp_path / "mine" / "classes.txt").unlink()
    with caplog.at_level(logging.INFO):
        dataset = load_dataset(mine, tmp_path, labels=False)
    assert [video.id for video in dataset.videos] == ["a", "b"]
    assert dataset.segments == ()
    assert dataset.missing == ()
    assert "no label tables; taking the 2 videos" in caplog.text
    with pytest.raises(
        DataRootError, match=r"labels\.csv: no such file|classes\.txt: no such file"
    ):
        load_dataset(mine, tmp_path)


def test_rate_of_frame_folders_goes_to_the_videos(mine: Path, tmp_path: Path) -> None:
    text = mine.read_text().replace('"clips"', '"frames"')
    mine.write_text(text.replace('pattern = "videos/{id}.mp4"', 'pattern = "f/{id}"\nrate = 12'))
    (tmp_path / "mine" / "f" / "a").mkdir(parents=True)
    (video,) = load_dataset(mine, tmp_path).videos
    assert video == Video(id="a", path=tmp_path / "mine" / "f" / "a", rate=12.0)


def test_weights_lie_beside_the_manifest(mine: Path, tmp_path: Path) -> None:
    detector = '[detector]\nconfig = "solo_r50_fpn_1x_coco"\ncheckpoint = "d/c.pth"\n'
    mine.write_text(mine.read_text() + detector)
    found = load_dataset(mine, tmp_path).detector
    assert found == DetectorChoice(
        config="solo_r50_fpn_1x_coco", checkpoint=tmp_path / "d" / "c.pth"
    )


def test_a_shipped_detector_brings_its_weights(mine: Path, tmp_path: Path) -> None:
    mine.write_text(mine.read_text() + '[detector]\nconfig = "mask_rcnn_demo"\n')
    assert load_dataset(mine, tmp_path).detector == shipped_detectors()["mask_rcnn_demo"]


@pytest.mark.real_data
@pytest.mark.parametrize("rate", [60])
def test_published_epic_frames(sample_data: Path, tmp_path: Path, rate: int) -> None:
    source = load_manifest("epic").source.read_text()
    text = source.replace('form = "segments"', 'form = "frames"')
    text = text.replace('"videos/{person}/{id}.MP4"', f'"frames/{{person}}/{{id}}"\nrate = {rate}')
    path = tmp_path / "epic-frames.toml"
    path.write_text(text)
    dataset = load_dataset(path, sample_data)
    frames = sample_data / "epic" / "frames" / "P01" / "P01_01"
    assert dataset.videos == (Video(id="P01_01", path=frames, rate=60.0),)
    assert len(dataset.missing) == 271
    assert all(segment.video_id == "P01_01" for segment in dataset.segments)


@pytest.mark.real_data
def test_videos_of_something_without_its_lists(sample_data: Path) -> None:
    dataset = load_dataset("something", sample_data, labels=False)
    assert [video.id for video in dataset.videos] == ["166766"]
