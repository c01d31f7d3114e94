"""The job behind `orn clips`: decode every video into a part, merge the parts into the store.

A killed job loses the videos in work and nothing else; running it again does what is left.
"""

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ClipStoreError
from shared.jobs.atomic_file import remove_stale_temporaries
from shared.jobs.lock import locked
from shared.jobs.progress import progress
from shared.jobs.workers import in_workers
from shared.manifests.records import Video
from stage2_train.frames.merge import Contents, StoredVideo, merge, read_contents
from stage2_train.frames.parts import PartTask, part_path, parts_folder, write_part
from stage2_train.frames.ranges import ALL_TIMES, TimeRanges
from stage2_train.frames.schema import FailedClip, StoreSettings

__all__ = ["ClipsReport", "build_clip_store", "remaining_videos"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsReport:
    """What one run of the job did."""

    path: Path
    """The store."""
    num_added: int
    """Videos that this run put into it."""
    num_present: int
    """Videos asked for that it already held."""
    failed: tuple[FailedClip, ...]
    """Videos asked for of which nothing could be decoded."""
    num_frames: int
    """Frames of the videos asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Present:
    """What an older store and the finished parts hold."""

    videos: dict[str, StoredVideo]
    failed: dict[str, FailedClip]

    def wanted_ranges(self, video_id: str, wanted: Mapping[str, TimeRanges]) -> TimeRanges:
        """The times to store of a video that has to be decoded: those asked for and those held."""
        ranges = wanted.get(video_id, ALL_TIMES)
        stored = self.videos.get(video_id)
        return ranges if stored is None else ranges.union(stored.ranges)

    def lacks(self, video: Video, wanted: Mapping[str, TimeRanges]) -> bool:
        """Whether a video has to be decoded."""
        stored = self.videos.get(video.id)
        return stored is None or not stored.ranges.covers(wanted.get(video.id, ALL_TIMES))


def remaining_videos(
    videos: Sequence[Video],
    path: Path,
    settings: StoreSettings,
    *,
    ranges: Mapping[str, TimeRanges] | None = None,
) -> tuple[Video, ...]:
    """Those of `videos` that neither the store nor a finished part holds yet.

    Raises:
        ClipStoreError: if what is there was written with other settings.
    """
    present = _read_present(path, settings)
    return tuple(video for video in videos if present.lacks(video, ranges or {}))


def build_clip_store(
    videos: Sequence[Video],
    path: Path,
    settings: StoreSettings,
    *,
    ranges: Mapping[str, TimeRanges] | None = None,
    workers: int = 1,
    fresh: bool = False,
) -> ClipsReport:
    """Makes the store at `path` hold `videos`, and says what was done.

    Videos that it holds already are left alone; videos that failed before are tried again.

    Args:
        videos: what to store, in order; the store is in this order whatever finishes first.
        path: the HDF5 file.
        settings: size, quality and rate of the frames.
        ranges: times of a video to store, by its id; whole videos where there is no entry.
        workers: processes that decode; 1 decodes in this one.
        fresh: whether to throw away what is there first.

    Raises:
        ClipStoreError: if what is there was written with other settings.
        PipelineError: if the disk refuses, or another process is writing this store.
    """
    with locked(path, job="orn clips"):
        return _build(videos, path, settings, ranges=ranges or {}, workers=workers, fresh=fresh)


def _build(
    videos: Sequence[Video],
    path: Path,
    settings: StoreSettings,
    *,
    ranges: Mapping[str, TimeRanges],
    workers: int,
    fresh: bool,
) -> ClipsReport:
    folder = parts_folder(path)
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
        path.unlink(missing_ok=True)
    remove_stale_temporaries(folder)
    remove_stale_temporaries(path.parent)
    present = _read_present(path, settings)
    todo = [video for video in videos if present.lacks(video, ranges)]
    tasks = [
        PartTask(
            video=video,
            path=part_path(path, video.id),
            settings=settings,
            ranges=present.wanted_ranges(video.id, ranges),
        )
        for video in todo
    ]
    with progress("clips", total=len(tasks), unit="videos") as bar:
        for failed in _run(tasks, workers, folder):
            if failed is not None:
                logger.warning("%s: %s", failed.id, failed.reason)
            bar.advance()
    _merge_all(path, settings, order=[video.id for video in videos])
    return _report(videos, todo, path)


def _run(tasks: Sequence[PartTask], workers: int, folder: Path) -> Iterator[FailedClip | None]:
    lost = ClipStoreError(
        f"{folder}: a worker process died, out of memory perhaps; "
        "finished videos are kept, run the command again, with fewer --workers if it happens again"
    )
    for _, failed in in_workers(write_part, tasks, workers=workers, lost=lost):
        yield failed


def _read_present(path: Path, settings: StoreSettings) -> _Present:
    videos: dict[str, StoredVideo] = {}
    failed: dict[str, FailedClip] = {}
    for source in ([path] if path.exists() else []) + sorted(parts_folder(path).glob("*.h5")):
        contents = read_contents(source)
        _check_settings(contents, source, settings)
        failed.update({row.id: row for row in contents.failed})
        for video in contents.videos:
            videos[video.id] = video
            failed.pop(video.id, None)
    return _Present(videos=videos, failed=failed)


def _check_settings(contents: Contents, path: Path, settings: StoreSettings) -> None:
    if contents.settings != settings:
        raise ClipStoreError(
            f"{path}: wanted {settings.describe()}, found {contents.settings.describe()}; give the "
            "same --size, --short-side, --quality and --rate, another --out, or --fresh to write "
            "it again"
        )


def _merge_all(path: Path, settings: StoreSettings, *, order: Sequence[str]) -> None:
    present = _read_present(path, settings)
    recorded = read_contents(path) if path.exists() else None
    failed = tuple(present.failed[name] for name in sorted(present.failed))
    folder = parts_folder(path)
    unchanged = (
        recorded is not None
        and failed == recorded.failed
        and all(video.path == path for video in present.videos.values())
    )
    if not unchanged:
        first = {name: place for place, name in enumerate(order)}
        videos = sorted(present.videos.values(), key=lambda video: first.get(video.id, len(first)))
        with progress("join parts", total=len(videos), unit="videos") as bar:
            merge(path, settings=settings, videos=videos, failed=failed, advance=bar.advance)
    shutil.rmtree(folder, ignore_errors=True)


def _report(videos: Sequence[Video], todo: Sequence[Video], path: Path) -> ClipsReport:
    contents = read_contents(path)
    stored = {video.id: video for video in contents.videos}
    wanted = {video.id for video in videos}
    failed = tuple(row for row in contents.failed if row.id in wanted)
    done = stored.keys() - {row.id for row in failed}
    return ClipsReport(
        path=path,
        num_added=sum(video.id in done for video in todo),
        num_present=len(videos) - len(todo),
        failed=failed,
        num_frames=sum(stored[name].num_frames for name in wanted & stored.keys()),
    )
