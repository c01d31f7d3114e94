"""Videos of any rate against detections at 30 frames a second, as the authors' masks are.

The film is white from its left edge up to a column that grows with time; the detection of frame t,
at t / 30 s, covers exactly the columns that are white then. So a clip shows whether its frames and
its objects are of the same time.
"""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.time_ranges import ALL_TIMES
from orn.shared.video.frame import Frame
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.store_format import StoreSettings
from orn.stage2_train.clip_store.unit_file import writing
from orn.stage2_train.clips.clip_draws import ClipRequest
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.object_slots import SlotSettings
from orn.stage2_train.settings.recipe import DataRecipe
from tests.stage2_train.clips import conftest
from tests.worlds.shards import blocks, write_shard

HEIGHT, WIDTH = 32, 256
DURATION = 2.0
COLUMNS_PER_SECOND = 100
"""How fast the white grows; a film of two seconds fits."""
MASK_RATE = 30
STORED = StoreSettings(size=(HEIGHT, WIDTH), jpeg_quality=95)
SETTINGS = replace(
    conftest.SETTINGS,
    data=DataRecipe(clip_frames=6, crop=(HEIGHT, WIDTH), score_threshold=0.5),
    slots=SlotSettings(max_objects=1, background=False, mask_size=28, feature_cells=(2, 16)),
)
RATES = [
    *map(Fraction, (15, 23, 29, 30, 90)),
    *(Fraction(number, 1001) for number in (24000, 30000, 48000, 60000)),
]


def white_columns(seconds: float) -> int:
    return min(20 + round(COLUMNS_PER_SECOND * seconds), WIDTH)


def image(seconds: float) -> np.ndarray:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[:, : white_columns(seconds)] = 255
    return picture


def store_film(folder: Path, seconds: Iterable[float]) -> None:
    """A clip store with a film whose frames have these times."""
    frames = (Frame(index=i, seconds=s, image=image(s)) for i, s in enumerate(seconds))
    with writing(folder / "clips-000000.h5", STORED) as writer:
        source = {"source_digest": "sha256:1", "source": (0, 0), "times": ALL_TIMES}
        writer.add(frames, id="film", **source)


def clips_of(folder: Path, rate: Fraction, *, num_masks: int | None = None) -> ClipDataset:
    """A film of two seconds at `rate`, and detections at 30 a second over the same time."""
    store_film(folder / "clips", (float(place / rate) for place in range(int(DURATION * rate))))
    clips = []
    for frame in range(num_masks or int(DURATION * MASK_RATE)):
        white = (0, 0.9, 0, 0, white_columns(frame / MASK_RATE), HEIGHT)
        clips.append((frame, frame / MASK_RATE, blocks(white, height=HEIGHT, width=WIDTH)))
    write_shard(
        folder / "shard-000000.zarr.zip",
        {"film": clips},
        size=(HEIGHT, WIDTH),
        rate=MASK_RATE,
        source_digest="sha256:1",
    )
    store, detections = ClipStore(folder / "clips"), DetectionFolder(folder)
    return ClipDataset([conftest.whole_video("film")], store, detections, SETTINGS)


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{float(rate):.2f}")
def test_frames_and_objects_are_of_the_same_time(tmp_path: Path, rate: Fraction) -> None:
    """The object ends where the white ends, but for half a detection interval and a pixel."""
    clips = clips_of(tmp_path, rate)
    requests = [
        ClipRequest(0),
        ClipRequest(0, clip=1),
        *(ClipRequest(0, epoch=e) for e in range(4)),
    ]
    half_interval_columns = COLUMNS_PER_SECOND / MASK_RATE / 2
    for request in requests:
        sample = clips[request]
        white_T = (sample.frames[:, HEIGHT // 2, :, 0] > 127).sum(axis=1)
        object_T = sample.slots.boxes[:, 0, 2]
        assert np.abs(object_T - white_T).max() <= half_interval_columns + 1
        covered_T = sample.slots.coverage[:, 0].mean(axis=(1, 2)) * WIDTH
        np.testing.assert_allclose(covered_T, object_T, atol=0.01)


@pytest.mark.parametrize(("num_masks", "rate"), [(60, 23), (40, 29), (70, 30), (1, 15), (60, 60)])
def test_by_the_ratio_of_numbers(num_masks: int, rate: int, tmp_path: Path) -> None:
    """Times are not looked at: the last frame has the last detections, wherever those end."""
    clips = clips_of(tmp_path, Fraction(rate), num_masks=num_masks)
    clips.settings = replace(SETTINGS, as_authors=True)
    num_frames = 2 * rate
    for request in (ClipRequest(0), ClipRequest(0, clip=1), ClipRequest(0, epoch=0)):
        sample = clips[request]
        for place, box in zip(sample.seconds * rate, sample.slots.boxes[:, 0], strict=True):
            row = int(round(place) * num_masks / num_frames + 1e-9)
            assert box[2] == white_columns(row / MASK_RATE)
