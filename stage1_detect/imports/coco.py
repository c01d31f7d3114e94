"""Read COCO JSON: annotations (https://cocodataset.org/#format-data), or a list of results
(#format-results) next to a file `NAME.images.json` that describes the images.

The frame of an image is determined by `seconds`, else by `frame` (or `frame_id`, `frame_index`),
else by the number at the end of its `file_name`. Its video is `video`, else the one with its
`video_id` in the list `videos`, else the folder in `file_name`, else the name of the JSON file.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, AliasPath, Field, Strict

from orn.shared.errors import ObjectImportError
from orn.shared.masks import rle
from orn.shared.shards.shard_format import MOST_SIDE
from orn.stage1_detect.imports.json_records import (
    Number,
    Place,
    Record,
    Score,
    Text,
    Track,
    elements_of,
)
from orn.stage1_detect.imports.polygons import fill_polygons
from orn.stage1_detect.imports.source_objects import SourceObject, SourceRecord

IMAGES_SUFFIX = ".images.json"
FILE_NAME = re.compile(r"(?:(?P<video>.+)/)?[^/]*?(?<!\d)(?P<frame>\d{1,15})\.\w+")

_Id = Annotated[int, Field(gt=-(2**63), lt=2**63)] | Text
_Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]
_Corner = Annotated[float, Field(ge=-MOST_SIDE, le=2 * MOST_SIDE)]
_Polygon = Annotated[list[_Corner], Field(min_length=6, fail_fast=True)]
_Run = Annotated[int, Field(ge=0, lt=2**31)]


class _Named(Record):
    id: _Id
    name: Text


class _Image(Record):
    id: _Id
    height: _Side
    width: _Side
    file_name: Text = "?"
    video: Text | None = None
    video_id: _Id | None = None
    frame: Annotated[
        Place | None, Field(validation_alias=AliasChoices("frame", "frame_id", "frame_index"))
    ] = None
    seconds: Number | None = None


class _OfImage(Record):
    image_id: _Id


class _RunLengths(Record):
    size: Annotated[list[_Side], Field(min_length=2, max_length=2)]
    counts: str | Annotated[list[_Run], Field(fail_fast=True)]


class _Annotation(Record):
    category_id: _Id
    bbox: Annotated[list[Number], Field(min_length=4, max_length=4)] | None = None
    segmentation: _RunLengths | Annotated[list[_Polygon], Field(fail_fast=True)] | None = None
    score: Score = 1.0
    iscrowd: Annotated[bool, Strict(False)] = False  # 0 or 1
    track_id: Annotated[
        Track | None,
        Field(  # CocoVID has `instance_id`, CVAT an attribute
            validation_alias=AliasChoices(
                "track_id", "instance_id", AliasPath("attributes", "track_id")
            )
        ),
    ] = None


def read_coco(
    path: Path, pattern: re.Pattern[str], names: dict[str, None]
) -> Iterator[SourceRecord]:
    """Yield the images of a file as frames, then its objects.

    Args:
        path: the file.
        pattern: pattern for image names, with the groups `video` and `frame`.
        names: the names of the classes, to which names in the file are added.
    """
    beside = path.with_suffix(IMAGES_SUFFIX)
    described = beside if os.path.lexists(beside) else path
    categories: dict[Any, str] = {}
    videos = cache(lambda: _names_of_videos(described))
    images: dict[int | str, SourceRecord] = {}
    for key, entry, number in elements_of(described):
        if key == "categories":
            _add_name(categories, entry, f"{described}: {key} {number:,}")
        if key != "images":
            continue
        what = f"{described}: image {number:,}"
        image = _Image.of(entry, what)
        video_id, frame = _place_of(image, what, pattern, videos)
        video_id, grid = video_id or path.stem, (image.height, image.width)
        if image.id in images:
            raise ObjectImportError(
                f"expected unique ids of images, got {image.id!r} twice; correct the file",
                where=described,
            )
        images[image.id] = SourceRecord(
            video_id=video_id, frame=frame, seconds=image.seconds, grid=grid
        )
    if not images:
        raise ObjectImportError(
            "expected COCO JSON with images, got no images; for results, add the images as "
            f"{beside.name}",
            where=described,
        )
    names |= dict.fromkeys(categories.values())
    yield from images.values()
    for key, entry, number in elements_of(path):
        if key in ("annotations", ""):
            what = f"{path}: record {number:,}"
            image_id = _OfImage.of(entry, what).image_id
            if image_id not in images:
                raise ObjectImportError(
                    f"expected an image_id of {described.name}, got {image_id!r}; export both "
                    "files in one step",
                    where=what,
                )
            of_image = images[image_id]
            assert of_image.grid is not None
            yield replace(of_image, content=_content(entry, of_image.grid, categories, what))


def _names_of_videos(described: Path) -> Mapping[Any, str]:
    """Return the names of the list of videos by id, which only some files have and need."""
    videos: dict[Any, str] = {}
    for key, entry, number in elements_of(described):
        if key == "videos":
            _add_name(videos, entry, f"{described}: {key} {number:,}")
    return videos


def _add_name(names: dict[Any, str], entry: Any, what: str) -> None:
    named = _Named.of(entry, what)
    if named.id in names:
        raise ObjectImportError(
            f"expected unique ids, got {named.id!r} twice; correct the file", where=what
        )
    names[named.id] = named.name


def _place_of(
    image: _Image, what: str, pattern: re.Pattern[str], videos: Callable[[], Mapping[Any, str]]
) -> tuple[str | None, int]:
    """Return the video of an image, if it has one, and its frame; 0 if it has a time instead."""
    match = pattern.fullmatch(image.file_name.replace("\\", "/"))
    named_in = match.groupdict() if match else {}
    frame = named_in.get("frame") if image.frame is None else image.frame
    if frame is None and image.seconds is None:
        raise ObjectImportError(
            f"expected a file_name that ends with the number of the frame, got "
            f"{image.file_name!r}; pass a pattern with --names",
            where=what,
        )
    video_id = image.video or named_in.get("video")
    if image.video is None and image.video_id is not None:
        video_id = videos().get(image.video_id, str(image.video_id))
    return video_id, int(frame or 0)


def _content(
    entry: Any, grid: tuple[int, int], categories: Mapping[Any, str], what: str
) -> SourceObject | ObjectImportError:
    """Return the object of an annotation or a result, or why it is invalid."""
    try:
        annotation = _Annotation.of(entry, what)
        segmentation, box = annotation.segmentation, annotation.bbox
        if box is None and not segmentation:
            raise ObjectImportError("neither bbox nor segmentation; add one", where=what)
        return SourceObject(
            name=categories.get(annotation.category_id, f"category_id {annotation.category_id}"),
            score=annotation.score,
            box=None if box is None else (box[0], box[1], box[0] + box[2], box[1] + box[3]),
            mask=_mask(segmentation, *grid) if segmentation else None,
            is_crowd=annotation.iscrowd,
            track=-1 if annotation.track_id is None else annotation.track_id,
        )
    except ObjectImportError as err:
        return err
    except ValueError as err:
        return ObjectImportError(f"segmentation: {err}; correct the file", where=what)


def _mask(segmentation: _RunLengths | list[list[float]], height: int, width: int) -> bytes:
    """Return a mask, given by polygons or run lengths, as compressed run lengths."""
    if isinstance(segmentation, _RunLengths):
        if segmentation.size != [height, width]:
            raise ValueError(f"expected the size {[height, width]}, got {segmentation.size}")
        if not segmentation.counts:
            raise ValueError("expected run lengths, got none")
        if isinstance(segmentation.counts, str):
            return segmentation.counts.encode("ascii")
        if sum(segmentation.counts) != height * width:
            raise ValueError(f"expected {height * width} pixels, got {sum(segmentation.counts)}")
        return rle.compress(segmentation.counts, height=height, width=width)
    return fill_polygons(segmentation, height, width)
