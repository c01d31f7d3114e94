"""Checks that a shard is whole and that what it says is consistent, down to every mask."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared.errors import ShardFormatError
from shared.masks import rle
from shared.masks.coco_classes import NUM_COCO_CLASSES
from shared.shards.schema import ARRAYS
from shared.shards.sealed_zip import damaged_members
from shared.shards.shard import Shard
from shared.shards.zarr_zip import ChunkCache

__all__ = ["Problem", "verify_shard"]

_Arrays = dict[str, NDArray[Any]]
_Problems = Iterator["Problem"]

_BOX_TOLERANCE_PIXELS = 1e-2
"""Boxes are cut to the frame in float32 after being scaled."""
_MASK_TOLERANCE_PIXELS = 1.0
"""Masks end on whole pixels, boxes between them."""
_SUM_TOLERANCE = 5e-3
"""80 probabilities, each rounded to float16."""
_WHOLE_CACHE_BYTES = 2**40


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a shard, or with a folder of them."""

    shard: Path
    """The file; the folder, if it is about the shards together."""
    array: str = ""
    """The array that it is about; empty if it is about the file as a whole."""
    place: str = ""
    """Where in it, such as `detection 4 (video 'a')`; empty if everywhere."""
    wanted: str
    found: str
    more: int = 0
    """Other places with the same problem."""
    severity: Literal["error", "note"] = "error"
    """A note is worth knowing and no fault of the shards."""

    @property
    def message(self) -> str:
        """Place, wanted and found in a sentence."""
        place = f"{self.place}: " if self.place else ""
        more = f"; {self.more} more like it" if self.more else ""
        return f"{place}wanted {self.wanted}, found {self.found}{more}"

    def as_json(self) -> dict[str, Any]:
        """The fields, and the sentence, as JSON has them."""
        return asdict(self) | {"shard": str(self.shard), "message": self.message}


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
        found = list(damaged_members(path))
    except OSError as err:
        why = err.strerror or str(err)
        return [Problem(shard=path, wanted="a file that can be read", found=why)]
    return [
        _damaged(path, member.split("/")[0] if "/" in member else "", reason)
        for member, reason in found
    ]


def _check_contents(shard: Shard, arrays: _Arrays) -> _Problems:
    frames = [
        *_check_offsets(shard, "frame_offsets", arrays, length=shard.num_detections),
        *_check_offsets(shard, "rle_offsets", arrays, length=len(arrays["rle"])),
        *_check_frames(shard, arrays),
    ]
    yield from frames
    yield from _check_scores(shard, arrays)
    if not frames:
        yield from _check_boxes(shard, arrays)
        yield from _check_masks(shard, arrays)


def _first(wrong: ArrayLike) -> Iterator[tuple[int, int]]:
    """The first place that is wrong and how many more there are; nothing if none is."""
    places = np.flatnonzero(wrong)
    if places.size:
        yield int(places[0]), places.size - 1


def _check_offsets(shard: Shard, name: str, arrays: _Arrays, *, length: int) -> _Problems:
    offsets = arrays[name]
    problem = partial(Problem, shard=shard.path, array=name)
    if offsets[0] != 0 or offsets[-1] != length:
        yield problem(wanted=f"borders from 0 to {length}", found=f"{offsets[0]} to {offsets[-1]}")
    for row, more in _first(np.diff(offsets) < 0):
        found = f"{offsets[row + 1]} after {offsets[row]}"
        place = f"row {row + 1}"
        yield problem(place=place, wanted="borders that never fall", found=found, more=more)


def _check_frames(shard: Shard, arrays: _Arrays) -> _Problems:
    video_F, entries = arrays["frame_video"], shard.videos
    if len({entry.id for entry in entries}) != len(entries):
        yield Problem(shard=shard.path, wanted="each video once", found="one twice")
    counts = [entry.frames for entry in entries]
    if not np.array_equal(video_F, np.repeat(np.arange(len(entries)), counts)):
        yield Problem(
            shard=shard.path,
            array="frame_video",
            wanted=f"the frames of each video side by side, {counts} of them",
            found=f"{np.bincount(video_F[video_F >= 0], minlength=len(entries)).tolist()}",
        )
        return
    same_video = video_F[1:] == video_F[:-1]
    for name, unit, least, wanted in (
        ("frame_index", "", 0, "a number from 0"),
        ("frame_seconds", " s", -np.inf, "a finite value"),
    ):
        values = arrays[name]
        problem = partial(Problem, shard=shard.path, array=name)
        for row, more in _first(~(values[1:] > values[:-1]) & same_video):
            place = f"row {row + 1} (video {entries[video_F[row + 1]].id!r})"
            found = f"{values[row + 1]}{unit} after {values[row]}{unit}"
            yield problem(place=place, wanted="increasing values", found=found, more=more)
        for row, more in _first(~np.isfinite(values) | (values < least)):
            yield problem(place=f"row {row}", wanted=wanted, found=f"{values[row]}", more=more)


def _check_scores(shard: Shard, arrays: _Arrays) -> _Problems:
    scores, labels = arrays["scores"], arrays["labels"]
    for name, wrong, wanted in (
        ("scores", ~((scores >= 0) & (scores <= 1)), "0 to 1"),
        ("labels", labels >= NUM_COCO_CLASSES, f"a class, 0 to {NUM_COCO_CLASSES - 1}"),
    ):
        problem = partial(Problem, shard=shard.path, array=name, wanted=wanted)
        for row, more in _first(wrong):
            yield problem(place=f"detection {row}", found=f"{arrays[name][row]}", more=more)
    if "class_scores" in arrays:
        scores_NS = arrays["class_scores"].astype(np.float64)
        sums_N, least_N = scores_NS.sum(axis=1), scores_NS.min(axis=1)
        for row, more in _first(~((least_N >= 0) & (sums_N <= 1 + _SUM_TOLERANCE))):
            yield Problem(
                shard=shard.path,
                array="class_scores",
                place=f"detection {row}",
                wanted="no negative score and a sum of at most 1",
                found=f"a sum of {sums_N[row]:.4f}, a least score of {least_N[row]:.4f}",
                more=more,
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
    for row, more in _first(~inside.all(axis=1)):
        video = shard.videos[video_N[row]]
        yield Problem(
            shard=shard.path,
            array="boxes",
            place=f"detection {row} (video {video.id!r})",
            wanted=f"boxes inside {video.width} x {video.height}",
            found=f"{boxes_N4[row].tolist()}",
            more=more,
        )


def _check_masks(shard: Shard, arrays: _Arrays) -> _Problems:
    """Masks of the right size, inside their boxes: so none has a larger area than its box."""
    video_N, boxes_N4 = _videos_of_detections(shard, arrays), arrays["boxes"]
    borders, content = arrays["rle_offsets"], arrays["rle"].tobytes()
    problem = partial(Problem, shard=shard.path, array="rle")
    problems: list[Problem] = []
    for row, box in enumerate(boxes_N4):
        video = shard.videos[video_N[row]]
        counts = content[borders[row] : borders[row + 1]]
        wrong = _mask_problem(counts, height=video.height, width=video.width, box=box)
        if wrong is not None:
            place = f"detection {row} (video {video.id!r})"
            problems.append(problem(place=place, wanted=wrong[0], found=wrong[1]))
    if problems:
        yield replace(problems[0], more=len(problems) - 1)


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
