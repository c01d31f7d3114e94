"""Checks that a shard is whole and that what it says is consistent, down to every mask."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared import rle
from shared.coco_classes import NUM_COCO_CLASSES
from shared.errors import ShardFormatError
from shared.shards.chunk_cache import ChunkCache
from shared.shards.schema import ARRAYS
from shared.shards.shard import Shard

__all__ = ["Problem", "verify_shard"]

_Arrays = dict[str, NDArray[Any]]

_BOX_TOLERANCE_PIXELS = 1e-2
"""Boxes are cut to the frame in float32 after being scaled."""
_MASK_TOLERANCE_PIXELS = 1.0
"""Masks end on whole pixels, boxes between them."""
_SUM_TOLERANCE = 5e-3
"""80 probabilities, each rounded to float16."""
_WHOLE_CACHE_BYTES = 2**40


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a shard."""

    shard: Path
    """The file."""
    array: str
    """The array that it is about; empty if it is about the file as a whole."""
    message: str
    """What was wanted and what found."""


def verify_shard(path: Path) -> list[Problem]:
    """Everything that is wrong with a shard; empty if it is whole and consistent.

    Of each kind of problem only the first place is told, and how many there are.

    Raises:
        ShardNotFoundError: if there is no such file.
    """
    try:
        shard = Shard(path, ChunkCache(_WHOLE_CACHE_BYTES))
    except ShardFormatError as err:
        return [_problem(path, "", str(err))]
    arrays: _Arrays = {}
    damaged: list[Problem] = []
    for name in ARRAYS:
        if name == "class_scores" and not shard.has_class_scores:
            continue
        try:
            arrays[name] = shard.array(name)
        except ShardFormatError as err:
            damaged.append(_problem(path, name, str(err)))
    damaged = damaged or [_problem(path, *found) for found in _check_members(path)]
    return damaged or [_problem(path, *found) for found in _check_contents(shard, arrays)]


def _problem(path: Path, array: str, message: str) -> Problem:
    return Problem(shard=path, array=array, message=message.removeprefix(f"{path}: "))


def _check_members(path: Path) -> Iterator[tuple[str, str]]:
    """The ZIP file's own checksums, which other readers go by."""
    with zipfile.ZipFile(path) as file:
        member = file.testzip()
    if member is not None:
        array = member.split("/")[0] if "/" in member else ""
        yield array, f"the checksum of the ZIP member {member} does not match"


def _check_contents(shard: Shard, arrays: _Arrays) -> Iterator[tuple[str, str]]:
    offset_problems = [
        *_check_offsets("frame_offsets", arrays["frame_offsets"], length=shard.num_detections),
        *_check_offsets("rle_offsets", arrays["rle_offsets"], length=len(arrays["rle"])),
    ]
    frame_problems = list(_check_frames(shard, arrays))
    yield from offset_problems
    yield from frame_problems
    yield from _check_scores(arrays)
    if not offset_problems and not frame_problems:
        yield from _check_shapes(shard, arrays)


def _check_offsets(name: str, offsets: NDArray[Any], *, length: int) -> Iterator[tuple[str, str]]:
    if offsets[0] != 0 or offsets[-1] != length:
        yield name, f"wanted borders from 0 to {length}, found {offsets[0]} to {offsets[-1]}"
    falling = np.diff(offsets) < 0
    if falling.any():
        place = int(np.argmax(falling))
        yield (
            name,
            f"wanted borders that never fall, found {offsets[place + 1]} after {offsets[place]} "
            f"at {place + 1}{_more(falling.sum())}",
        )


def _check_frames(shard: Shard, arrays: _Arrays) -> Iterator[tuple[str, str]]:
    video_F, entries = arrays["frame_video"], shard.videos
    if len({entry.id for entry in entries}) != len(entries):
        yield "", "wanted each video once, found one twice"
    wanted_F = np.repeat(np.arange(len(entries)), [entry.frames for entry in entries])
    if not np.array_equal(video_F, wanted_F):
        found = np.bincount(video_F[video_F >= 0], minlength=len(entries)).tolist()
        wanted = [entry.frames for entry in entries]
        yield (
            "frame_video",
            f"wanted the frames of each video side by side, {wanted} of them, found {found}",
        )
        return
    same_video = video_F[1:] == video_F[:-1]
    for name, unit in (("frame_index", ""), ("frame_seconds", " s")):
        values = arrays[name]
        wrong = ~(values[1:] > values[:-1]) & same_video
        if wrong.any():
            row = int(np.argmax(wrong)) + 1
            yield (
                name,
                f"video {entries[video_F[row]].id!r}: wanted increasing values, "
                f"found {values[row]}{unit} after {values[row - 1]}{unit} in row {row}"
                f"{_more(wrong.sum())}",
            )
        wrong = ~np.isfinite(values) | ((values < 0) if name == "frame_index" else False)
        if wrong.any():
            row = int(np.argmax(wrong))
            yield (
                name,
                f"wanted a finite value, found {values[row]} in row {row}{_more(wrong.sum())}",
            )


def _check_scores(arrays: _Arrays) -> Iterator[tuple[str, str]]:
    scores = arrays["scores"]
    wrong = ~((scores >= 0) & (scores <= 1))
    if wrong.any():
        row = int(np.argmax(wrong))
        yield "scores", f"wanted 0 to 1, found {scores[row]} in detection {row}{_more(wrong.sum())}"
    labels = arrays["labels"]
    wrong = labels >= NUM_COCO_CLASSES
    if wrong.any():
        row = int(np.argmax(wrong))
        yield (
            "labels",
            f"wanted classes 0 to {NUM_COCO_CLASSES - 1}, found {labels[row]} in detection "
            f"{row}{_more(wrong.sum())}",
        )
    if "class_scores" in arrays:
        class_scores = arrays["class_scores"].astype(np.float64)
        sums = class_scores.sum(axis=1)
        wrong = ~((class_scores >= 0).all(axis=1) & (sums <= 1 + _SUM_TOLERANCE))
        if wrong.any():
            row = int(np.argmax(wrong))
            yield (
                "class_scores",
                f"wanted no negative score and a sum of at most 1, found a sum of {sums[row]:.4f} "
                f"and a least score of {class_scores[row].min():.4f} in detection "
                f"{row}{_more(wrong.sum())}",
            )


def _check_shapes(shard: Shard, arrays: _Arrays) -> Iterator[tuple[str, str]]:
    """Boxes inside the frame; masks of the right size, inside their boxes."""
    frame_N = np.repeat(np.arange(shard.num_frames), np.diff(arrays["frame_offsets"]))
    video_N = arrays["frame_video"][frame_N]
    sizes_V2 = np.array([(video.width, video.height) for video in shard.videos]).reshape(-1, 2)
    boxes_N4 = arrays["boxes"]
    top_left, bottom_right = boxes_N4[:, :2], boxes_N4[:, 2:]
    inside = (top_left >= -_BOX_TOLERANCE_PIXELS) & (top_left <= bottom_right)
    inside &= bottom_right <= sizes_V2[video_N] + _BOX_TOLERANCE_PIXELS
    wrong = np.flatnonzero(~inside.all(axis=1))
    if wrong.size:
        row = int(wrong[0])
        video = shard.videos[video_N[row]]
        yield (
            "boxes",
            f"wanted boxes inside {video.width} x {video.height}, found {boxes_N4[row].tolist()} "
            f"in detection {row} (video {video.id!r}){_more(wrong.size)}",
        )
    borders, content = arrays["rle_offsets"], arrays["rle"].tobytes()
    messages: dict[int, str] = {}
    for row in range(len(boxes_N4)):
        video = shard.videos[video_N[row]]
        message = _mask_problem(
            content[borders[row] : borders[row + 1]],
            height=video.height,
            width=video.width,
            box=boxes_N4[row],
        )
        if message is not None:
            messages[row] = f"detection {row} (video {video.id!r}): {message}"
    if messages:
        yield "rle", next(iter(messages.values())) + _more(len(messages))


def _mask_problem(
    counts: bytes, *, height: int, width: int, box: NDArray[np.float32]
) -> str | None:
    try:
        total = int(rle.run_lengths(counts).sum())
        if total != height * width:
            return f"wanted {height} x {width} = {height * width} pixels, found {total}"
        extent = rle.bounding_box(counts, height)
    except ShardFormatError as err:
        return str(err)
    outwards = np.concatenate([box[:2] - extent[:2], extent[2:] - box[2:]])
    if extent.any() and outwards.max() > _MASK_TOLERANCE_PIXELS:
        return f"wanted a mask inside its box {box.tolist()}, found it over {extent.tolist()}"
    return None


def _more(count: int) -> str:
    return f"; {count - 1} more like it" if count > 1 else ""
