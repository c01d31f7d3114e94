"""Checks that shards are whole and consistent, down to every mask, and what those of one folder say
together: against their plan, each other and the list of videos."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ConfigError, PipelineError, ShardFormatError, VideoDecodeError
from orn.shared.jobs.plan import PLAN_NAME, Plan
from orn.shared.jobs.workers import in_workers
from orn.shared.manifests.records import Dataset, Video
from orn.shared.manifests.source import source_of
from orn.shared.masks.rules import Fault, place_faults, score_faults
from orn.shared.shards.chunks import ChunkCache
from orn.shared.shards.files import shard_path
from orn.shared.shards.index import shard_paths
from orn.shared.shards.schema import UNKNOWN_SOURCE, VideoEntry
from orn.shared.shards.shard import Shard
from orn.shared.text_table import counted
from orn.shared.video.read import content_bytes

_ARRAY = re.compile(r"array '(?P<name>[a-z_]+)': ")
_Problems = Iterator["Problem"]

_CACHE_BYTES = 256 * 2**20
_BLOCK = 500
"""Detections that are checked at once, and how many bytes of masks at most unless one has more."""
_BLOCK_BYTES = 2**20
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


def verify_shards(paths: Sequence[Path], *, workers: int) -> Iterator[tuple[Path, list[Problem]]]:
    """Shards with everything that is wrong with each, as they come; see `verify_shard`.

    Args:
        paths: of shards.
        workers: most processes; small shards are read by this one alone.

    Raises:
        ShardNotFoundError: if one is not there.
        PipelineError: if a worker ends abruptly.
    """
    lost = PipelineError(
        "a process that verified shards ended abruptly (out of memory?); go on with fewer --workers"
    )
    if sum(path.stat().st_size for path in paths if path.is_file()) < _ALONE_BYTES:
        workers = 1
    return in_workers(verify_shard, paths, workers=max(1, workers), lost=lost)


def verify_shard(path: Path) -> list[Problem]:
    """Return everything that is wrong with a shard; empty if it is whole and consistent.

    Reads all of it once. Of each kind of problem there is the first place, and how many there are.

    Raises:
        ShardNotFoundError: if there is no such file.
    """
    try:
        shard = Shard(path, ChunkCache(_CACHE_BYTES))
        damaged = list(_damaged_arrays(shard))
        if not damaged:
            shard.check()
        return damaged or list(_check_detections(shard))
    except ShardFormatError as err:
        return [_damaged(path, err)]


def _damaged_arrays(shard: Shard) -> _Problems:
    for name in shard.arrays:
        try:
            for start, stop in shard.arrays.blocks(name):
                shard.arrays.rows(name, start, stop)
        except ShardFormatError as err:
            yield _damaged(shard.path, err)


def _damaged(path: Path, err: ShardFormatError) -> Problem:
    """A problem of what an error says, and of its array if it names one."""
    reason = str(err).removeprefix(f"{path}: ")
    array = _ARRAY.match(reason)
    return Problem(
        shard=path,
        array=array["name"] if array else "",
        wanted="a whole array" if array else "a whole shard",
        found=f"damage: {reason[array.end() :] if array else reason}",
    )


def _check_detections(shard: Shard) -> _Problems:
    """What the rules for detections find."""
    found: dict[str, Problem] = {}
    video_F = shard.frame_video()
    frame_offsets, rle_offsets = shard.array("frame_offsets"), shard.array("rle_offsets")
    for start, stop in _blocks(rle_offsets):
        frame_N = np.searchsorted(frame_offsets, np.arange(start, stop), side="right") - 1
        video_N = video_F[frame_N]
        for fault in _block_faults(shard, rle_offsets[start : stop + 1], start, video_N=video_N):
            before = found.get(fault.field)
            if before is not None:
                found[fault.field] = replace(before, more=before.more + 1 + fault.more)
                continue
            found[fault.field] = Problem(
                shard=shard.path,
                array="rle" if fault.field == "masks" else fault.field,
                place=f"detection {start + fault.row} "
                f"(video {shard.videos[video_N[fault.row]].id!r})",
                wanted=fault.wanted,
                found=fault.found,
                more=fault.more,
            )
    yield from found.values()


def _blocks(borders: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of detections whose masks are looked at together."""
    start, length = 0, len(borders) - 1
    while start < length:
        fits = int(np.searchsorted(borders, borders[start] + _BLOCK_BYTES, "right")) - 1
        stop = min(max(fits, start + 1), start + _BLOCK, length)
        yield start, stop
        start = stop


def _block_faults(
    shard: Shard, borders: NDArray[np.int64], start: int, *, video_N: NDArray[np.int32]
) -> Iterator[Fault]:
    rows, stop = shard.arrays.rows, start + len(video_N)
    class_scores = rows("class_scores", start, stop) if shard.has_class_scores else None
    scores, labels = rows("scores", start, stop), rows("labels", start, stop)
    yield from score_faults(scores, labels, class_scores, rules=shard.rules)
    sizes_V2 = np.array([(video.height, video.width) for video in shard.videos])
    first = int(borders[0])
    content = rows("rle", first, int(borders[-1])).tobytes()
    masks = [content[a:b] for a, b in pairwise((borders - first).tolist())]
    yield from place_faults(rows("boxes", start, stop), masks, sizes_V2[video_N])


_note = partial(Problem, severity="note")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """Frames of one video that one shard has."""

    path: Path
    video: VideoEntry
    first: int
    last: int
    count: int


def verify_folder(folder: Path, dataset: Dataset | None = None) -> list[Problem]:
    """What is wrong with the shards of a folder together; see `verify_shard` for each by itself.

    Shards are missing or of no plan; detectors differ; frames of a video lie in two shards or in
    none, or their number is not the header's (a note: headers are often wrong). With a data set:
    videos that are there and in no shard, of those that the plan asks for (a note where masks were
    imported: the released files need not have all), shards of videos that are not listed or whose
    file has another size now. A shard that cannot be read is left out, `verify_shard` tells why.

    Raises:
        ShardNotFoundError: if there is no such folder, or no shard in it.
    """
    paths = shard_paths(folder)
    problems: list[Problem] = []
    plan: Plan | None = None
    try:
        plan = Plan.load(folder)
    except ConfigError as err:
        problems.append(Problem(shard=folder, wanted=f"a readable {PLAN_NAME}", found=str(err)))
    if plan is not None:
        problems += _check_plan(plan, folder)
    first: Shard | None = None
    stretches: dict[str, list[_Stretch]] = {}
    failed: list[Problem] = []
    known: set[str] = set()
    for shard in _readable(paths):  # none is kept, since there may be tens of thousands
        first = shard if first is None else first
        problems += _check_detector(shard, first)
        for stretch in _stretches(shard):
            stretches.setdefault(stretch.video.id, []).append(stretch)
        for video in shard.failed:
            found, place = f"a failure: {video.reason}", f"video {video.id!r}"
            failed.append(_note(shard=shard.path, place=place, wanted="detections", found=found))
        known |= {video.id for video in shard.videos} | {video.id for video in shard.failed}
    for parts in stretches.values():
        problems += _check_video(parts, is_whole=plan is not None and plan.frames == "all")
    problems += failed
    if dataset is not None:
        scope = "all" if plan is None else plan.frames
        problems += _check_listed(dataset, stretches)
        problems += _check_absent(folder, dataset, scope=scope, known=known)
    return problems


def _readable(paths: Sequence[Path]) -> Iterator[Shard]:
    for path in paths:
        try:
            shard = Shard(path)
            shard.check()
        except ShardFormatError:
            continue  # verify_shard has told
        yield shard


def _check_plan(plan: Plan, folder: Path) -> _Problems:
    planned = {shard_path(folder, unit.index) for unit in plan.units}
    for unit in plan.units:
        path = shard_path(folder, unit.index)
        if not path.exists():
            wanted = f"a shard of unit {unit.index} ({PLAN_NAME} has {len(plan.units)})"
            found = "none; run the job again, it does what is missing"
            yield Problem(shard=path, wanted=wanted, found=found)
    for path in shard_paths(folder):
        if path not in planned:
            yield Problem(shard=path, wanted=f"a unit of {PLAN_NAME}", found="none of its number")


def _check_detector(shard: Shard, first: Shard) -> _Problems:
    if shard.detector != first.detector:
        wanted = f"the detector of {first.path.name}, {first.detector.title}"
        found = f"{shard.detector.title}, or other settings of it"
        yield Problem(shard=shard.path, wanted=wanted, found=found)


def _stretches(shard: Shard) -> Iterator[_Stretch]:
    index_F = shard.frame_index()
    for video in shard.videos:
        start, stop = shard.video_rows(video.id)
        if start < stop:
            yield _Stretch(
                path=shard.path,
                video=video,
                first=int(index_F[start]),
                last=int(index_F[stop - 1]),
                count=stop - start,
            )


def _check_video(parts: list[_Stretch], *, is_whole: bool) -> _Problems:
    """One video over all shards; `is_whole` if the job looked at every frame."""
    parts = sorted(parts, key=lambda part: part.first)
    place = f"video {parts[0].video.id!r}"
    problem = partial(Problem, array="frame_index", place=place)
    end = 0
    for part in parts:
        found = f"{part.first} to {part.last}"
        if part.first < end:
            wanted = f"frames from {end} on, those before are in another shard"
            yield problem(shard=part.path, wanted=wanted, found=found)
        elif is_whole and (part.first > end or part.count != part.last + 1 - part.first):
            wanted, found = f"every frame from {end} on", f"{part.count} of {found}"
            yield problem(shard=part.path, wanted=wanted, found=found)
        end = max(end, part.last + 1)
    last = partial(Problem, shard=parts[-1].path, place=place)
    for name in ("height", "width", "source_digest"):
        values = list(dict.fromkeys(getattr(part.video, name) for part in parts))
        if len(values) > 1:
            yield last(wanted=f"one {name} in all shards", found=f"{values}")
    header = parts[0].video.header_frames
    total = sum(part.count for part in parts)
    if is_whole and header is not None and total != header:
        wanted = f"{counted(header, 'frame')}, as its header says"
        yield last(wanted=wanted, found=f"{total} decoded", severity="note")


def _check_absent(folder: Path, dataset: Dataset, *, scope: str, known: set[str]) -> _Problems:
    """Videos that are there and in no shard; `scope` is `frames` of the plan, and `known` are the
    videos that some shard has, with or without frames, or records as failed."""
    labelled = {segment.video_id for segment in dataset.segments}
    for video in dataset.videos:
        if video.id in known or (scope == "labelled" and video.id not in labelled):
            continue
        problem = partial(Problem, shard=folder, place=f"video {video.id!r}")
        wanted = "detections, since it is listed and there"
        if scope == "imported":
            yield problem(wanted=wanted, found="no imported masks of it", severity="note")
        else:
            yield problem(wanted=wanted, found="none in any shard")


def _check_listed(dataset: Dataset, stretches: dict[str, list[_Stretch]]) -> _Problems:
    """The videos of the shards against those that lie on this machine."""
    listed = {*dataset.missing, *(video.id for video in dataset.videos)}
    for video_id in sorted(stretches.keys() - listed):
        path, place = stretches[video_id][0].path, f"video {video_id!r}"
        wanted = f"videos that the data set {dataset.name!r} lists"
        yield Problem(shard=path, place=place, wanted=wanted, found="one that it does not")
    for video in dataset.videos:
        for part in stretches.get(video.id, [])[:1]:
            yield from _check_source(part, video)


def _check_source(part: _Stretch, video: Video) -> _Problems:
    problem = partial(Problem, shard=part.path, place=f"video {part.video.id!r}")
    if part.video.source_digest == UNKNOWN_SOURCE:
        found = "masks that were imported without it; training refuses them"
        yield problem(wanted="the digest of its source", found=found, severity="note")
        return
    try:
        size = content_bytes(source_of(video))
    except VideoDecodeError as err:
        yield problem(wanted="a readable source", found=str(err))
        return
    if size != part.video.source_bytes:
        wanted = f"a source of {part.video.source_bytes} bytes, as when it was looked at"
        yield problem(wanted=wanted, found=f"{size} bytes at {video.path}")
