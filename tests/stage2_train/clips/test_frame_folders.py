"""Real folders of frames: from a manifest through the clip store and shards to batches.

The written detections have one object a frame, whose left edge tells the number of the frame, so
that a frame joined with the detections of another one is seen in its box.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from orn.data_manifests.load import load_dataset
from orn.data_manifests.records import Dataset, Video
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.writer import ShardWriter
from orn.shared.video.read import content_digest, probe, read_frames
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.clips_request import ClipsRequest
from orn.stage2_train.clip_store.make_clips import make_clips
from orn.stage2_train.clips.batches import (
    ClipBatch,
    LoaderSettings,
    evaluation_loader,
)
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.join import JoinedSplit, join_split
from orn.stage2_train.clips.sampling import center_frames
from tests.stage2_train.clips.conftest import SETTINGS
from tests.worlds.films import DETECTOR
from tests.worlds.shards import blocks, video_entry

FIRST_COLUMN = 100
"""Left edge of the object of frame 0, inside of every crop."""
CROP_LEFT = 16
"""First column of the centered crop of 224 columns in a store of 256."""


def write_detections(path: Path, videos: tuple[Video, ...]) -> None:
    """A shard with a rectangle in each frame whose left edge tells the frame's place."""
    with ShardWriter(path, DETECTOR) as writer:
        for video in videos:
            info = probe(video.path, rate=video.rate)
            size = {"height": info.height, "width": info.width}
            digest = content_digest(video.path)
            writer.begin_video(video_entry(video.id, **size, rate=info.rate, source_digest=digest))
            for frame in read_frames(video.path, rate=video.rate):
                left = FIRST_COLUMN + frame.index
                detections = blocks((0, 0.9, left, 60, left + 60, 100), **size)
                writer.add(frame.index, frame.seconds, detections)
            writer.end_video()


def clips_of(
    dataset: Dataset, manifest: str, data: Path, folder: Path, *, num_frames: int
) -> tuple[JoinedSplit, ClipDataset]:
    """The training segments that can be used, and their clips."""
    make_clips(ClipsRequest(manifest=manifest, data_root=data, out=folder / "clips"))
    write_detections(folder / "shard-000000.zarr.zip", dataset.videos)
    store, detections = ClipStore(folder / "clips"), DetectionFolder(folder)
    joined = join_split(dataset, "train", store, detections)
    data = replace(SETTINGS.data, clip_frames=num_frames, crop=(224, 224))
    settings = replace(SETTINGS, data=data, num_activities=len(dataset.classes))
    return joined, ClipDataset(joined.segments, store, detections, settings)


def frame_numbers(boxes_T4: NDArray[np.float32], *, width: int) -> list[int]:
    """The numbers that the left edges of the objects in the crop say."""
    left_T = (boxes_T4[:, 0] + CROP_LEFT) * width / 256
    return np.round(left_T - FIRST_COLUMN).astype(int).tolist()


def assert_shows(batch: ClipBatch, clip: int, frame: int, path: Path) -> None:
    """Whether a frame of the batch is the center of a picture, rescaled by another library, apart
    from JPEG."""
    picture = Image.open(path).convert("RGB").resize((256, 256), Image.Resampling.BOX)
    image_HWC = batch.frames_BTCHW[clip, frame].permute(1, 2, 0).numpy().astype(np.float32)
    assert np.abs(image_HWC - np.asarray(picture, np.float32)[16:240, 16:240]).mean() < 4


@pytest.mark.real_data
def test_published_epic_frames(sample_data: Path, tmp_path: Path) -> None:
    """Frames 1 to 100 of P01_01; segment 0 begins at 0.14 s, which is frame 10 at 60 a second."""
    dataset = load_dataset("epic-frames", sample_data)
    joined, clips = clips_of(dataset, "epic-frames", sample_data, tmp_path, num_frames=4)
    assert [segment.id for segment in joined.segments] == ["0"]
    assert {row.reason for row in joined.skipped} == {"the video has no frame in its time range"}
    assert len(joined.skipped) == 325
    (batch,) = evaluation_loader(clips, LoaderSettings(batch_size=2))
    assert batch.ids == ("0",)
    assert [dataset.classes[label] for label in batch.labels.tolist()] == ["open"]
    wanted_T = (9 + center_frames(91, 4)).tolist()
    assert frame_numbers(batch.boxes_BTK4[0, :, 0].numpy(), width=456) == wanted_T
    for place, index in enumerate(wanted_T):
        name = f"frame_{index + 1:010d}.jpg"
        assert_shows(batch, 0, place, sample_data / "epic/frames/P01/P01_01" / name)
