"""Detections that are known by heart, and shards of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.masks import rle
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.validate import ScoreKind
from orn.shared.shards.shard_format import DetectorEntry, VideoEntry
from orn.shared.shards.writer import ShardWriter

RATE = 10.0
PERSON, CUP, BOOK = (COCO_CLASSES.index(name) for name in ("person", "cup", "book"))
DETECTOR = DetectorEntry(
    config_name="mask-rcnn",
    config_digest="sha256:" + "1" * 64,
    checkpoint_digest="sha256:" + "2" * 64,
    thresholds={"score": 0.05},
    versions={"torch": "2.13.0"},
    class_names=COCO_CLASSES,
)

Block = tuple[int, float, int, int, int, int]
"""Class, score, x1 y1 x2 y2; the mask fills the box."""
Placed = tuple[int, float, FrameDetections]
"""Index of a frame, its seconds, what was found in it."""


def video_entry(video_id: str, *, height: int, width: int, rate: float, **other: Any) -> VideoEntry:
    """A video that is to be written; its writer counts the frames."""
    usual = {"frames": 0, "header_frames": None, "source_bytes": 1, "source_digest": "sha256:0"}
    return VideoEntry(id=video_id, height=height, width=width, rate=rate, **usual | other)


def blocks(
    *objects: Block, height: int, width: int, rest: float = 0.5, class_scores: bool = True
) -> FrameDetections:
    """Detections whose masks fill their boxes; of what a score lacks to 1, the share `rest` goes to
    the next class."""
    masks, scores_NS = [], np.zeros((len(objects), len(COCO_CLASSES)), np.float16)
    for row, (label, score, x1, y1, x2, y2) in enumerate(objects):
        ones = np.ones((y2 - y1, x2 - x1), np.bool_)
        masks.append(rle.encode_crop(ones, x=x1, y=y1, height=height, width=width))
        scores_NS[row, label] = score
        scores_NS[row, (label + 1) % len(COCO_CLASSES)] = (1 - score) * rest
    return FrameDetections(
        height=height,
        width=width,
        boxes=np.array([block[2:] for block in objects], np.float32).reshape(-1, 4),
        scores=np.array([block[1] for block in objects], np.float32),
        labels=np.array([block[0] for block in objects], np.uint16),
        class_scores=scores_NS if class_scores else None,
        masks=tuple(masks),
    )


def drawn_detections(
    seed: int = 0, num: int = 3, height: int = 12, width: int = 17, class_scores: bool = True
) -> FrameDetections:
    """Random detections, equal for equal arguments; all but the first one have a track."""
    rng = np.random.default_rng(seed)
    masks_NHW = np.zeros((num, height, width), np.bool_)
    for mask_HW in masks_NHW:
        top, left = rng.integers(0, height), rng.integers(0, width)
        mask_HW[top : top + rng.integers(1, 9), left : left + rng.integers(1, 9)] = True
    scores = rng.random((num, 80)) ** 8
    scores /= scores.sum(axis=1, keepdims=True) + 0.1
    detections = FrameDetections.from_masks(
        masks_NHW,
        labels=scores.argmax(axis=1),
        scores=scores.max(axis=1, initial=0),
        class_scores=scores if class_scores else None,
    )
    return replace(detections, tracks=np.arange(num, dtype=np.int64) - 1)


def counted(frames: Iterable[FrameDetections], first: int = 0) -> list[Placed]:
    """The frames with indices from `first` on, RATE a second."""
    return [(index, index / RATE, frame) for index, frame in enumerate(frames, start=first)]


def write_shard(
    path: Path,
    videos: Mapping[str, Sequence[Placed]],
    *,
    size: tuple[int, int],
    detector: DetectorEntry = DETECTOR,
    class_scores: bool = True,
    failed: Mapping[str, str] | None = None,
    **entry: Any,
) -> Path:
    """A shard of videos; `size` (height, width) is that of one without frames, `failed` has the
    reasons by id, `entry` is the same for every video."""
    score_kind: ScoreKind = "softmax" if class_scores else "label"
    with ShardWriter(path, detector, score_kind) as writer:
        for video_id, frames in videos.items():
            height, width = (frames[0][2].height, frames[0][2].width) if frames else size
            writer.begin_video(
                video_entry(video_id, **{"height": height, "width": width, "rate": RATE, **entry})
            )
            for frame in frames:
                writer.add(*frame)
            writer.end_video()
        for video_id, reason in (failed or {}).items():
            writer.fail(video_id, reason)
    return path


def unit_files(folder: Path) -> dict[str, bytes]:
    """The content of every file of a unit, shards or clips, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("[!.]*-[0-9]*"))}


class FakeDetector:
    """A detector that finds one object a frame and tells the frame's gray level as its score.

    `batches` keeps the sizes of the batches seen; `fail_at` raises at that batch, from 0;
    `frame_rate` frames a second are looked at.
    """

    score_kind: ScoreKind = "softmax"

    def __init__(
        self,
        *,
        fail_at: int | None = None,
        class_scores: float = 1 / 128,
        frame_rate: float | None = None,
        batch_size: int = 3,
    ) -> None:
        self.batches: list[int] = []
        self._frame_rate = frame_rate
        self._batch_size = batch_size
        self._fail_at = fail_at
        self._class_score = class_scores

    @property
    def entry(self) -> DetectorEntry:
        return DetectorEntry(
            config_name="fake",
            config_digest="sha256:0",
            checkpoint_digest="sha256:1",
            batch_size=self._batch_size,
            thresholds={"score": 0.0},
            frame_rate=self._frame_rate,
            class_names=COCO_CLASSES,
        )

    def prepare(self, image_HWC: NDArray[np.uint8]) -> tuple[int, int, float]:
        return image_HWC.shape[0], image_HWC.shape[1], float(image_HWC.mean())

    def infer(self, prepared: Sequence[Any], _: object = None) -> Sequence[Any]:
        if len(self.batches) == self._fail_at:
            raise RuntimeError("the network broke")
        self.batches.append(len(prepared))
        return prepared

    def encode(self, prepared: tuple[int, int, float]) -> FrameDetections:
        height, width, gray = prepared
        found = blocks((7, gray / 255, 2, 1, 6, 3), height=height, width=width)
        return replace(found, class_scores=np.full((1, 80), self._class_score, np.float16))
