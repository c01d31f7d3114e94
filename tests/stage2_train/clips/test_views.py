"""Centered crops, and flips of training: frames, boxes, masks and labels together."""

from dataclasses import replace

import numpy as np
import pytest

from orn.data_manifests.records import Segment
from orn.shared.errors import ConfigError
from orn.shared.masks import rle
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.validate import ClassRules
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.clips.clip_draws import (
    ClipRequest,
    ClipSettings,
    classes_when_flipped,
)
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.object_slots import SlotSettings
from orn.stage2_train.settings.recipe import DataRecipe
from tests.reference.views import box_in_view, mask_in_view, picture_in_view, place_of_crop
from tests.stage2_train.clips import conftest
from tests.worlds.shards import DETECTOR, blocks

FLOAT32 = 1e-4  # pixels of a crop
NUM_FRAMES = 3
CROP = (8, 8)
SETTINGS = replace(
    conftest.SETTINGS,
    data=DataRecipe(clip_frames=NUM_FRAMES, crop=CROP, score_threshold=0.0),
    slots=SlotSettings(max_objects=9, background=False, mask_size=4, feature_cells=(2, 3)),
    num_activities=3,
)


class Noise:
    """One video of noise with masks of noise: pictures and detections at once."""

    name = "noise"
    num_frames = NUM_FRAMES
    size_bytes = 0
    detector, rules = DETECTOR, ClassRules(score_kind="label")
    seconds = np.arange(NUM_FRAMES) / 10

    def __init__(self, stored: tuple[int, int], grid: tuple[int, int]) -> None:
        rng = np.random.default_rng(0)
        corners = np.sort(rng.random((NUM_FRAMES, 2, 2, 2)), axis=3) * np.array(grid[::-1])[:, None]
        self.pictures_FHW3 = rng.integers(256, size=(NUM_FRAMES, *stored, 3), dtype=np.uint8)
        self.masks_FNHW = rng.random((NUM_FRAMES, 2, *grid)) < 0.4
        boxes_FN4 = corners.transpose(0, 1, 3, 2).reshape(NUM_FRAMES, 2, 4)
        self.boxes_FN4 = boxes_FN4.astype(np.float32)

    def frames(self, video_id: str) -> "Noise":
        return self

    def video(self, video_id: str, places: None = None) -> "Noise":
        return self

    @property
    def stored_size(self) -> tuple[int, int]:
        return self.pictures_FHW3.shape[1:3]

    def indices_in(self, times: TimeRange):
        return np.arange(*times.rows(self.seconds))

    def read(self, frames_n, window=None):
        frames_nHW3 = self.pictures_FHW3[frames_n]
        return frames_nHW3 if window is None else window.cut(frames_nHW3)

    def nearest_rows(self, seconds, *, video_F=None):
        return np.rint(np.asarray(seconds) * 10).astype(np.int64)

    def frame(self, row: int) -> FrameDetections:
        height, width = self.masks_FNHW.shape[2:]
        objects = [(3, 0.9, 0, 0, 1, 1), (4, 0.8, 0, 0, 1, 1)]
        masks = tuple(rle.encode(mask) for mask in self.masks_FNHW[row])
        plain = blocks(*objects, height=height, width=width, class_scores=False)
        return replace(plain, boxes=self.boxes_FN4[row], masks=masks)


def clips_of(noise: Noise, settings: ClipSettings = SETTINGS) -> ClipDataset:
    segment = Segment(id="s", video_id="v", split="validation", labels=(0,), unsure=(2,))
    return ClipDataset([segment], noise, noise, settings)


@pytest.mark.parametrize(
    ("stored", "grid"),
    [
        ((10, 15), (6, 9)),
        ((11, 13), (9, 6)),  # squashed the other way
        ((13, 9), (7, 7)),  # masks on a square, as those that were released
    ],
)
@pytest.mark.parametrize("flip", [False, True])
def test_frames_boxes_and_masks_of_a_crop_equal_loops(flip, stored, grid) -> None:
    noise = Noise(stored, grid)
    sample = clips_of(noise)[0]
    sample = sample.flipped() if flip else sample
    place = place_of_crop(stored, CROP, flip=flip)
    for time in range(NUM_FRAMES):
        picture = picture_in_view(noise.pictures_FHW3[time], place, flip=flip)
        np.testing.assert_array_equal(sample.frames[time], picture)
        for number in range(2):
            mask, box = noise.masks_FNHW[time, number], noise.boxes_FN4[time, number]
            how = {"flip": flip, "stored": stored}
            for values, cells in ((sample.slots.masks, (4, 4)), (sample.slots.coverage, (2, 3))):
                expected = mask_in_view(mask, place, cells=cells, **how)
                np.testing.assert_allclose(values[time, number], expected, atol=1e-5)
            expected = box_in_view(tuple(box), place, grid=grid, **how)
            np.testing.assert_allclose(sample.slots.boxes[time, number], expected, atol=FLOAT32)
    assert sample.label == 0


def test_half_of_the_training_clips_are_flipped_and_their_labels_with_them() -> None:
    noise = Noise((12, 12), (7, 7))
    plain = clips_of(noise)
    flipping = clips_of(noise, replace(SETTINGS, flipped_A=(1, 0, 2)))
    labels = []
    for epoch in range(40):
        request = ClipRequest(0, epoch=epoch)
        one, other = plain[request], flipping[request]
        labels.append(other.label)
        expected = one.flipped() if other.label == 1 else one
        np.testing.assert_array_equal(other.frames, expected.frames)
        np.testing.assert_array_equal(other.slots.masks, expected.slots.masks)
        np.testing.assert_array_equal(other.slots.boxes, expected.slots.boxes)
    assert 10 < sum(labels) < 30
    assert flipping[0].label == 0


def test_classes_of_flipped_films(tiny_world) -> None:
    dataset = replace(tiny_world.dataset, classes=("left", "up", "right"))
    pairs = (("right", "left"), ("in", "out"))
    for flipped, expected in (((), (0, 1, 2)), (pairs, (2, 1, 0))):
        assert classes_when_flipped(replace(dataset, flipped_classes=flipped)) == expected
    for flipped, message in ((None, "tiny: flipped_classes"), ([("left", "rigth")], "rigth")):
        with pytest.raises(ConfigError, match=message):
            classes_when_flipped(replace(dataset, flipped_classes=flipped))
