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
