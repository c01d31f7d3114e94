"""The job behind `orn clips`: decode every video into a part, merge the parts into the store.

A killed job loses the videos in work and nothing else; running it again does what is left.
"""

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from shared.errors import ClipStoreError
from shared.jobs.atomic_file import remove_stale_temporaries
from shared.jobs.lock import locked
from shared.jobs.progress import progress
from shared.jobs.workers import in_workers
from shared.manifests.records import Video
from shared.time_ranges import ALL_TIMES, TimeRanges
from stage2_train.frames.merge import Contents, StoredVideo, merge, read_contents
from stage2_train.frames.parts import PartTask, part_path, parts_folder, write_part
from stage2_train.frames.schema import FailedClip, StoreSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsReport:
    """What one run of the job did, of the videos that it was asked for."""

    num_added: int
    """Videos that this run put into the store."""
    num_present: int
    """Videos that it already held."""
    failed: tuple[FailedClip, ...]
    """Videos of which nothing could be decoded."""
    num_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Present:
    """What an older store and the finished parts hold, by video."""

    videos: dict[str, StoredVideo]
    failed: dict[str, FailedClip]

    def times_to_store(self, video_id: str, wanted: Mapping[str, TimeRanges]) -> TimeRanges | None:
        """Those asked for and those held; None where all are held."""
        times = wanted.get(video_id, ALL_TIMES)
        stored = self.videos.get(video_id)
        if stored is None:
            return times
        return None if stored.times.covers(times) else times.union(stored.times)


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
    present, wanted = _read_present(path, settings), ranges or {}
    return tuple(video for video in videos if present.times_to_store(video.id, wanted) is not None)


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
        settings: what holds for every frame.
        ranges: times of a video to store, by its id; whole videos where there is no entry.
        workers: processes that decode; 1 decodes in this one.
        fresh: whether to throw away what is there first.

    Raises:
        ClipStoreError: if what is there was written with other settings.
        PipelineError: if the disk refuses, or another process is writing this store.
    """
    with locked(path, job="orn clips"):
        folder = parts_folder(path)
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
            path.unlink(missing_ok=True)
        remove_stale_temporaries(folder)
        remove_stale_temporaries(path.parent)
        present = _read_present(path, settings)
        tasks = []
        for video in videos:
            times = present.times_to_store(video.id, ranges or {})
            if times is not None:
                place = part_path(path, video.id)
                tasks.append(PartTask(video=video, path=place, settings=settings, ranges=times))
        with progress("clips", total=len(tasks), unit="videos") as bar:
            for failure in _run(tasks, workers, folder):
                if failure is not None:
                    logger.warning("%s: %s", failure.id, failure.reason)
                bar.advance()
        _merge_all(path, settings, order=[video.id for video in videos])
        contents = _contents(path)
        _read_once.cache_clear()
        wanted = {video.id for video in videos}
        held = {video.video_id for video in contents.videos}
        failed = tuple(row for row in contents.failed if row.id in wanted)
        done = held - {row.id for row in failed}
        return ClipsReport(
            num_added=sum(task.video.id in done for task in tasks),
            num_present=len(videos) - len(tasks),
            failed=failed,
            num_frames=sum(
                video.num_frames for video in contents.videos if video.video_id in wanted
            ),
        )


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
        contents = _contents(source)
        if contents.settings != settings:
            raise ClipStoreError(
                f"{source}: wanted {settings.describe()}, found {contents.settings.describe()}; "
                "give the same --size, --short-side, --quality and --rate, another --out, or "
                "--fresh to write it again"
            )
        failed.update({row.id: row for row in contents.failed})
        for video in contents.videos:
            videos[video.video_id] = video
            failed.pop(video.video_id, None)
    return _Present(videos=videos, failed=failed)


def _contents(path: Path) -> Contents:
    """What a file holds; read once, of a hundred thousand parts too, until it is another file."""
    status = path.stat()
    return _read_once(path, (status.st_ino, status.st_size, status.st_mtime_ns))


@cache
def _read_once(path: Path, stamp: tuple[int, ...]) -> Contents:
    return read_contents(path)


def _merge_all(path: Path, settings: StoreSettings, *, order: Sequence[str]) -> None:
    present = _read_present(path, settings)
    failed = tuple(present.failed[name] for name in sorted(present.failed))
    unchanged = (
        path.exists()
        and failed == _contents(path).failed
        and all(video.path == path for video in present.videos.values())
    )
    if not unchanged:
        place = {name: number for number, name in enumerate(order)}
        videos = sorted(
            present.videos.values(), key=lambda video: place.get(video.video_id, len(place))
        )
        with progress("join parts", total=len(videos), unit="videos") as bar:
            merge(path, settings=settings, videos=videos, failed=failed, advance=bar.advance)
    shutil.rmtree(parts_folder(path), ignore_errors=True)
