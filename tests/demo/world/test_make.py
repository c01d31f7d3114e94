"""A world is the same however it is drawn, goes on where it was, and never mixes with another;
its true objects are written as shards."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.demo.world import make as world
from orn.demo.world.films import true_films
from orn.demo.world.make import write_dataset
from orn.demo.world.parameters import ACTIVITIES, TOUCHABLE, WorldParameters
from orn.demo.world.truth_shards import write_truth_shards
from orn.shared.errors import ConfigError, DataRootError
from orn.shared.masks import rle
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.verify import verify_shard
from orn.shared.video.read import content_digest, read_frames

FILMS = {
    "demo": (5, 2, 0),
    "demo-touch": (2, 0, 0),
    "demo-long": (1, 0, 0),
    "demo-places": (2, 0, 0),
    "demo-classes": (1, 0, 0),
}


def draw(
    root: Path, dataset: str = "demo", *, seed: int = 0, workers: int = 1, **parameters
) -> int:
    return write_dataset(
        dataset,
        root,
        films=FILMS[dataset],
        parameters=WorldParameters(**parameters),
        seed=seed,
        workers=workers,
    )


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    for dataset in FILMS:
        draw(root, dataset)
    return root


def test_the_number_of_processes_changes_nothing(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "FILMS_PER_CHUNK", 2)
    assert draw(tmp_path, workers=2) == 7
    assert content(tmp_path / "demo") == content(drawn / "demo")


def test_an_interrupted_world_goes_on(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "FILMS_PER_CHUNK", 2)
    plan_film, planned = world.plan_film, []

    def killed_at_the_fifth(*asked):
        planned.append(asked)
        if len(planned) == 5:
            raise KeyboardInterrupt
        return plan_film(*asked)

    monkeypatch.setattr(world, "plan_film", killed_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path)
    assert not (tmp_path / "demo" / "labels.csv").exists()
    assert draw(tmp_path) == 3  # two chunks of two films were whole
    assert content(tmp_path / "demo") == content(drawn / "demo")


def test_a_whole_world_is_left_alone_and_another_refused(drawn: Path) -> None:
    assert draw(drawn) == 0
    with pytest.raises(ConfigError, match="changed: seed is 0 as recorded, 1 as requested; remove"):
        draw(drawn, seed=1)
    with pytest.raises(
        ConfigError, match=r"parameters\.decoy_probability is 0\.5 as recorded, 0\.0 "
    ):
        draw(drawn, decoy_probability=0.0)


def test_ground_truth_is_consistent(drawn: Path) -> None:
    document = json.loads((drawn / "demo" / "ground_truth" / "train.json").read_text())
    assert len(document["images"]) == 5 * WorldParameters().frames
    images = {image["id"]: image for image in document["images"]}
    for annotation in document["annotations"]:
        counts = annotation["segmentation"]["counts"].encode()
        x, y, width, height = annotation["bbox"]
        assert annotation["image_id"] in images
        assert rle.area(counts) == annotation["area"]
        np.testing.assert_array_equal(rle.bounding_box(counts, 120), [x, y, x + width, y + height])


def labels_and_truth(drawn: Path, dataset: str, part: str = "train") -> tuple[dict, dict]:
    """Labels by video from the table, and the document of the ground truth."""
    rows = (drawn / dataset / "labels.csv").read_text().splitlines()[1:]
    labels = {row.split(",")[0]: row.split(",")[1] for row in rows if row.endswith(part)}
    return labels, json.loads((drawn / dataset / "ground_truth" / f"{part}.json").read_text())


def test_labels_are_what_the_ground_truth_says(drawn: Path) -> None:
    for part in ("train", "validation"):
        labels, truth = labels_and_truth(drawn, "demo", part)
        assert labels == {v["name"]: v["relations"][0]["name"] for v in truth["videos"]}
    assert (drawn / "demo" / "classes.txt").read_text().splitlines() == list(ACTIVITIES)
    labels, truth = labels_and_truth(drawn, "demo-places")
    assert labels == {video["name"]: video["label"] for video in truth["videos"]}
    classes = (drawn / "demo-places" / "classes.txt").read_text().splitlines()
    assert classes == ["bowl", "cup", "vase", "none"]


def test_labels_of_objects_are_classes_that_the_film_shows(drawn: Path) -> None:
    _, truth = labels_and_truth(drawn, "demo-touch")
    names = {category["id"]: category["name"] for category in truth["categories"]}
    shown = {names[annotation["category_id"]] for annotation in truth["annotations"]}
    touched = {name for video in truth["videos"] for name in video["touched"]}
    assert touched <= shown & set(TOUCHABLE)
    assert touched
    labels, truth = labels_and_truth(drawn, "demo-classes")
    video_of = {image["id"]: image["video_id"] for image in truth["images"]}
    for video in truth["videos"]:
        seen = [a for a in truth["annotations"] if video_of[a["image_id"]] == video["id"]]
        shown = {names[annotation["category_id"]] for annotation in seen} - {"person"}
        assert labels[video["name"]] == ";".join(sorted(shown))
        assert len(shown) == 6


def test_segments_of_long_films_overlap_and_lie_inside(drawn: Path) -> None:
    lines = (drawn / "demo-long" / "labels.csv").read_text().splitlines()[1:]
    rows = [line.split(",") for line in lines]
    times = [(float(row[3]), float(row[4])) for row in rows if row[1] == "train-000000"]
    num_frames = len(list(read_frames(drawn / "demo-long" / "videos" / "train-000000.mp4")))
    assert len(times) == 12
    assert all(0 <= start < stop <= num_frames / 8 for start, stop in times)
    assert times[0][1] > times[1][0]
    assert times[1][1] <= times[2][0]


def test_parts_and_seeds_never_share_a_film() -> None:
    draws = {
        tuple(world.film_rng(seed, dataset, part, number).integers(2**31, size=3))
        for seed in (0, 1)
        for dataset in ("demo", "demo-touch")
        for part in ("train", "validation")
        for number in range(3)
    }
    assert len(draws) == 24


def test_shards_hold_what_the_films_show(drawn: Path, tmp_path: Path) -> None:
    assert write_truth_shards("demo", drawn, tmp_path) == 1
    assert verify_shard(tmp_path / "shard-000000.zarr.zip") == []
    video = DetectionFolder(tmp_path).video("train-000001")
    film = drawn / "demo" / "videos" / "train-000001.mp4"
    assert video.video.source_digest == content_digest(film)
    truth = json.loads((drawn / "demo" / "ground_truth" / "train.json").read_text())
    image = next(i for i in truth["images"] if i["video_id"] == 1 and i["frame_index"] == 3)
    expected = [
        a for a in truth["annotations"] if a["image_id"] == image["id"] and not a["iscrowd"]
    ]
    frame = video.frame(3)
    assert len(frame) == len(expected) > 3
    assert (frame.labels + 1).tolist() == [a["category_id"] for a in expected]
    assert frame.tracks.tolist() == [a["track_id"] for a in expected]
    assert DetectionFolder(tmp_path).has_tracks
    assert [rle.area(mask) for mask in frame.masks] == [a["area"] for a in expected]
    assert np.array_equal(np.flatnonzero(frame.class_scores[0]), [frame.labels[0]])


@pytest.mark.parametrize(("rate", "frames"), [("2.66667", [0, 3, 6, 9]), ("0.666667", [0])])
def test_shards_of_some_frames(
    orn: Any, drawn: Path, tmp_path: Path, rate: str, frames: list[int]
) -> None:
    orn("demo", "truth", "demo", "--data", drawn, "--out", tmp_path / "out", "--rate", rate)
    video = DetectionFolder(tmp_path / "out").video("train-000001")
    assert video.frame_indices.tolist() == frames
    seconds_F = np.arange(12) / 8
    wanted = [min(frames, key=lambda frame: (abs(frame - each), frame)) for each in range(12)]
    rows_F = video.nearest_rows(seconds_F, video_F=seconds_F)
    assert [frames[row] for row in rows_F] == wanted


def test_goes_on_and_refuses_another_world(drawn: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with pytest.raises(DataRootError, match="orn demo world"):
        write_truth_shards("demo", other, tmp_path)
    write_truth_shards("demo", drawn, tmp_path)
    assert write_truth_shards("demo", drawn, tmp_path) == 0
    draw(other, seed=1)
    with pytest.raises(ConfigError, match="settings have changed"):
        write_truth_shards("demo", other, tmp_path)


@pytest.mark.parametrize("name", ["world.json", "ground_truth/validation.json"])
def test_a_damaged_record_of_a_world_is_named(drawn: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(drawn / "demo", tmp_path / "demo")
    (tmp_path / "demo" / name).write_text('{"videos": [')
    with pytest.raises(ConfigError, match=Path(name).name):
        draw(tmp_path)
        true_films(tmp_path / "demo", "validation")
