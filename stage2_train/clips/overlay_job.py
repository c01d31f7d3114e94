"""The job behind `orn overlay`: clips of a data set, drawn into a folder."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import JoinError
from shared.jobs.atomic_file import replacing
from shared.manifests.load import load_dataset
from shared.manifests.records import Dataset, Segment
from shared.shards.reader import DetectionFolder
from stage2_train.clips.dataset import ClipDataset, ClipRequest, ClipSettings
from stage2_train.clips.overlay import draw_clip
from stage2_train.clips.slots import SlotSettings
from stage2_train.frames.reader import ClipStore
from stage2_train.frames.source import FrameSource

__all__ = ["OverlayRequest", "draw_overlays"]

_MASK_CELLS = 128
"""Rows and columns of the masks that are drawn: finer than those that the network gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayRequest:
    """What to draw; None takes the default."""

    manifest: str
    """Name or file of the manifest."""
    data_root: Path
    """Folder under which data sets lie."""
    out: Path | None = None
    """Folder of the pictures."""
    shards: Path | None = None
    """Folder of the shards."""
    clips: Path | None = None
    """The clip store."""
    segment: str | None = None
    """Id of the only segment to draw."""
    limit: int = 8
    """How many segments to draw, evenly spread over the label table."""
    num_frames: int = 4
    """T, frames of each."""
    score_threshold: float = 0.5
    """Detections below it are not drawn."""
    max_objects: int = 10
    """Detections of a frame at most, the highest scores first."""


def draw_overlays(request: OverlayRequest) -> dict[str, Any]:
    """Draws the centred test clip of some segments, one PNG each.

    Returns:
        The folder, its pictures, and of how many drawable segments they are.

    Raises:
        JoinError: if no segment has both frames and detections, or there is no such segment.
    """
    dataset = load_dataset(request.manifest, request.data_root, labels=False)
    clips = ClipStore(request.clips or Path("clips") / f"{dataset.name}.h5")
    detections = DetectionFolder(request.shards or Path("shards") / dataset.name)
    usable = _usable_segments(dataset, clips, detections)
    chosen = _chosen(request, usable, dataset)
    folder = request.out or Path("overlays") / dataset.name
    pictures = []
    for number, segment in enumerate(chosen):
        sample = _clips(segment, clips, detections, request)[ClipRequest(0)]
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", segment.id)[-100:]
        path = folder / f"{number:03d}-{name}.png"
        picture = draw_clip(sample, detections.detector.class_names)
        with replacing(path) as temporary:
            picture.save(temporary, format="PNG")
        pictures.append({"segment": segment.id, "path": str(path)})
    return {"folder": str(folder), "segments": len(usable), "pictures": pictures}


def _usable_segments(
    dataset: Dataset, clips: FrameSource, detections: DetectionFolder
) -> list[Segment]:
    usable = [
        segment
        for segment in dataset.segments
        if segment.video_id in clips
        and segment.video_id in detections
        and not clips.frames(segment.video_id).is_empty(segment.start_seconds, segment.stop_seconds)
    ]
    if not usable:
        raise JoinError(
            f"{dataset.name}: none of its {len(dataset.segments)} segments has both frames in "
            f"{clips.name} and detections in {detections.path}; run `orn clips` and `orn detect`"
        )
    return usable


def _chosen(request: OverlayRequest, usable: list[Segment], dataset: Dataset) -> list[Segment]:
    if request.segment is None:
        number = min(request.limit, len(usable))
        return [usable[place * len(usable) // number] for place in range(number)]
    chosen = [segment for segment in usable if segment.id == request.segment]
    if not chosen:
        raise JoinError(
            f"{dataset.name}: wanted segment {request.segment!r}, found none of that name with "
            f"frames and detections; the first of {len(usable)} is {usable[0].id!r}"
        )
    return chosen


def _clips(
    segment: Segment, clips: FrameSource, detections: DetectionFolder, request: OverlayRequest
) -> ClipDataset:
    """The segment alone, its frames not cropped."""
    settings = ClipSettings(
        num_frames=request.num_frames,
        crop=clips.stored_size(segment.video_id),
        slots=SlotSettings(
            max_objects=request.max_objects,
            background=False,
            mask_size=_MASK_CELLS,
            feature_cells=(1, 1),
        ),
        score_threshold=request.score_threshold,
        num_activities=0,
        multi_label=True,
    )
    return ClipDataset([segment], clips, detections, settings)
