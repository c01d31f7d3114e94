"""Two clips in both forms: video and pickle of masks, clip store and shard.

With real data these are VLOG's clips with the masks that the authors of the paper released;
without, generated ones of the same size and length.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.made_videos import moving_pictures, write_video
from shared.errors import DataRootError
from shared.manifests.load import load_dataset
from shared.manifests.records import Segment, Video
from shared.masks import rle
from shared.masks.coco_classes import COCO_CLASSES, NUM_COCO_CLASSES
from shared.masks.detections import FrameDetections
from shared.shards.reader import DetectionFolder
from shared.shards.schema import DetectorEntry
from shared.shards.writer import ShardWriter
from shared.video.read import content_bytes, content_digest, probe
from stage2_train.frames.reader import ClipStore
from stage2_train.frames.schema import StoreSettings
from stage2_train.frames.writer import build_clip_store

__all__ = ["GRID", "MADE_FRAMES", "MASK_RATE", "LoaderInputs", "loader_inputs"]

GRID = 100
"""Rows and columns of the grid of the authors' masks."""
MASK_RATE = 30.0
"""Mask frames a second."""
_MASKS = "masks/preds_100x100_50"
MADE_FRAMES = (741, 92)
"""As many as the two real clips have that the benchmark was written with."""
_MADE_SIZE = (368, 654)
_ENTRY = DetectorEntry(
    config_name="bench",
    config_digest="sha256:0",
    checkpoint_digest="sha256:0",
    class_names=tuple(COCO_CLASSES),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderInputs:
    """The same clips in both forms."""

    videos: tuple[Video, ...]
    """What was filmed."""
    pickles: tuple[Path, ...]
    """Masks of each, in the authors' form."""
    store_path: Path
    """The clip store."""
    shards_path: Path
    """Folder of the shard."""
    is_real: bool
    """Whether they are VLOG's."""

    def clips(self) -> ClipStore:
        """The store, opened."""
        return ClipStore(self.store_path)

    def detections(self) -> DetectionFolder:
        """The shard, opened."""
        return DetectionFolder(self.shards_path)

    def segments(self, copies: int = 1) -> list[Segment]:
        """Segments of the whole videos in turns, so many of each."""
        return [
            Segment(id=f"{number}", video_id=video.id, split="train", labels=(0,))
            for number in range(copies)
            for video in self.videos
        ]


def loader_inputs(
    folder: Path,
    data_root: Path | None,
    *,
    store: StoreSettings,
    made_frames: tuple[int, ...] = MADE_FRAMES,
) -> LoaderInputs:
    """Makes everything in a folder.

    Args:
        folder: an empty one.
        data_root: where VLOG lies; None for generated clips.
        store: size and quality of the stored frames.
        made_frames: lengths of generated clips.

    Raises:
        DataRootError: if VLOG is not there, or none of its clips with masks.
    """
    if data_root is None:
        videos, tracks = _made(folder, made_frames)
    else:
        videos, tracks = _real(data_root)
    pickles = []
    for number, frames in enumerate(tracks):
        path = folder / f"{number}.pkl"
        path.write_bytes(pickle.dumps(_as_the_authors(frames), protocol=4))
        pickles.append(path)
    build_clip_store(videos, folder / "clips.h5", store)
    _write_shard(folder / "shards" / "shard-000000.zarr.zip", videos, tracks)
    return LoaderInputs(
        videos=videos,
        pickles=tuple(pickles),
        store_path=folder / "clips.h5",
        shards_path=folder / "shards",
        is_real=data_root is not None,
    )


Tracks = list[tuple[FrameDetections, ...]]


def _real(data_root: Path) -> tuple[tuple[Video, ...], Tracks]:
    from stage1_detect.imports.authors_vlog import read_authors

    dataset = load_dataset("vlog", data_root, labels=False)
    files = {
        str(path.parent.relative_to(dataset.root / _MASKS)).lower(): path
        for path in (dataset.root / _MASKS).rglob("clip.pkl")
    }
    videos = tuple(video for video in dataset.videos if video.id.lower() in files)[:2]
    if not videos:
        raise DataRootError(
            f"{dataset.root}: wanted clips with masks in {_MASKS}/ID/clip.pkl, found none; leave "
            "--data out to measure on generated clips"
        )
    return videos, [read_authors(files[video.id.lower()]).frames for video in videos]


def _made(folder: Path, made_frames: tuple[int, ...]) -> tuple[tuple[Video, ...], Tracks]:
    videos, tracks = [], []
    generator = np.random.default_rng(0)
    height, width = _MADE_SIZE
    for number, num_frames in enumerate(made_frames):
        path = folder / f"{number}.mp4"
        write_video(path, moving_pictures(num_frames, height=height, width=width))
        videos.append(Video(id=str(number), path=path))
        num_masks = round(num_frames / probe(path).rate * MASK_RATE)
        tracks.append(tuple(_ellipses(generator) for _ in range(num_masks)))
    return tuple(videos), tracks


def _ellipses(generator: np.random.Generator) -> FrameDetections:
    """Four ellipses anywhere."""
    rows, columns = np.mgrid[:GRID, :GRID]
    centres = generator.uniform(20, 80, (4, 2))
    radii = generator.uniform(5, 30, (4, 2))
    masks = [
        ((rows - centre[0]) / radius[0]) ** 2 + ((columns - centre[1]) / radius[1]) ** 2 < 1
        for centre, radius in zip(centres, radii, strict=True)
    ]
    counts = tuple(rle.encode(mask) for mask in masks)
    return FrameDetections(
        height=GRID,
        width=GRID,
        boxes=np.stack([rle.bounding_box(each, GRID) for each in counts]),
        scores=generator.uniform(0.5, 1, 4).astype(np.float32),
        labels=generator.integers(0, NUM_COCO_CLASSES, 4).astype(np.uint8),
        class_scores=None,
        masks=counts,
    )


def _as_the_authors(frames: tuple[FrameDetections, ...]) -> dict[str, Any]:
    """Lists [frame][class] of instances, class 0 the background."""
    segms: list[list[list[Any]]] = []
    boxes: list[list[list[Any]]] = []
    for frame in frames:
        segms.append([[] for _ in range(NUM_COCO_CLASSES + 1)])
        boxes.append([[] for _ in range(NUM_COCO_CLASSES + 1)])
        for row, label in enumerate(frame.labels.tolist()):
            mask = {"size": [GRID, GRID], "counts": frame.masks[row]}
            segms[-1][label + 1].append(mask)
            boxes[-1][label + 1].append(np.append(frame.boxes[row], frame.scores[row]))
    return {"segms": segms, "boxes": boxes}


def _write_shard(path: Path, videos: tuple[Video, ...], tracks: Tracks) -> None:
    with ShardWriter(path, _ENTRY, class_scores=False) as writer:
        for video, frames in zip(videos, tracks, strict=True):
            writer.begin_video(
                video.id,
                height=GRID,
                width=GRID,
                rate=MASK_RATE,
                header_frames=None,
                source_bytes=content_bytes(video.path),
                source_digest=content_digest(video.path),
            )
            for number, frame in enumerate(frames):
                writer.add(number, number / MASK_RATE, frame)
            writer.end_video()
