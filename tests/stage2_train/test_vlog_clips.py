"""VLOG's real clips: video -> imported masks -> clip store -> clips, by the commands of a user."""

import numpy as np
import pytest

from orn.shared.manifests.records import Segment
from orn.shared.shards.reader import DetectionFolder
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.objects import SlotSettings
from orn.stage2_train.clips.settings import ClipSettings, DataRecipe
from orn.stage2_train.clips.views import ClipRequest
from orn.stage2_train.frames.reader import ClipStore
from tests.running import run_orn

HALF_MASK_INTERVAL = 1 / 60


@pytest.mark.slow
@pytest.mark.real_data
def test_from_videos_and_released_masks_to_clips(sample_data, tmp_path) -> None:
    store, shards = tmp_path / "vlog", tmp_path / "shards"
    data = ("--data", sample_data, "--json")
    report = run_orn("clips", "vlog", *data, "--out", store, "--workers", "1").json
    assert (report["added"], report["frames"]) == (2, 833)
    masks = sample_data / "vlog/masks/preds_100x100_50"
    run_orn("import-objects", "vlog", masks, "--format", "authors", *data, "--out", shards)

    clips, detections = ClipStore(store), DetectionFolder(shards)
    segments = [Segment(id=name, video_id=name, split="train") for name in clips.ids]
    settings = ClipSettings(
        data=DataRecipe(clip_frames=4, crop=(224, 224), score_threshold=0.5),
        slots=SlotSettings(max_objects=10, background=True, mask_size=28, feature_cells=(14, 14)),
        num_activities=30,
        multi_label=True,
    )
    dataset = ClipDataset(segments, clips, detections, settings)
    for segment in range(2):
        found = detections.video(segments[segment].video_id)
        for epoch in range(5):
            sample = dataset[ClipRequest(segment, epoch=epoch)]
            rows = found.nearest_rows(sample.seconds)
            assert np.abs(found.seconds[rows] - sample.seconds).max() <= HALF_MASK_INTERVAL + 1e-6
            for time, row in enumerate(rows.tolist()):
                objects = sample.slots.valid[time] & (sample.slots.labels[time] < 80)
                assert objects.sum() <= len(found.frame(row))
            assert sample.slots.masks[sample.slots.valid].max(axis=(1, 2)).min() > 0
