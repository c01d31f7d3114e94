"""Imported masks meet the frames of their video as shards of our own do."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.shared.manifests.load import load_dataset
from orn.shared.manifests.records import Segment
from orn.shared.shards.detection_folder import DetectionFolder
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.interfaces import ClipSettings
from orn.stage2_train.clips.join import join_split
from orn.stage2_train.clips.objects import SlotSettings
from orn.stage2_train.clips.views import ClipRequest
from orn.stage2_train.settings.recipe import DataRecipe
from tests.worlds.videos import numbered_image, write_pictures

TICKS = {
    "start": [1, *range(4, 43)],
    "middle": [*range(20), 25, 26, 37, *range(38, 55)],
    "end": [*range(36), 42, 43, 50, 61],
}
"""Times of the 40 frames of each film, in thirtieths of a second."""


@pytest.mark.parametrize("lost", [None, 16])
def test_objects_on_every_eighth_frame_of_files_with_gaps_in_their_times(
    orn: Any, tmp_path: Path, lost: int | None, caplog: Any
) -> None:
    """Such as DivX files; a frame whose objects are missing is refused."""
    rows, objects = ["video,label,split"], ["video,frame,x1,y1,x2,y2,class,score"]
    for name, ticks in TICKS.items():
        path = tmp_path / "kitchen" / f"{name}.avi"
        pictures = map(numbered_image, range(len(ticks)))
        write_pictures(path, pictures, rate=30, codec="mpeg4", pts=ticks)
        rows += [f"{name},{'open' if name == 'start' else 'close'},train"]
        frames = [frame for frame in range(0, 40, 8) if frame != lost]
        objects += [f"{name},{frame},10,5,60,25,cup,0.9" for frame in frames]
    (tmp_path / "kitchen/labels.csv").write_text("\n".join(rows))
    (tmp_path / "objects.csv").write_text("\n".join(objects))
    manifest, data = tmp_path / "kitchen.toml", ("--data", tmp_path)
    orn("manifest", "new", tmp_path / "kitchen/labels.csv", *data, "--out", manifest)
    places = {"--shards": tmp_path / "shards", "--clips": tmp_path / "clips"}
    orn("clips", manifest, *data, "--size", "32x160", "--out", places["--clips"])
    source = (tmp_path / "objects.csv", "--format", "csv", "--out", places["--shards"])
    orn("import-objects", manifest, *source, *data)
    words = [word for option in places.items() for word in option]
    crop = ("--recipe", "demo", "--set", "data.crop=[32,160]", "--set", "data.flip=false")
    ran = orn("train", manifest, *data, *words, *crop, "--dry-run", exit_code=None)
    assert ran.exit_code == (0 if lost is None else 1), ran.stderr
    assert caplog.text.count("have no detections near") == (lost is not None)


CLIPS = ("O/5/E/v_vAqaXZuAO5E/075", "o/p/Y/v_7Tsrimk7opY/052")
SETTINGS = ClipSettings(
    data=DataRecipe(clip_frames=8, crop=(56, 56), score_threshold=0.5),
    slots=SlotSettings(max_objects=5, background=True, mask_size=28, feature_cells=(4, 4)),
    num_activities=1,
    multi_label=False,
    seed=1,
)


@pytest.mark.real_data
@pytest.mark.slow
def test_the_released_masks_of_vlog_become_clips(
    orn: Any, sample_data: Path, tmp_path: Path
) -> None:
    shards, store = tmp_path / "shards", tmp_path / "vlog"
    masks = sample_data / "vlog" / "masks" / "preds_100x100_50"
    common = ("--data", sample_data, "--out")
    orn("import-objects", "vlog", masks, "--format", "authors", *common, shards)
    orn("clips", "vlog", "--size", "64x64", *common, store)
    segments = (Segment(id=each, video_id=each, split="train", labels=(0,)) for each in CLIPS)
    listed = load_dataset("vlog", sample_data, labels=False)
    dataset = replace(listed, classes=("any",), segments=tuple(segments))
    clips, detections = ClipStore(store), DetectionFolder(shards)
    joined = join_split(dataset, "train", clips, detections)
    assert [segment.id for segment in joined.segments] == list(CLIPS)
    for video_id in CLIPS:  # each frame of the video has a mask frame near enough
        seconds = clips.frames(video_id).seconds
        rows = detections.video(video_id).nearest_rows(seconds)
        assert np.abs(rows / 30 - seconds).max() <= 0.5 / 30 + 1e-6
    samples = ClipDataset(joined.segments, clips, detections, SETTINGS)
    for index in range(len(CLIPS)):
        slots = samples[ClipRequest(index, epoch=0)].slots
        assert slots.valid.any()
        sums = slots.class_scores[slots.valid].sum(axis=-1)
        np.testing.assert_allclose(sums, 1, atol=1e-5)  # the score, and the rest background
        assert (slots.class_scores[slots.valid] > 0).sum(axis=-1).max() <= 2
