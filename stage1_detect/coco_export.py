"""Export objects as COCO results (https://cocodataset.org/#format-results), for pycocotools.

Writes two files frame by frame: the results, a list of `{image_id, category_id, bbox, score,
segmentation}`, and a COCO data set without annotations, which describes the images.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from orn.shared.errors import ShardNotFoundError
from orn.shared.jobs.atomic_file import replacing
from orn.shared.masks.coco_classes import COCO_CATEGORY_IDS, COCO_CLASSES
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.shard import Shard, ShardFrame


def images_path(out: Path) -> Path:
    """Return the path of the file that describes the images of the results."""
    return out.with_suffix(".images.json")


def all_frames(folder: DetectionFolder) -> Iterator[ShardFrame]:
    """Yield all frames of the shards, grouped by video.

    Raises:
        ShardNotFoundError: if there are none.
        ShardFormatError: if shards disagree about the source or grid of a video.
    """
    is_empty = True
    for video_id in folder.video_ids:
        folder.entry(video_id)  # raises an error if shards are of different files
        for path in folder.shards_of([video_id]):
            shard = Shard(path)
            for row in range(*shard.video_rows(video_id)):
                is_empty = False
                yield shard.whole_frame(row, shard.checked_frame(row))
    if is_empty:
        raise ShardNotFoundError(f"{folder.path}: expected frames to export, got none")


def export_coco(
    frames: Iterable[ShardFrame], out: Path, class_names: Sequence[str]
) -> dict[str, Any]:
    """Write frames as results; both files appear only once they are complete.

    Images are numbered from 1, including frames without objects. Boxes are x y width height and
    masks are run lengths, in pixels of the image; a known track is `track_id`. Category ids are
    COCO's for COCO's classes, otherwise numbers from 1.

    Args:
        frames: the frames.
        out: file of the results; for the other one, see `images_path`.
        class_names: names of the detector's classes.

    Returns:
        The paths of both files, and the numbers of videos, frames and objects in them.
    """
    is_coco = tuple(class_names) == COCO_CLASSES
    ids = COCO_CATEGORY_IDS if is_coco else tuple(range(1, len(class_names) + 1))
    videos: set[str] = set()
    num_frames = num_objects = 0
    with (
        replacing(out) as results_file,
        replacing(images_path(out)) as images_file,
        results_file.open("w") as results,
        images_file.open("w") as images,
    ):
        results.write("[")
        images.write(_head_of_images(dict(zip(ids, class_names, strict=True))))
        for num_frames, frame in enumerate(frames, start=1):
            _add(images, _image(num_frames, frame), is_first=num_frames == 1)
            for row in range(len(frame.detections.scores)):
                result = _result(num_frames, frame, row, ids)
                _add(results, result, is_first=num_objects == 0)
                num_objects += 1
            videos.add(frame.video.id)
        results.write("\n]\n")
        images.write("\n]\n}\n")
    return {
        "out": str(out),
        "images": str(images_path(out)),
        "videos": len(videos),
        "frames": num_frames,
        "objects": num_objects,
    }


def _add(file: IO[str], entry: Mapping[str, Any], *, is_first: bool) -> None:
    """Append an entry to a JSON list."""
    file.write(("\n" if is_first else ",\n") + json.dumps(entry, allow_nan=False))


def _head_of_images(name_of: Mapping[int, str]) -> str:
    """Return the beginning of a COCO data set, up to its list of images."""
    categories = [{"id": number, "name": name} for number, name in name_of.items()]
    return (
        f'{{"info": {{"description": "images of the results"}},\n"annotations": [],\n'
        f'"categories": {json.dumps(categories)},\n"images": ['
    )


def _image(image_id: int, frame: ShardFrame) -> dict[str, Any]:
    return {
        "id": image_id,
        "height": frame.video.height,
        "width": frame.video.width,
        "file_name": f"{frame.video.id}/{frame.index:010d}.jpg",
        "video": frame.video.id,
        "frame": frame.index,
        "seconds": frame.seconds,
    }


def _result(image_id: int, frame: ShardFrame, row: int, ids: Sequence[int]) -> dict[str, Any]:
    detections = frame.detections
    x1, y1, x2, y2 = map(_shortest, detections.boxes[row])
    result: dict[str, Any] = {
        "image_id": image_id,
        "category_id": ids[detections.labels[row]],
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "score": _shortest(detections.scores[row]),
        "segmentation": {
            "size": [frame.video.height, frame.video.width],
            "counts": detections.masks[row].decode("ascii"),
        },
    }
    if detections.tracks is not None and detections.tracks[row] >= 0:
        result["track_id"] = int(detections.tracks[row])
    return result


def _shortest(value: np.float32) -> float:
    """Return the shortest decimal number that rounds to this float32."""
    return float(str(value))
