"""The job of `orn overlay`: draw clips with their objects, as they appear in a batch."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orn.shared.drawing.frame import DrawnObjects, draw_frame
from orn.shared.errors import JoinError
from orn.shared.jobs.atomic_file import replacing
from orn.shared.jobs.outputs import check_output_folder
from orn.shared.manifests.load import load_dataset
from orn.shared.manifests.records import Dataset, Segment
from orn.shared.shards.reader import DetectionFolder
from orn.shared.text import counted
from orn.shared.time_ranges import TimeRange
from orn.stage2_train.clips.dataset import ClipDataset, ClipSample
from orn.stage2_train.clips.objects import SlotSettings
from orn.stage2_train.clips.settings import ClipSettings, DataRecipe
from orn.stage2_train.clips.views import ClipRequest
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.requests import OverlayRequest

_MASK_CELLS = 128
"""Rows and columns of the drawn masks, which have a higher resolution than the network's."""
_MAX_OBJECTS = 10
"""Maximum number of detections drawn per frame, highest scores first."""


def draw_overlays(request: OverlayRequest) -> dict[str, Any]:
    """Draw the uncropped centred test clips of some segments as PNG files.

    Returns:
        The folder, the pictures in it, and the number of segments with frames and detections.

    Raises:
        JoinError: if no segment, or not the requested one, has both frames and detections.
    """
    dataset = load_dataset(request.dataset, request.data_root, labels=False)
    folder = request.out or Path("overlays") / dataset.name
    check_output_folder(folder, ours=["[0-9][0-9][0-9]-*.png"])
    store = ClipStore(request.clips or Path("clips") / dataset.name)
    detections = DetectionFolder(request.shards or Path("shards") / dataset.name)
    usable = _usable_segments(dataset, store, detections)
    number = min(request.limit, len(usable))
    chosen = [usable[place * len(usable) // number] for place in range(number)]
    if request.segment is not None:
        chosen = [each for each in usable if each.id == request.segment]
    if not chosen:
        raise JoinError(
            f"{dataset.name}: expected a segment with frames and detections, got "
            f"{request.segment!r}; the first of {len(usable)} is {usable[0].id!r}"
        )
    pictures = []
    for place, each in enumerate(chosen):
        settings = ClipSettings(
            data=DataRecipe(
                clip_frames=request.num_frames,
                crop=store.stored_size(each.video_id),
                score_threshold=request.score_threshold,
            ),
            slots=SlotSettings(
                max_objects=_MAX_OBJECTS,
                background=False,
                mask_size=_MASK_CELLS,
                feature_cells=(1, 1),
            ),
            num_activities=0,
            multi_label=True,
        )
        sample = ClipDataset([each], store, detections, settings)[ClipRequest(0)]
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", each.id)[-100:]
        path = folder / f"{place:03d}-{name}.png"
        picture = draw_clip(sample, detections.detector.class_names)
        with replacing(path) as temporary:
            picture.save(temporary, format="PNG")
        pictures.append({"segment": each.id, "path": str(path)})
    return {"folder": str(folder), "segments": len(usable), "pictures": pictures}


def _usable_segments(
    dataset: Dataset, clips: ClipStore, detections: DetectionFolder
) -> list[Segment]:
    usable = []
    for segment in dataset.segments:
        if segment.video_id in clips and segment.video_id in detections:
            times = TimeRange(segment.start_seconds, segment.stop_seconds)
            if not clips.frames(segment.video_id).is_empty(times):
                usable.append(segment)
    if not usable:
        raise JoinError(
            f"{dataset.name}: expected segments with frames in {clips.name} and detections in "
            f"{detections.path}, got none of {counted(len(dataset.segments), 'segment')}; run "
            "`orn clips` and `orn detect`"
        )
    return usable


def draw_clip(sample: ClipSample, class_names: Sequence[str]) -> Image.Image:
    """Draw the frames of a clip side by side, each with its time and objects.

    A class has the same color in every picture. The background object is not drawn.

    Args:
        sample: the clip.
        class_names: names of the detector's classes.
    """
    pictures = [_draw_frame(sample, time, class_names) for time in range(len(sample.frames))]
    return Image.fromarray(np.concatenate(pictures, axis=1))


def _draw_frame(sample: ClipSample, time: int, class_names: Sequence[str]) -> NDArray[np.uint8]:
    slots, (height, width, _) = sample.slots, sample.frames.shape[1:]
    shown = np.flatnonzero(slots.valid[time] & (slots.labels[time] < len(class_names)))
    rows, columns = slots.masks.shape[2:]
    cells = np.array([columns / width, rows / height] * 2, np.float32)
    objects = DrawnObjects(
        boxes=slots.boxes[time, shown] * cells,
        covers=slots.masks[time, shown],
        labels=slots.labels[time, shown],
        scores=slots.class_scores[time, shown].max(axis=1, initial=0),
    )
    caption = f"{sample.seconds[time]:.3f} s"
    return draw_frame(sample.frames[time], objects, class_names=class_names, caption=caption)
