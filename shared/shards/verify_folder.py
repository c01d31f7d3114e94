"""Checks what shards of one folder say together: against their plan, each other and the list of
videos."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from orn.shared.errors import ConfigError, ShardFormatError, VideoDecodeError
from orn.shared.jobs.plan import PLAN_NAME, Plan
from orn.shared.manifests.records import Dataset, Video
from orn.shared.manifests.source import source_of
from orn.shared.shards.files import shard_path
from orn.shared.shards.index import shard_paths
from orn.shared.shards.schema import UNKNOWN_SOURCE, VideoEntry
from orn.shared.shards.shard import Shard
from orn.shared.shards.verify import Problem
from orn.shared.text_table import counted
from orn.shared.video.read import content_bytes

_Problems = Iterator[Problem]
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
            shard.frame_video()
            shard.frame_index()
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
    index_F, video_F = shard.frame_index(), shard.frame_video()
    for place, video in enumerate(shard.videos):
        indices = index_F[np.flatnonzero(video_F == place)]
        if len(indices):
            yield _Stretch(
                path=shard.path,
                video=video,
                first=int(indices.min()),
                last=int(indices.max()),
                count=len(indices),
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
