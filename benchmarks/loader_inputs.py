"""Two clips in both formats: video and pickled masks, clip store and shard.

With real data, these are clips of VLOG with the authors' released masks; without, generated clips
of the same size and length.
"""

import logging
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orn.benchmarks.made_inputs import (
    ENTRY,
    GRID,
    ellipses,
    moving_pictures,
    write_detections,
    write_video,
)
from orn.data_manifests.load import load_dataset
from orn.data_manifests.records import Video
from orn.shared.errors import DataRootError
from orn.shared.masks.coco_classes import NUM_COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.writer import ShardWriter
from orn.shared.video.read import content_bytes, content_digest, probe
from orn.stage1_detect.imports.authors_vlog import read_authors
from orn.stage2_train.clip_store.store_format import StoreSettings
from orn.stage2_train.clip_store.store_job import build_clip_store

logger = logging.getLogger(__name__)

MADE_FRAMES = (741, 92)
"""Numbers of frames of the two real clips."""
_MASK_RATE = 30.0
"""Frames with masks per second."""
_MASKS = "masks/preds_100x100_50"
_HEIGHT, _WIDTH = 368, 654
_STORED = StoreSettings(size=(256, 256))
_Tracks = list[tuple[FrameDetections, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderInputs:
    """The same clips in both formats."""

    videos: tuple[Video, ...]
    pickles: tuple[Path, ...]
    """Masks of each video in the authors' format."""
    store_path: Path
    """The clip store."""
    shards_path: Path
    """Folder of the shard."""
    is_real: bool
    """Whether the clips are from VLOG."""


def loader_inputs(
    folder: Path, data_root: Path | None, *, made_frames: tuple[int, ...] = MADE_FRAMES
) -> LoaderInputs:
    """Create all inputs in an empty folder, from VLOG's clips or, without VLOG, generated clips.

    Raises:
        DataRootError: if VLOG's videos, or all of its masks, are missing.
    """
    if data_root is not None and not (data_root / "vlog").is_dir():
        logger.warning("%s: no folder vlog, so clips are generated", data_root)
        data_root = None
    videos, tracks = _made(folder, made_frames) if data_root is None else _real(data_root)
    pickles = tuple(folder / f"{number}.pkl" for number in range(len(tracks)))
    for path, frames in zip(pickles, tracks, strict=True):
        path.write_bytes(pickle.dumps(_as_the_authors(frames), protocol=4))
    build_clip_store(videos, folder / "clips", _STORED)
    _write_shard(folder / "shards" / "shard-000000.zarr.zip", videos, tracks)
    return LoaderInputs(
        videos=videos,
        pickles=pickles,
        store_path=folder / "clips",
        shards_path=folder / "shards",
        is_real=data_root is not None,
    )


def _real(data_root: Path) -> tuple[tuple[Video, ...], _Tracks]:
    dataset = load_dataset("vlog", data_root, labels=False)
    masks = dataset.root / _MASKS
    files = {str(path.parent.relative_to(masks)).lower(): path for path in masks.rglob("clip.pkl")}
    videos = tuple(video for video in dataset.videos if video.id.lower() in files)[:2]
    if not videos:
        raise DataRootError(
            f"{dataset.root}: expected clips with masks in {_MASKS}/ID/clip.pkl, got none; omit "
            "--data to use generated clips"
        )
    tracks = [read_authors(files[video.id.lower()]) for video in videos]
    return videos, [tuple(frame.detections for frame in track) for track in tracks]


def _made(folder: Path, made_frames: tuple[int, ...]) -> tuple[tuple[Video, ...], _Tracks]:
    videos, tracks = [], []
    generator = np.random.default_rng(0)
    for number, num_frames in enumerate(made_frames):
        pictures = moving_pictures(num_frames, height=_HEIGHT, width=_WIDTH)
        path = write_video(folder / f"{number}.mp4", pictures)
        videos.append(Video(id=str(number), path=path))
        num_masks = round(num_frames / probe(path).rate * _MASK_RATE)
        tracks.append(tuple(ellipses(generator) for _ in range(num_masks)))
    return tuple(videos), tracks


def _as_the_authors(frames: tuple[FrameDetections, ...]) -> dict[str, Any]:
    """Return lists [frame][class] of instances, where class 0 is background."""
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


def _write_shard(path: Path, videos: tuple[Video, ...], tracks: _Tracks) -> None:
    with ShardWriter(path, ENTRY, "label") as writer:
        for video, frames in zip(videos, tracks, strict=True):
            write_detections(
                writer,
                video.id,
                frames,
                rate=_MASK_RATE,
                source_bytes=content_bytes(video.path),
                source_digest=content_digest(video.path),
            )
