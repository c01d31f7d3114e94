"""The job behind `orn clips`: decode every video into a part, merge the parts into the store.

A killed job loses the videos in work and nothing else; running it again does what is left. Files of
the store that are large beside what is added stay as they are.
"""

import logging
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from orn.shared.errors import ClipStoreError
from orn.shared.jobs.atomic_file import remove_stale_temporaries
from orn.shared.jobs.lock import locked
from orn.shared.jobs.progress import progress
from orn.shared.jobs.workers import in_workers
from orn.shared.manifests.records import Video
from orn.shared.time_ranges import ALL_TIMES, TimeRanges
from orn.stage2_train.frames.files import file_path, num_kept, read_files, remove_files
from orn.stage2_train.frames.merge import Contents, StoredVideo, merge, read_contents
from orn.stage2_train.frames.parts import PartTask, part_path, parts_folder, write_part
from orn.stage2_train.frames.schema import FailedClip, StoreSettings

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

    files: tuple[Contents, ...]
    """Of the store."""
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
        videos: what to store, in order; what is written is in this order whatever finishes first.
        path: the first of its files.
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
            remove_files(path, after=0)
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
        held = _merge_all(path, settings, order=[video.id for video in videos])
        _read_once.cache_clear()
        tried = {task.video.id for task in tasks}
        return ClipsReport(
            num_added=len((tried & held.videos.keys()) - held.failed.keys()),
            num_present=len(videos) - len(tasks),
            failed=tuple(row for name, row in sorted(held.failed.items()) if name in tried),
            num_frames=sum(
                held.videos[video.id].num_frames for video in videos if video.id in held.videos
            ),
        )


def _run(tasks: Sequence[PartTask], workers: int, folder: Path) -> Iterator[FailedClip | None]:
    lost = ClipStoreError(
        f"{folder}: a worker process died, out of memory perhaps; "
        "finished videos are kept, run the command again, with fewer --workers if it happens again"
    )
    for _, failed in in_workers(write_part, tasks, workers=workers, lost=lost):
        yield failed


def joined_bytes(path: Path, video_ids: Collection[str], added_bytes: int) -> int:
    """Bytes of the files of a store that are written again when so much is stored of some videos.

    Raises:
        ClipStoreError: if the store cannot be read.
    """
    files = read_files(path, _contents) if path.exists() else ()
    kept = num_kept(files, video_ids, added_bytes)
    return sum(contents.path.stat().st_size for contents in files[kept:])


def _read_present(path: Path, settings: StoreSettings) -> _Present:
    files = read_files(path, _contents) if path.exists() else ()
    parts = [_contents(part) for part in sorted(parts_folder(path).glob("*.h5"))]
    for each in (*files, *parts):
        if each.settings != settings:
            raise ClipStoreError(
                f"{each.path}: wanted {settings.describe()}, found {each.settings.describe()}; "
                "give the same --size, --short-side, --quality and --rate, another --out, or "
                "--fresh to write it again"
            )
    videos: dict[str, StoredVideo] = {}
    for video in (video for each in (*files, *parts) for video in each.videos):
        held = videos.get(video.video_id)
        if held is None or replace(video, path=held.path, row=held.row) != held:
            videos[video.video_id] = video
    return _Present(files=files, videos=videos, failed=_failed([*files, *parts]))


def _failed(files: Iterable[Contents]) -> dict[str, FailedClip]:
    """Videos that failed when they were last tried."""
    failed: dict[str, FailedClip] = {}
    for contents in files:
        for video in contents.videos:
            failed.pop(video.video_id, None)
        failed.update({row.id: row for row in contents.failed})
    return failed


def _contents(path: Path) -> Contents:
    """What a file holds; read once, of a hundred thousand parts too, until it is another file."""
    status = path.stat()
    return _read_once(path, (status.st_ino, status.st_size, status.st_mtime_ns))


@cache
def _read_once(path: Path, stamp: tuple[int, ...]) -> Contents:
    return read_contents(path)


def _merge_all(path: Path, settings: StoreSettings, *, order: Sequence[str]) -> _Present:
    """Adds the finished parts to the store, and removes what they leave behind; what there is."""
    present = _read_present(path, settings)
    files, videos = present.files, [*present.videos.values()]
    stored = {contents.path for contents in files}
    new = [video for video in videos if video.path not in stored]
    number = len(files)
    if new or not files or present.failed != _failed(files):
        changed = {video.video_id for video in new}
        kept = files[: num_kept(files, changed, sum(video.num_bytes for video in new))]
        number, told, kept_paths = len(kept) + 1, _failed(kept), {each.path for each in kept}
        place = {name: index for index, name in enumerate(order)}
        videos = [video for video in videos if video.path not in kept_paths]
        videos.sort(key=lambda video: place.get(video.video_id, len(place)))
        failed = [row for name, row in sorted(present.failed.items()) if told.get(name) != row]
        with progress("join parts", total=len(videos), unit="videos") as bar:
            merge(
                file_path(path, number),
                settings=settings,
                videos=videos,
                failed=failed,
                follows=kept[-1].seal if kept else None,
                advance=bar.advance,
            )
    remove_files(path, after=number)
    shutil.rmtree(parts_folder(path), ignore_errors=True)
    return present
