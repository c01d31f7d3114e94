"""Verify shards, down to every mask, and a folder of shards against its plan."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from orn.shared.environment import usable_cores
from orn.shared.errors import ConfigError, PipelineError, ShardFormatError
from orn.shared.jobs.plan import PLAN_NAME, Plan
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.jobs.shares import num_shares, share_of
from orn.shared.jobs.workers import in_workers
from orn.shared.shards.shard import Shard
from orn.shared.shards.shard_folder import shard_paths
from orn.shared.shards.shard_format import VideoEntry, shard_path
from orn.shared.shards.shard_record import ChunkCache

Severity = Literal["error", "note"]

_CACHE_BYTES = 256 * 2**20
ALONE_BYTES = 32 * 2**20
"""Maximum total size of shards for which no worker processes are started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem in a shard or a folder of shards."""

    shard: Path
    """The file, or the folder for a problem that concerns several shards."""
    message: str
    """Location, expected and actual value."""
    severity: Severity = "error"
    """A note is informative and not an error in the shards."""


_Problems = Iterator[Problem]


def verify_paths(paths: Sequence[Path], reporter: Reporter = SILENT) -> dict[str, Any]:
    """Check shards, and folders of shards as a whole; return their problems as a JSON object:
    errors and notes, first for shards, then for folders. Small shards are read in this process,
    others in one for each core.

    Raises:
        ShardNotFoundError: if a path does not exist or a folder has no shards.
        PipelineError: if a worker ends unexpectedly.
    """
    folders = list(dict.fromkeys(path for path in paths if path.is_dir()))
    named = [shard for path in paths for shard in (shard_paths(path) if path.is_dir() else [path])]
    shards = list(dict.fromkeys(named))
    size = sum(path.stat().st_size for path in shards if path.is_file())
    workers = 1 if size < ALONE_BYTES else usable_cores()
    lost = PipelineError("a worker process ended abruptly (out of memory?); run again")
    problems_of: dict[Path, list[Problem]] = {}
    with reporter.progress("verify", total=len(shards), unit="shards") as bar:
        checked = in_workers(verify_shard, shards, workers=workers, lost=lost)
        for shard, wrong in checked:
            problems_of[shard] = wrong
            bar.advance()
    problems = [problem for shard in shards for problem in problems_of[shard]]
    for folder in folders:
        problems += verify_folder(folder)
    return {
        "ok": all(problem.severity != "error" for problem in problems),
        "shards": len(shards),
        "problems": [asdict(problem) | {"shard": str(problem.shard)} for problem in problems],
    }


def verify_shard(path: Path) -> list[Problem]:
    """Return the first problem in a shard, after reading it whole; none if it is valid.

    Raises:
        ShardNotFoundError: if the file does not exist.
    """
    try:
        shard = Shard(path, ChunkCache(_CACHE_BYTES))
        shard.check()
        for row in range(len(shard)):
            shard.checked_frame(row)
    except ShardFormatError as err:
        return [Problem(shard=path, message=err.reason)]
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """Frames of a video in a shard."""

    path: Path
    video: VideoEntry
    first: int
    last: int
    count: int

    def problem(self, message: str) -> Problem:
        """Return a problem with the video in this shard."""
        return Problem(shard=self.path, message=f"video {self.video.id!r}: expected {message}")


def verify_folder(folder: Path) -> list[Problem]:
    """Return the problems in a folder of shards; see `verify_shard` for single shards.

    Problems are shards that are missing or not in the plan, different detectors, and duplicate or
    missing frames; failed videos are noted. Damaged shards are skipped.

    Raises:
        ShardNotFoundError: if the folder does not exist or has no shards.
    """
    paths = shard_paths(folder)
    problems: list[Problem] = []
    plan: Plan | None = None
    try:
        plan = Plan.load(folder)
        problems += _check_plan(plan, folder, paths) if plan else ()
    except ConfigError as err:
        problems.append(Problem(shard=folder, message=str(err)))
    detector = None
    stretches: dict[str, list[_Stretch]] = {}
    failed: list[Problem] = []
    for path in paths:  # shards are not stored, because there may be tens of thousands
        try:
            shard = Shard(path)
            shard.check()
        except ShardFormatError:
            continue  # reported by verify_shard
        detector = detector or shard.detector
        if shard.detector != detector:
            message = f"expected the detector of the first shard, {detector.title}, got "
            message += f"{shard.detector.title} or other settings"
            problems.append(Problem(shard=shard.path, message=message))
        for part in _stretches_of(shard):
            stretches.setdefault(part.video.id, []).append(part)
        for lost in shard.failed:
            message = f"video {lost.id!r}: detection failed: {lost.reason}"
            failed.append(Problem(shard=shard.path, message=message, severity="note"))
    is_whole = plan is not None and plan.frames == "all"
    is_whole &= detector is not None and detector.frame_rate is None
    for parts in stretches.values():
        problems += _check_video(parts, is_whole=is_whole)
    return problems + failed


def _stretches_of(shard: Shard) -> Iterator[_Stretch]:
    index_F = shard.frame_index()
    for video in shard.videos:
        start, stop = shard.video_rows(video.id)
        if start < stop:
            first, last = index_F[[start, stop - 1]].tolist()
            yield _Stretch(path=shard.path, video=video, first=first, last=last, count=stop - start)


def _check_plan(plan: Plan, folder: Path, paths: Sequence[Path]) -> _Problems:
    planned = {shard_path(folder, unit.index): unit.index for unit in plan.units}
    total = num_shares(folder)
    for path, index in planned.items():
        if not path.exists():
            message = f"the shard for unit {index} of {len(planned)} in {PLAN_NAME} is missing"
            share = "" if total is None else f" with --share {share_of(index, total)}"
            yield Problem(shard=path, message=f"{message}; run the job again{share}")
    for path in paths:
        if path not in planned:
            message = f"the shard does not belong to any unit in {PLAN_NAME}"
            yield Problem(shard=path, message=message)


def _check_video(parts: list[_Stretch], *, is_whole: bool) -> _Problems:
    """Yield problems with a video over all shards; `is_whole` if the job processed every frame."""
    parts = sorted(parts, key=lambda part: part.first)
    end = 0
    for part in parts:
        expected = ""
        if part.first < end:
            expected = f"frames from {end} on, since a different shard has the preceding ones"
        elif is_whole and (part.first > end or part.count != part.last + 1 - part.first):
            expected = f"every frame from {end} on"
        if expected:
            yield part.problem(f"{expected}, got {part.count} in {part.first} to {part.last}")
        end = max(end, part.last + 1)
    for name in ("height", "width", "source_digest"):
        values = list(dict.fromkeys(getattr(part.video, name) for part in parts))
        if len(values) > 1:
            yield parts[-1].problem(f"one {name} in all shards, got {values}")
