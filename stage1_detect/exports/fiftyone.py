"""Export objects as a `FiftyOneVideoLabelsDataset`: a folder with links to the videos in `data/`,
labels in `labels/`, and `manifest.json`.

Labels are ETA's VideoLabels (https://github.com/voxel51/eta, docs/video_labels_guide.md): frames
are numbered from 1, boxes are fractions of the frame size, and a mask is cropped to its box and
stored as a compressed .npy file in Base64 (`eta.core.serial`).
"""

import base64
import io
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from orn.shared.errors import DataRootError
from orn.shared.jobs.atomic_file import replacing, write_text
from orn.shared.manifests.records import Video
from orn.shared.masks import rle
from orn.shared.shards.schema import VideoEntry
from orn.shared.shards.time_join import nearest_frames
from orn.shared.text import counted
from orn.shared.video.reader import seconds_of_frames
from orn.stage1_detect.exports.frames import ExportFrame
from orn.stage1_detect.imports.source import SourceObject

MANIFEST_NAME = "manifest.json"


def export_fiftyone(
    frames: Iterable[ExportFrame], out: Path, videos: Mapping[str, Video]
) -> dict[str, Any]:
    """Write frames to a folder for FiftyOne.

    Each frame is matched to the nearest frame of its video by time; if several match the same
    frame, the first one is written.

    Args:
        frames: frames to write, grouped by video.
        out: the folder; its manifest is written last.
        videos: existing videos by id.

    Returns:
        The path of the folder, the numbers of videos, frames and objects in it, and
        `without_video`, the ids of skipped videos that have no video file.

    Raises:
        DataRootError: if no video has a file.
    """
    index: list[dict[str, str]] = []
    without: list[str] = []
    counts = {"videos": 0, "frames": 0, "objects": 0}
    for video_id, its_frames in groupby(frames, key=lambda frame: frame.video.id):
        video = videos.get(video_id)
        if video is None or not video.path.is_file():
            without.append(video_id)
            continue
        name = quote(video_id, safe="")
        data, labels = f"data/{name}{video.path.suffix}", f"labels/{name}.json"
        separator = '{"frames": {'
        with replacing(out / labels) as temporary, temporary.open("w") as file:
            for number, frame in _numbered(its_frames, video):
                file.write(f'{separator}\n"{number}": {json.dumps(_labels(number, frame))}')
                separator = ","
                counts["frames"] += 1
                counts["objects"] += len(frame.objects)
            file.write("\n}}\n")
        _link(out / data, video.path)
        index.append({"data": data, "labels": labels})
        counts["videos"] += 1
    if not index:
        raise DataRootError(
            f"{out}: FiftyOne requires video files, but there is none for "
            f"{counted(len(without), 'video')} (folders of JPEGs are not exported); pass the data "
            "root with --data"
        )
    manifest = {"type": "eta.core.datasets.LabeledVideoDataset", "description": "", "index": index}
    write_text(out / MANIFEST_NAME, json.dumps(manifest, indent=1) + "\n")
    return {"out": str(out), **counts, "without_video": without}


def _numbered(frames: Iterable[ExportFrame], video: Video) -> Iterator[tuple[int, ExportFrame]]:
    """Yield unique frame numbers of the video, from 1, with the frame of objects at that time."""
    seconds_F = seconds_of_frames(video.path, rate=video.rate)
    last = 0
    for frame in frames:
        near = nearest_frames(seconds_F, np.array([frame.seconds]), interval=1.0)
        number = int(near.rows_n[0]) + 1
        if number > last:
            last = number
            yield number, frame


def _labels(number: int, frame: ExportFrame) -> dict[str, Any]:
    objects = [_object(number, each, frame.video) for each in frame.objects]
    return {"frame_number": number, "objects": {"objects": objects}}


def _object(number: int, found: SourceObject, video: VideoEntry) -> dict[str, Any]:
    assert found.box is not None and found.mask is not None
    x1, y1, x2, y2 = found.box
    mask = rle.decode(found.mask, height=video.height, width=video.width)
    inside = mask[math.floor(y1) : math.ceil(y2), math.floor(x1) : math.ceil(x2)]
    return {
        "type": "eta.core.objects.DetectedObject",
        "label": found.name,
        "bounding_box": {
            "top_left": {"x": x1 / video.width, "y": y1 / video.height},
            "bottom_right": {"x": x2 / video.width, "y": y2 / video.height},
        },
        "confidence": found.score,
        "frame_number": number,
        **({"mask": _packed(inside)} if inside.size else {}),
    }


def _packed(mask: Any) -> str:
    content = io.BytesIO()
    np.save(content, mask, allow_pickle=False)
    return base64.b64encode(zlib.compress(content.getvalue())).decode("ascii")


def _link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        path.unlink()
    path.symlink_to(target.absolute())
