"""Export objects as COCO results (https://cocodataset.org/#format-results), for pycocotools.

Writes two files frame by frame: the results, a list of `{image_id, category_id, bbox, score,
segmentation}`, and a COCO data set without annotations, which describes the images.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from orn.shared.jobs.atomic_file import replacing
from orn.shared.masks.coco_classes import COCO_CATEGORY_IDS, COCO_CLASSES
from orn.stage1_detect.exports.exported_frames import ExportFrame
from orn.stage1_detect.imports.source_objects import SourceObject


def images_path(out: Path) -> Path:
    """Return the path of the file that describes the images of the results."""
    return out.with_suffix(".images.json")


def export_coco(
    frames: Iterable[ExportFrame], out: Path, class_names: Sequence[str]
) -> dict[str, Any]:
    """Write frames as results; both files appear only once they are complete.

    Images are numbered from 1, including frames without objects. Boxes are x y width height and
    masks are run lengths, in pixels of the image. Category ids are COCO's for COCO's classes,
    otherwise numbers from 1.

    Returns:
        The paths of both files, and the numbers of videos, frames and objects in them.
    """
    is_coco = tuple(class_names) == COCO_CLASSES
    ids = COCO_CATEGORY_IDS if is_coco else range(1, len(class_names) + 1)
    category_of = dict(zip(class_names, ids, strict=True))
    videos: set[str] = set()
    num_frames = num_objects = 0
    with (
        replacing(out) as results_file,
        replacing(images_path(out)) as images_file,
        results_file.open("w") as results,
        images_file.open("w") as images,
    ):
        results.write("[")
        images.write(_head_of_images(category_of))
        for num_frames, frame in enumerate(frames, start=1):
            _add(images, _image(num_frames, frame), is_first=num_frames == 1)
            for each in frame.objects:
                size = [frame.video.height, frame.video.width]
                result = _result(num_frames, each, category_of[each.name], size)
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


def _head_of_images(category_of: Mapping[str, int]) -> str:
    """Return the beginning of a COCO data set, up to its list of images."""
    categories = [{"id": number, "name": name} for name, number in category_of.items()]
    return (
        f'{{"info": {{"description": "images of the results"}},\n"annotations": [],\n'
        f'"categories": {json.dumps(categories)},\n"images": ['
    )


def _image(image_id: int, frame: ExportFrame) -> dict[str, Any]:
    return {
        "id": image_id,
        "height": frame.video.height,
        "width": frame.video.width,
        "file_name": f"{frame.video.id}/{frame.index:010d}.jpg",
        "video": frame.video.id,
        "frame": frame.index,
        "seconds": frame.seconds,
    }


def _result(
    image_id: int, found: SourceObject, category_id: int, size: list[int]
) -> dict[str, Any]:
    assert found.box is not None and found.mask is not None
    x1, y1, x2, y2 = found.box
    return {
        "image_id": image_id,
        "category_id": category_id,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "score": found.score,
        "segmentation": {"size": size, "counts": found.mask.decode("ascii")},
    }
