"""Clips of the tiny world."""

import pytest

from orn.data_manifests.records import Segment
from orn.stage2_train.clips.clip_draws import ClipSettings
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.object_slots import SlotSettings
from orn.stage2_train.settings.recipe import DataRecipe

SETTINGS = ClipSettings(
    data=DataRecipe(clip_frames=4, crop=(32, 48), score_threshold=0.1),
    slots=SlotSettings(max_objects=3, background=True, mask_size=28, feature_cells=(2, 3)),
    num_activities=2,
    multi_label=False,
    seed=3,
)


def whole_video(video_id: str) -> Segment:
    """A segment for training that is a video."""
    return Segment(id=video_id, video_id=video_id, split="train", labels=(0,))


@pytest.fixture
def make_dataset(tiny_world):
    """A function giving clips of all segments of the tiny world."""

    def build(settings: ClipSettings = SETTINGS, **parts) -> ClipDataset:
        segments = parts.pop("segments", tiny_world.dataset.segments)
        return ClipDataset(segments, tiny_world.clips(), tiny_world.detections(), settings, **parts)

    return build
