"""Checks that a shard is whole and that what it says is consistent, down to every mask."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import ShardFormatError
from shared.masks import rle
from shared.masks.coco_classes import NUM_COCO_CLASSES
from shared.shards.chunk_cache import ChunkCache
from shared.shards.problem import Problem
from shared.shards.schema import ARRAYS
from shared.shards.sealed_zip import damaged_members, unsealed_damage
from shared.shards.shard import Shard

__all__ = ["verify_shard"]

_Arrays = dict[str, NDArray[Any]]
_Problems = Iterator[Problem]

_BOX_TOLERANCE_PIXELS = 1e-2
"""Boxes are cut to the frame in float32 after being scaled."""
_MASK_TOLERANCE_PIXELS = 1.0
"""Masks end on whole pixels, boxes between them."""
_SUM_TOLERANCE = 5e-3
"""80 probabilities, each rounded to float16."""
_WHOLE_CACHE_BYTES = 2**40


def verify_shard(path: Path) -> list[Problem]:
    """Everything that is wrong with a shard; empty if it is whole and consistent.

    Of each kind of problem only the first place is told, and how many there are.

    Raises:
        ShardNotFoundError: if there is no such file.
    """
    try:
        shard = Shard(path, ChunkCache(_WHOLE_CACHE_BYTES))
    except ShardFormatError as err:
        return _damaged_file(path) or [_damaged(path, "", str(err))]
    arrays: _Arrays = {}
    damaged: list[Problem] = []
    for name in ARRAYS:
        if name == "class_scores" and not shard.has_class_scores:
            continue
        try:
            arrays[name] = shard.array(name)
        except ShardFormatError as err:
            damaged.append(_damaged(path, name, str(err)))
    return damaged or _damaged_file(path) or list(_check_contents(shard, arrays))


def _damaged(path: Path, array: str, reason: str) -> Problem:
    reason = reason.removeprefix(f"{path}: ").removeprefix(f"array {array!r}: ")
    what = "a whole array" if array else "a whole shard"
    return Problem(shard=path, array=array, wanted=what, found=f"damage: {reason}")


def _damaged_file(path: Path) -> list[Problem]:
    """The bytes of the ZIP file that no array is read from, and its own checksums."""
    try:
        found = [*damaged_members(path), *unsealed_damage(path)]
    except OSError as err:
        return [
            Problem(shard=path, wanted="a file that can be read", found=err.strerror or str(err))
        ]
    return [
        _damaged(path, member.split("/")[0] if "/" in member else "", reason)
        for member, reason in found
    ]


def _check_contents(shard: Shard, arrays: _Arrays) -> _Problems:
    borders = [
        *_check_offsets(shard, "frame_offsets", arrays, length=shard.num_detections),
        *_check_offsets(shard, "rle_offsets", arrays, length=len(arrays["rle"])),
    ]
    frames = list(_check_frames(shard, arrays))
    yield from borders
    yield from frames
    yield from _check_scores(shard, arrays)
    if not borders and not frames:
        yield from _check_boxes(shard, arrays)
        yield from _check_masks(shard, arrays)


def _check_offsets(shard: Shard, name: str, arrays: _Arrays, *, length: int) -> _Problems:
    offsets = arrays[name]
    problem = partial(Problem, shard=shard.path, array=name)
    if offsets[0] != 0 or offsets[-1] != length:
        yield problem(wanted=f"borders from 0 to {length}", found=f"{offsets[0]} to {offsets[-1]}")
    falling = np.diff(offsets) < 0
    if falling.any():
        place = int(np.argmax(falling))
        yield problem(
            place=f"row {place + 1}",
            wanted="borders that never fall",
            found=f"{offsets[place + 1]} after {offsets[place]}",
            more=int(falling.sum()) - 1,
        )


def _check_frames(shard: Shard, arrays: _Arrays) -> _Problems:
    video_F, entries = arrays["frame_video"], shard.videos
    if len({entry.id for entry in entries}) != len(entries):
        yield Problem(shard=shard.path, wanted="each video once", found="one twice")
    counts = [entry.frames for entry in entries]
    if not np.array_equal(video_F, np.repeat(np.arange(len(entries)), counts)):
        found = np.bincount(video_F[video_F >= 0], minlength=len(entries)).tolist()
        yield Problem(
            shard=shard.path,
            array="frame_video",
            wanted=f"the frames of each video side by side, {counts} of them",
            found=f"{found}",
        )
        return
    same_video = video_F[1:] == video_F[:-1]
    for name, unit in (("frame_index", ""), ("frame_seconds", " s")):
        values = arrays[name]
        problem = partial(Problem, shard=shard.path, array=name)
        wrong = ~(values[1:] > values[:-1]) & same_video
        if wrong.any():
            row = int(np.argmax(wrong)) + 1
            yield problem(
                place=f"row {row} (video {entries[video_F[row]].id!r})",
                wanted="increasing values",
                found=f"{values[row]}{unit} after {values[row - 1]}{unit}",
                more=int(wrong.sum()) - 1,
            )
        wrong = ~np.isfinite(values) | ((values < 0) if name == "frame_index" else False)
        if wrong.any():
            row = int(np.argmax(wrong))
            least = "a number from 0" if name == "frame_index" else "a finite value"
            yield problem(
                place=f"row {row}",
                wanted=least,
                found=f"{values[row]}",
                more=int(wrong.sum()) - 1,
            )


def _check_scores(shard: Shard, arrays: _Arrays) -> _Problems:
    scores, labels = arrays["scores"], arrays["labels"]
    checks = [
        ("scores", ~((scores >= 0) & (scores <= 1)), "0 to 1"),
        ("labels", labels >= NUM_COCO_CLASSES, f"a class, 0 to {NUM_COCO_CLASSES - 1}"),
    ]
    for name, wrong, wanted in checks:
        if wrong.any():
            row = int(np.argmax(wrong))
            yield Problem(
                shard=shard.path,
                array=name,
                place=f"detection {row}",
                wanted=wanted,
                found=f"{arrays[name][row]}",
                more=int(wrong.sum()) - 1,
            )
    if "class_scores" in arrays:
        class_scores = arrays["class_scores"].astype(np.float64)
        sums = class_scores.sum(axis=1)
        wrong = ~((class_scores >= 0).all(axis=1) & (sums <= 1 + _SUM_TOLERANCE))
        if wrong.any():
            row = int(np.argmax(wrong))
            yield Problem(
                shard=shard.path,
                array="class_scores",
                place=f"detection {row}",
                wanted="no negative score and a sum of at most 1",
                found=f"a sum of {sums[row]:.4f}, a least score of {class_scores[row].min():.4f}",
                more=int(wrong.sum()) - 1,
            )


def _videos_of_detections(shard: Shard, arrays: _Arrays) -> NDArray[np.int32]:
    """(N,) place of each detection's video in `videos`."""
    frame_N = np.repeat(np.arange(shard.num_frames), np.diff(arrays["frame_offsets"]))
    video_N: NDArray[np.int32] = arrays["frame_video"][frame_N]
    return video_N


def _check_boxes(shard: Shard, arrays: _Arrays) -> _Problems:
    video_N, boxes_N4 = _videos_of_detections(shard, arrays), arrays["boxes"]
    sizes_V2 = np.array([(video.width, video.height) for video in shard.videos]).reshape(-1, 2)
    top_left, bottom_right = boxes_N4[:, :2], boxes_N4[:, 2:]
    inside = (top_left >= -_BOX_TOLERANCE_PIXELS) & (top_left <= bottom_right)
    inside &= bottom_right <= sizes_V2[video_N] + _BOX_TOLERANCE_PIXELS
    wrong = np.flatnonzero(~inside.all(axis=1))
    if wrong.size:
        row = int(wrong[0])
        video = shard.videos[video_N[row]]
        yield Problem(
            shard=shard.path,
            array="boxes",
            place=f"detection {row} (video {video.id!r})",
            wanted=f"boxes inside {video.width} x {video.height}",
            found=f"{boxes_N4[row].tolist()}",
            more=wrong.size - 1,
        )


def _check_masks(shard: Shard, arrays: _Arrays) -> _Problems:
    """Masks of the right size, inside their boxes: so none has a larger area than its box."""
    video_N, boxes_N4 = _videos_of_detections(shard, arrays), arrays["boxes"]
    borders, content = arrays["rle_offsets"], arrays["rle"].tobytes()
    wrong: list[tuple[str, str, str]] = []
    for row in range(len(boxes_N4)):
        video = shard.videos[video_N[row]]
        problem = _mask_problem(
            content[borders[row] : borders[row + 1]],
            height=video.height,
            width=video.width,
            box=boxes_N4[row],
        )
        if problem is not None:
            wrong.append((f"detection {row} (video {video.id!r})", *problem))
    if wrong:
        place, wanted, found = wrong[0]
        yield Problem(
            shard=shard.path,
            array="rle",
            place=place,
            wanted=wanted,
            found=found,
            more=len(wrong) - 1,
        )


def _mask_problem(
    counts: bytes, *, height: int, width: int, box: NDArray[np.float32]
) -> tuple[str, str] | None:
    """What was wanted of a mask and what found; None if it is as it should be."""
    try:
        total = int(rle.run_lengths(counts).sum())
        if total != height * width:
            return f"{height} x {width} = {height * width} pixels", f"{total}"
        extent = rle.bounding_box(counts, height)
    except ShardFormatError as err:
        return "a mask", str(err)
    outwards = np.concatenate([box[:2] - extent[:2], extent[2:] - box[2:]])
    if extent.any() and outwards.max() > _MASK_TOLERANCE_PIXELS:
        return (
            f"a mask inside its box {box.tolist()}",
            f"{rle.area(counts)} pixels over {extent.tolist()}",
        )
    return None
