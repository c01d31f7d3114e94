"""Detections as COCO results (https://cocodataset.org/#format-results), which pycocotools reads.

Two files: the results, a list of `{image_id, category_id, bbox, score, segmentation}`, and beside
them in COCO's form for annotations, without any, what each image id is. Both are written as shards
are read, a frame at a time, so memory does not grow with them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ManifestError, ShardNotFoundError
from orn.shared.jobs.atomic_file import replacing
from orn.shared.manifests.load import load_listing
from orn.shared.manifests.schema import Manifest
from orn.shared.masks.coco_classes import COCO_CATEGORY_IDS, COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.nearest import nearest
from orn.shared.shards.index import shard_paths
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.shard import Shard
from orn.shared.text import counted
from orn.shared.time_ranges import TimeRange

_BOX_DECIMALS = 4
_SCORE_DECIMALS = 7
"""Below the resolution of a float32 of the sizes that occur."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which part of the detections to export."""

    videos: tuple[str, ...] = ()
    """Ids of the videos; none: all."""
    ranges: Mapping[str, Sequence[TimeRange]] | None = None
    """Ranges of time of each video of which frames are taken; None: all frames."""
    min_score: float = 0.0
    """Detections that score less are left out."""

    def takes_video(self, video_id: str) -> bool:
        """Whether any frame of the video may be taken."""
        if self.videos and video_id not in self.videos:
            return False
        return self.ranges is None or video_id in self.ranges

    def takes_frames(self, video_id: str, seconds_F: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(F,) which frames, at these increasing times, of a video that is taken are."""
        if self.ranges is None:
            return np.ones(len(seconds_F), dtype=np.bool_)
        taken_F = np.zeros(len(seconds_F), dtype=np.bool_)
        for each in self.ranges[video_id]:
            taken_F[slice(*each.places(seconds_F))] = True
        return taken_F


def images_path(out: Path) -> Path:
    """The file beside the results that says what each image id is."""
    return out.with_suffix(".images.json")


def export_coco(folder: Path, out: Path, selection: Selection) -> dict[str, Any]:
    """Writes the detections of a folder of shards; both files appear when all is written.

    Images are numbered from 1, in the order of shards and frames; frames without detections are
    images, too. Boxes are x y width height and masks run lengths in pixels of the video's grid,
    whose size is the image's: the upright frame, or 100 x 100 for imported masks.

    Returns:
        The names of both files and the numbers of videos, frames and detections in them.

    Raises:
        ShardNotFoundError: if there is no shard, a video asked for is in none, or no frame is left.
        ShardFormatError: if a shard is damaged, breaks a rule of `orn.shared.masks.rules`, or is of
            another detector than others.
        PipelineError: if the disk refuses.
    """
    paths, detections = shard_paths(folder), DetectionFolder(folder)
    _check_videos(detections, selection.videos)
    categories = _categories(detections.detector.class_names)
    videos: set[str] = set()
    num_frames = num_detections = 0
    with replacing(out) as results_file, replacing(images_path(out)) as images_file:
        with results_file.open("w") as results, images_file.open("w") as images:
            results.write("[")
            images.write(_head_of_images(categories))
            for num_frames, (image, frame) in enumerate(_frames(paths, selection), start=1):
                _add(images, {"id": num_frames, **image}, is_first=num_frames == 1)
                for entry in _results(num_frames, frame, categories, min_score=selection.min_score):
                    _add(results, entry, is_first=num_detections == 0)
                    num_detections += 1
                videos.add(image["video"])
            results.write("\n]\n")
            images.write("\n]\n}\n")
        if not num_frames:
            raise ShardNotFoundError(
                f"{folder}: wanted frames to export, found none in the part asked for"
            )
    return {
        "results": str(out),
        "images": str(images_path(out)),
        "videos": len(videos),
        "frames": num_frames,
        "detections": num_detections,
    }


def _add(file: IO[str], entry: Mapping[str, Any], *, is_first: bool) -> None:
    """Writes one more entry of a JSON list."""
    file.write(("\n" if is_first else ",\n") + json.dumps(entry, allow_nan=False))


def _categories(class_names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the categories of classes: COCO's own numbers for its classes, else from 1."""
    is_coco = class_names == COCO_CLASSES
    numbers = COCO_CATEGORY_IDS if is_coco else range(1, len(class_names) + 1)
    return [{"id": each, "name": name} for each, name in zip(numbers, class_names, strict=True)]


def _head_of_images(categories: Sequence[Mapping[str, Any]]) -> str:
    """COCO's form of a data set, up to the list of its images."""
    return (
        f'{{"info": {{"description": "what each image_id is"}},\n"annotations": [],\n'
        f'"categories": {json.dumps(categories)},\n"images": ['
    )


def _frames(
    paths: Sequence[Path], selection: Selection
) -> Iterator[tuple[dict[str, Any], FrameDetections]]:
    """Each frame that is taken: what is said of the image, and its detections."""
    for path in paths:
        shard = Shard(path)
        seconds_F, index_F = shard.frame_seconds(), shard.frame_index()
        for video in shard.videos:
            if not selection.takes_video(video.id):
                continue
            start, stop = shard.video_rows(video.id)
            taken_F = selection.takes_frames(video.id, seconds_F[start:stop])
            for row in (start + np.flatnonzero(taken_F)).tolist():
                frame, index = shard.checked_frame(row), int(index_F[row])
                image = {
                    "height": frame.height,
                    "width": frame.width,
                    "file_name": f"{video.id}/{index:010d}.jpg",
                    "video": video.id,
                    "frame": index,
                    "seconds": float(seconds_F[row]),
                }
                yield image, frame


def _results(
    image_id: int,
    frame: FrameDetections,
    categories: Sequence[Mapping[str, Any]],
    *,
    min_score: float,
) -> Iterator[dict[str, Any]]:
    boxes, scores, labels = frame.boxes.tolist(), frame.scores.tolist(), frame.labels.tolist()
    size = [frame.height, frame.width]
    for (x1, y1, x2, y2), score, label, mask in zip(
        boxes, scores, labels, frame.masks, strict=True
    ):
        if score < min_score:
            continue
        bbox = (x1, y1, x2 - x1, y2 - y1)
        yield {
            "image_id": image_id,
            "category_id": categories[label]["id"],
            "bbox": [round(side, _BOX_DECIMALS) for side in bbox],
            "score": round(score, _SCORE_DECIMALS),
            "segmentation": {"size": size, "counts": mask.decode("ascii")},
        }


def _check_videos(detections: DetectionFolder, video_ids: Sequence[str]) -> None:
    for video_id in video_ids:
        if video_id not in detections:
            near = nearest(video_id, detections.video_ids)
            raise ShardNotFoundError(
                f"{detections.path}: has no video {video_id!r}; the nearest is {near!r}"
            )


def ranges_of_split(manifest: Manifest, data_root: Path, split: str) -> dict[str, list[TimeRange]]:
    """For each video with a segment of the split the ranges of its segments.

    Raises:
        ManifestError: if the label tables have no segment of the split.
        DataRootError: if a table is not there.
    """
    listing = load_listing(manifest, data_root, labels=False)
    ranges: dict[str, list[TimeRange]] = {}
    for segment in listing.segments:
        if segment.split == split:
            its_range = TimeRange(segment.start_seconds, segment.stop_seconds)
            ranges.setdefault(segment.video_id, []).append(its_range)
    if not ranges:
        raise ManifestError(
            f"data set {manifest.name!r}: wanted segments of the split {split!r}, its label tables "
            f"list {counted(len(listing.segments), 'segment')} and none of it"
        )
    return ranges
