"""The leak report: numbers by hand, what follows from classes and what does not, real tables."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orn.shared.errors import JoinError
from orn.shared.manifests.load import load_listing, load_manifest
from orn.shared.manifests.records import Listing, Segment
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.writer import ShardWriter
from orn.stage2_train.leaks.objects import seen_objects
from orn.stage2_train.leaks.report import (
    Labelled,
    labelled,
    majority_scores,
    meaning,
    ridge_scores,
)
from tests.running import Ran, run_orn
from tests.worlds.films import words_of
from tests.worlds.shards import DETECTOR, blocks, video_entry


def _frame(*objects: tuple[int, float, int, int, int, int]) -> FrameDetections:
    """Objects on a grid of 80 x 40."""
    return blocks(*objects, height=40, width=80, class_scores=False)


def _write_shard(folder: Path, videos: dict[str, dict[float, FrameDetections]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "shard-000000.zarr.zip"
    with ShardWriter(path, DETECTOR, "label") as writer:
        for name, frames in videos.items():
            writer.begin_video(video_entry(name, height=40, width=80, rate=10.0))
            for index, (seconds, frame) in enumerate(frames.items()):
                writer.add(index, seconds, frame)
            writer.end_video()
    return folder


def _labelled(labels, num_classes: int, **manifest) -> Labelled:
    segments = [
        Segment(id=str(row), video_id=f"v{row}", split="train", labels=label)
        for row, label in enumerate(labels)
    ]
    listing = Listing(classes=tuple(map(str, range(num_classes))), video_ids=(), segments=())
    return labelled(load_manifest("demo").model_copy(update=manifest), listing, segments)


def test_majority_by_hand() -> None:
    train = _labelled([(0,), (1,), (1,), (1,)], 2)
    np.testing.assert_allclose(majority_scores(train, 2), [[0.25, 0.75], [0.25, 0.75]])
    several = _labelled([(0, 1), (), (1,), (1,)], 2, task="multi-label", metric="map")
    np.testing.assert_allclose(majority_scores(several, 1), [[0.25, 0.75]])


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_classes_tell_what_follows_from_them_and_nothing_else(task) -> None:
    labels = [(0,), (1,), (2,)] * 20
    train = _labelled(labels, 3, task=task, metric="top1" if task == "single-label" else "map")
    counts_NS = np.eye(3, dtype=np.float32)[[0, 1, 2] * 20]
    told = ridge_scores(counts_NS, train, counts_NS[:3])
    assert told.argmax(axis=1).tolist() == [0, 1, 2]
    alike_NS = np.ones_like(counts_NS)
    assert np.ptp(ridge_scores(alike_NS, train, alike_NS), axis=0).max() == 0
    row = train.row("counts", "", ridge_scores(counts_NS, train, counts_NS))
    assert row["mean"] == pytest.approx(100)
    assert row["low"] > 90


def test_intervals_are_over_videos() -> None:
    several = _labelled([(0,), (1,)] * 10, 2)
    of_one = replace(
        several, segments=tuple(replace(each, video_id="v") for each in several.segments)
    )
    scores = np.tile(np.float32([1, 0]), (20, 1))
    assert several.row("", "", scores)["low"] < 50
    assert of_one.row("", "", scores)["low"] is None


def test_numbers_of_segments_by_hand(tmp_path: Path) -> None:
    left = (7, 0.9, 0, 0, 20, 20)  # two of eight columns, four of eight rows
    faint, right = (3, 0.2, 0, 0, 80, 40), (5, 0.8, 60, 20, 80, 40)
    video = {0.0: _frame(left, faint), 0.1: _frame(left, left, right), 0.2: _frame()}
    folder = DetectionFolder(_write_shard(tmp_path, {"v": video}))
    whole = Segment(id="whole", video_id="v", split="train")
    first = Segment(id="first", video_id="v", split="train", start_seconds=0.0, stop_seconds=0.1)
    seen = seen_objects([whole, first], folder, score_threshold=0.5)
    assert seen.counts_NS[:, [7, 3, 5]] == pytest.approx(np.array([[1, 0, 1 / 3], [1, 0, 0]]))
    assert seen.seen_NS.sum(axis=1).tolist() == [2, 1]
    cells = seen.boxes_NM.reshape(2, 8, 8)
    assert cells[0, :4, :2] == pytest.approx(np.ones((4, 2)))
    assert cells[0, 4:, 6:] == pytest.approx(np.full((4, 2), 1 / 3))
    assert cells[0].sum() == pytest.approx(8 + 8 / 3)
    assert seen.middle_NF[0, 7] == 2  # of frame 1
    assert (seen.both_NF.shape, seen.middle_NF.shape) == ((2, 144), (2, 144))


def test_segments_without_detections_are_counted_or_refused(tmp_path: Path) -> None:
    folder = DetectionFolder(_write_shard(tmp_path, {"v": {0.0: _frame((1, 0.9, 0, 0, 9, 9))}}))
    segments = [
        Segment(id="there", video_id="v", split="train"),
        Segment(id="late", video_id="v", split="train", start_seconds=5.0, stop_seconds=6.0),
        Segment(id="other", video_id="w", split="train"),
    ]
    with pytest.raises(JoinError, match=r"2 of 3 segments .*late"):
        seen_objects(segments, folder, score_threshold=0.5)
    seen = seen_objects(segments, folder, score_threshold=0.5, partial=True)
    assert [each.id for each in seen.segments] == ["there"]
    assert seen.num_skipped == 2
    with pytest.raises(JoinError, match=r"at least one of 2 .*--shards"):
        seen_objects(segments[1:], folder, score_threshold=0.5, partial=True)


@pytest.mark.parametrize(
    ("classes", "unordered", "said", "unsaid"),
    [
        pytest.param((50, 2.7, 97.3), 50, "4 segments are too few", "gain nothing", id="few"),
        pytest.param((50, 40, 60), 75, "Classes alone gain 25.0", "add nothing", id="above"),
        pytest.param((25, 0.5, 96), 25, "Classes alone gain nothing", "too few", id="the same"),
    ],
)
def test_the_meaning_agrees_with_the_table(classes, unordered, said, unsaid) -> None:
    figures = {
        "majority": (25, 0.5, 96.1),
        "class-counts": classes,
        "middle-frame": (50, 2.7, 97.3),
        "unordered-frames": (unordered, 2.7, 99.9),
    }
    rows = [
        {"name": name, "title": name, "mean": mean, "low": low, "high": high}
        | {"half_width": None, "num_seeds": None}
        for name, (mean, low, high) in figures.items()
    ]
    text = meaning({"num_segments": 4, "chance": 33.3, "rows": rows})
    assert said in text
    assert unsaid not in text


def _leaks(*words: object, exit_code: int = 0) -> Ran:
    return run_orn("leaks", *words, exit_code=exit_code)


def test_a_data_set_of_ones_own(workspace, tmp_path, monkeypatch) -> None:
    """Every film shows the same three classes; which way one moves only places can tell."""
    monkeypatch.chdir(tmp_path)
    words = words_of(workspace)[:3]
    said = _leaks(*words)
    assert "shards/tiny" in said.stderr
    assert "50.0 %" in said.stdout  # what is most frequent reaches
    assert "`orn detect`" in _leaks(*words, "--shards", tmp_path / "none", exit_code=1).stderr
    more = ("--shards", workspace["--shards"], "--recipe", workspace["--recipe"], "--json")
    said = _leaks(*words, *more).json
    rows = {row["name"]: row["mean"] for row in said["rows"]}
    assert rows["classes-seen"] == rows["class-counts"] == rows["majority"] == 50
    assert "Classes alone gain nothing" in said["meaning"]
    assert (said["num_train"], said["num_segments"], said["num_skipped"]) == (8, 4, 0)
    kept = json.loads((tmp_path / "runs" / "leaks-tiny" / "leaks-validation.json").read_text())
    assert kept == said


@pytest.mark.slow
def test_networks_that_see_a_part(workspace, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    del workspace["--run"]
    said = _leaks(*words_of(workspace), "--train", "--seeds", 1, "--json").json
    rows = {row["name"]: row["num_seeds"] for row in said["rows"]}
    assert rows["coco-class-object-head"] == rows["shuffled-frames"] == 1
    assert "linear" not in said["meaning"]


@pytest.mark.real_data
def test_vlog_with_made_detections(sample_data, tmp_path, monkeypatch) -> None:
    """The real lists; the matrix of labels is not there, so a made one takes its place. One clip
    trains and one validates."""
    monkeypatch.chdir(tmp_path)
    source, root = sample_data / "vlog", tmp_path / "data" / "vlog"
    (root / "meta" / "hand_object").mkdir(parents=True)
    for name in ("manifest.txt", "splitId.txt", "hand_object/hand_object_labels.txt"):
        (root / "meta" / name).symlink_to(source / "meta" / name)
    lines = len((source / "meta" / "manifest.txt").read_text().split())
    matrix = np.full((lines, 30), -1, np.int8)
    matrix[:, :3] = 1
    np.save(root / "meta" / "hand_object" / "hand_object.npy", matrix)
    clips = ("O/5/E/v_vAqaXZuAO5E/075", "o/p/Y/v_7Tsrimk7opY/052")
    shards = _write_shard(tmp_path / "shards", {clip: {0.0: _frame()} for clip in clips})
    words = ("--data", "data", "--shards", shards, "--partial", "--json")
    said = _leaks("vlog", *words).json
    assert (said["metric"], said["num_train"], said["num_segments"]) == ("map", 1, 1)
    assert len(said["rows"]) == 6


@pytest.mark.real_data
def test_epic_with_made_detections(sample_data, tmp_path, monkeypatch) -> None:
    """The real table; detections of three participants' videos are made from the labels: every
    segment shows one object, whose class is its noun's number. So nouns leak through classes."""
    monkeypatch.chdir(tmp_path)
    listing = load_listing(load_manifest("epic-nouns"), sample_data)
    persons = ("P25", "P26", "P06")
    videos: dict[str, dict[float, FrameDetections]] = {}
    for segment in listing.segments:
        if segment.participant in persons:
            assert segment.start_seconds is not None
            assert segment.stop_seconds is not None
            middle = (segment.start_seconds + segment.stop_seconds) / 2
            frame = _frame((segment.labels[0] % 80, 0.9, 0, 0, 40, 40))
            videos.setdefault(segment.video_id, {})[middle] = frame
    shards = _write_shard(
        tmp_path / "shards", {name: dict(sorted(own.items())) for name, own in videos.items()}
    )
    words = ("--data", sample_data, "--shards", shards, "--partial", "--json")
    nouns = _leaks("epic-nouns", *words).json
    assert nouns["num_skipped"] > 20_000
    rows = {row["name"]: row for row in nouns["rows"]}
    assert rows["class-counts"]["mean"] > 2 * rows["majority"]["mean"]
    assert nouns["interval"]["over"] == "participants"
    assert "Classes alone gain" in nouns["meaning"]
