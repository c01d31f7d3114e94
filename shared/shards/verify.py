"""Checks that a shard is whole and that what it says is consistent, down to every mask."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import PipelineError, ShardFormatError
from orn.shared.jobs.workers import in_workers
from orn.shared.masks.rules import Fault, first_place, place_faults, score_faults
from orn.shared.shards.schema import arrays_of
from orn.shared.shards.sealed_zip import damaged_members
from orn.shared.shards.shard import Shard
from orn.shared.shards.zarr_zip import ChunkCache
from orn.shared.time_ranges import MOST_SECONDS

_Arrays = dict[str, NDArray[Any]]
_Problems = Iterator["Problem"]

_CACHE_BYTES = 256 * 2**20
_BLOCK = 500
"""Detections that are checked at once, and how many bytes of masks at most unless one has more."""
_BLOCK_BYTES = 2**20
_WHOLE = ("frame_video", "frame_index", "frame_seconds", "frame_offsets", "rle_offsets")
"""Arrays that are held as a whole; of the others a block."""
_ALONE_BYTES = 32 * 2**20
"""Up to so many bytes of shards no other process is started: that would take longer."""


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


def verify_shards(
    paths: Sequence[Path], *, workers: int, kept: str = ""
) -> Iterator[tuple[Path, list[Problem]]]:
    """Shards with everything that is wrong with each, as they come; see `verify_shard`.

    Args:
        paths: of shards.
        workers: most processes; small shards are read by this one alone.
        kept: what an error says of the work that was done.

    Raises:
        ShardNotFoundError: if one is not there.
        PipelineError: if a worker ends abruptly.
    """
    lost = PipelineError(
        "a process that verified shards ended abruptly (out of memory?); go on with fewer "
        f"--workers{kept}"
    )
    if sum(path.stat().st_size for path in paths if path.is_file()) < _ALONE_BYTES:
        workers = 1
    return in_workers(verify_shard, paths, workers=max(1, workers), lost=lost)


def verify_shard(path: Path) -> list[Problem]:
    """Everything that is wrong with a shard; empty if it is whole and consistent.

    Of each kind of problem only the first place is told, and how many there are.

    Raises:
        ShardNotFoundError: if there is no such file.
    """
    try:
        shard = Shard(path, ChunkCache(_CACHE_BYTES))
    except ShardFormatError as err:
        return _damaged_file(path) or [_damaged(path, "", str(err))]
    arrays: _Arrays = {}
    damaged: list[Problem] = []
    for name in arrays_of(class_scores=shard.has_class_scores):
        try:
            if name in _WHOLE:
                arrays[name] = shard.array(name)
            else:
                shard.read_through(name)
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
        *_check_offsets(shard, "rle_offsets", arrays, length=shard.num_mask_bytes),
        *_check_frames(shard, arrays),
    ]
    yield from frames
    yield from _check_detections(shard, arrays, in_frames=not frames)


def _check_offsets(shard: Shard, name: str, arrays: _Arrays, *, length: int) -> _Problems:
    offsets = arrays[name]
    problem = partial(Problem, shard=shard.path, array=name)
    if offsets[0] != 0 or offsets[-1] != length:
        yield problem(wanted=f"borders from 0 to {length}", found=f"{offsets[0]} to {offsets[-1]}")
    for row, more in first_place(np.diff(offsets) < 0):
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
    for name, unit, least, most, wanted in (
        ("frame_index", "", 0, np.inf, "a number from 0"),
        ("frame_seconds", " s", -MOST_SECONDS, MOST_SECONDS, f"a time within {MOST_SECONDS:g} s"),
    ):
        values = arrays[name]
        problem = partial(Problem, shard=shard.path, array=name)
        for row, more in first_place(~(values[1:] > values[:-1]) & same_video):
            place = f"row {row + 1} (video {entries[video_F[row + 1]].id!r})"
            found = f"{values[row + 1]}{unit} after {values[row]}{unit}"
            yield problem(place=place, wanted="increasing values", found=found, more=more)
        for row, more in first_place(~((values >= least) & (values <= most))):
            yield problem(place=f"row {row}", wanted=wanted, found=f"{values[row]}", more=more)


def _check_detections(shard: Shard, arrays: _Arrays, *, in_frames: bool) -> _Problems:
    """What the rules for detections find; without frames, boxes and masks are of no grid."""
    found: dict[str, Problem] = {}
    for start, stop in _blocks(arrays["rle_offsets"]) if in_frames else _steps(shard):
        video_N = _videos_of_detections(arrays, start, stop) if in_frames else None
        for fault in _block_faults(shard, arrays, start, stop, video_N=video_N):
            before = found.get(fault.field)
            if before is not None:
                found[fault.field] = replace(before, more=before.more + 1 + fault.more)
                continue
            place = f"detection {start + fault.row}"
            if video_N is not None and fault.field in ("boxes", "masks"):
                place += f" (video {shard.videos[video_N[fault.row]].id!r})"
            found[fault.field] = Problem(
                shard=shard.path,
                array="rle" if fault.field == "masks" else fault.field,
                place=place,
                wanted=fault.wanted,
                found=fault.found,
                more=fault.more,
            )
    for field in ("scores", "labels", "class_scores", "boxes", "masks"):
        if field in found:
            yield found[field]


def _blocks(borders: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of detections whose masks are looked at together."""
    start, length = 0, len(borders) - 1
    while start < length:
        fits = int(np.searchsorted(borders, borders[start] + _BLOCK_BYTES, "right")) - 1
        stop = min(max(fits, start + 1), start + _BLOCK, length)
        yield start, stop
        start = stop


def _steps(shard: Shard) -> Iterator[tuple[int, int]]:
    for start in range(0, shard.num_detections, _BLOCK):
        yield start, min(start + _BLOCK, shard.num_detections)


def _videos_of_detections(arrays: _Arrays, start: int, stop: int) -> NDArray[np.int32]:
    """Place in `videos` of each of a range of detections."""
    places = np.arange(start, stop)
    frame_N = np.searchsorted(arrays["frame_offsets"], places, side="right") - 1
    video_N: NDArray[np.int32] = arrays["frame_video"][frame_N]
    return video_N


def _block_faults(
    shard: Shard,
    arrays: _Arrays,
    start: int,
    stop: int,
    *,
    video_N: NDArray[np.int32] | None,
) -> Iterator[Fault]:
    class_scores = shard.rows("class_scores", start, stop) if shard.has_class_scores else None
    scores, labels = shard.rows("scores", start, stop), shard.rows("labels", start, stop)
    yield from score_faults(scores, labels, class_scores)
    if video_N is None:
        return
    sizes_V2 = np.array([(video.height, video.width) for video in shard.videos])
    borders = arrays["rle_offsets"][start : stop + 1]
    first = int(borders[0])
    content = shard.rows("rle", first, int(borders[-1])).tobytes()
    masks = [content[a:b] for a, b in pairwise((borders - first).tolist())]
    yield from place_faults(shard.rows("boxes", start, stop), masks, sizes_V2[video_N])
