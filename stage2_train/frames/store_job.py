"""What a clip store lacks, the job that stores it, and the removal of what newer files replace.

Every file of a store is whole and never changes: videos that are new, have changed or are tried
again go to new files, and of a video in several files the newest counts. So a job that is killed
loses the files in work and nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from orn.shared.errors import ClipStoreError, VideoDecodeError
from orn.shared.jobs.atomic_file import remove_stale_temporaries
from orn.shared.jobs.engines import IN_THIS_PROCESS
from orn.shared.jobs.plan import FailedVideo, Unit, UnitPart
from orn.shared.jobs.progress import progress
from orn.shared.jobs.run import Kind, run_units
from orn.shared.jobs.work import Advance, Engine, UnitResult
from orn.shared.jobs.workers import in_threads
from orn.shared.manifests.records import Video
from orn.shared.manifests.source import source_of
from orn.shared.time_ranges import ALL_TIMES, TimeRanges
from orn.shared.video.read import content_digest
from orn.stage2_train.frames.clip_file import ClipFrames
from orn.stage2_train.frames.reader import INDEX_NAME, ClipStore, read_clip_files
from orn.stage2_train.frames.schema import CLIP_FILES, FailedClip, StoredVideo, StoreSettings
from orn.stage2_train.frames.unit_file import (
    ClipFileWriter,
    source_stamp,
    write_unit_file,
    writing,
)

CLIPS = Kind(
    command="orn clips", task="clips", steps="videos", files=CLIP_FILES, beside=(INDEX_NAME,)
)
UNIT_BYTES = 256 * 10**6
"""About how large a file is."""
_LEAST_UNIT_BYTES = 4 * 10**6
"""Of the files of a small data set, which are as many as keep all processes busy."""
_UNITS_PER_PROCESS = 4
_MOST_VIDEOS = 4096
"""Of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsWork:
    """Stores units of videos; see `orn.shared.jobs.work.Work`."""

    videos: Mapping[str, Video]
    folder: Path
    settings: StoreSettings

    def path(self, unit: Unit) -> Path:
        """Return the file of a unit."""
        return CLIP_FILES.path(self.folder, unit.index)

    def open(self, device: str) -> "ClipsWork":
        """Return this: there is nothing to open."""
        return self

    def __call__(self, unit: Unit, advance: Advance) -> UnitResult:
        """Write the file of a unit."""
        videos = [(self.videos[each.video_id], TimeRanges(each.ranges)) for each in unit.parts]
        failed = write_unit_file(self.path(unit), videos, self.settings, advance)
        return UnitResult(
            unit=unit.index,
            steps=len(videos),
            videos=tuple(each.video_id for each in unit.parts),
            failed=tuple(FailedVideo(id=each.id, reason=each.reason) for each in failed),
        )


def open_store(path: Path, settings: StoreSettings) -> ClipStore | None:
    """Return the store in a folder; None where there is none.

    Raises:
        ClipStoreError: if it was written with other settings, or is damaged.
    """
    files = read_clip_files(path)
    if not files:
        return None
    store = ClipStore(path, files)
    if store.settings != settings:
        raise ClipStoreError(
            f"{path}: expected {settings.describe()}, got {store.settings.describe()}; give the "
            "same --size, --short-side, --quality and --rate, another --out, or --fresh to write "
            "it again"
        )
    return store


def missing_parts(
    store: ClipStore | None,
    videos: Sequence[Video],
    ranges: Mapping[str, TimeRanges] = MappingProxyType({}),
    *,
    retry_failed: bool = False,
) -> tuple[UnitPart, ...]:
    """Return the videos whose times are not all in a store, or whose file or folder has changed
    since, with the times to store. One that failed is left out until it changes, or is retried.

    Args:
        store: None where there is none.
        videos: what is asked for.
        ranges: times of a video, by its id; whole videos where there is no entry.
        retry_failed: whether videos that failed are tried again.
    """
    parts = []
    for video, stamp in zip(videos, in_threads(source_stamp, videos), strict=True):
        times = ranges.get(video.id, ALL_TIMES)
        failed = None if store is None else store.tried.get(video.id)
        stored = store.frames(video.id).video if store is not None and video.id in store else None
        if failed is None or failed.source != stamp or retry_failed:
            if stored is not None and _is_same(video, stamp, stored):
                if stored.times.covers(times):
                    continue
                times = times.union(stored.times)
            parts.append(UnitPart(video_id=video.id, ranges=times.ranges))
    return tuple(parts)


def _is_same(video: Video, stamp: tuple[int, int], stored: StoredVideo) -> bool:
    """Whether a video is the one that was stored; a file that is gone is not compared. Of another
    time of change, as a copy has, the content counts."""
    if stamp in ((-1, -1), stored.source):
        return True
    try:
        return content_digest(source_of(video)) == stored.source_digest
    except VideoDecodeError:
        return False


def units_of(
    parts: Sequence[UnitPart],
    *,
    first: int,
    processes: int = 0,
    num_bytes: Callable[[UnitPart], float] = lambda part: 10**6,
) -> tuple[Unit, ...]:
    """Pack videos into units, in their order.

    Args:
        parts: whole videos, or times of them.
        first: number of the first unit.
        processes: how many shall have something to do; 0 makes units as large as they get.
        num_bytes: about how many bytes a video takes.
    """
    sizes = [num_bytes(part) for part in parts]
    most: float = UNIT_BYTES
    if processes:
        share = sum(sizes) / (_UNITS_PER_PROCESS * processes)
        most = min(max(share, _LEAST_UNIT_BYTES), UNIT_BYTES)
    units: list[list[UnitPart]] = []
    filled = most
    for part, size in zip(parts, sizes, strict=True):
        if filled + size / 2 >= most or len(units[-1]) == _MOST_VIDEOS:
            units.append([])
            filled = 0.0
        units[-1].append(part)
        filled += size
    return tuple(Unit(index=first + place, parts=tuple(unit)) for place, unit in enumerate(units))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsReport:
    """What one run of the job did, of the videos that it was asked for."""

    num_added: int
    """Videos that this run stored."""
    num_present: int
    """Videos that were stored already."""
    failed: tuple[FailedClip, ...]
    """Videos of which nothing could be decoded, now or when they were last tried."""
    num_frames: int
    """Of all these videos."""


def build_clip_store(
    videos: Sequence[Video],
    path: Path,
    settings: StoreSettings,
    *,
    ranges: Mapping[str, TimeRanges] = MappingProxyType({}),
    engine: Engine = IN_THIS_PROCESS,
    fresh: bool = False,
    retry_failed: bool = False,
) -> ClipsReport:
    """Make a store hold some videos; see `missing_parts`.

    Raises:
        ClipStoreError: if what is there was written with other settings.
        PipelineError: if the disk refuses, or another process is writing this store.
    """
    with CLIPS.locked(path):
        store = None if fresh else open_store(path, settings)
        parts = missing_parts(store, videos, ranges, retry_failed=retry_failed)
        first = 0 if fresh else CLIP_FILES.next_index(path)
        units = units_of(parts, first=first)
        return store_units(units, videos, path, settings, engine=engine, fresh=fresh)


def store_units(
    units: Sequence[Unit],
    videos: Sequence[Video],
    path: Path,
    settings: StoreSettings,
    *,
    engine: Engine = IN_THIS_PROCESS,
    fresh: bool = False,
) -> ClipsReport:
    """Write the files of units into a folder that is locked, and say what of `videos` is there.

    Args:
        units: numbered behind the files that are there.
        videos: what is asked for, those of the units among them.
        path: the folder.
        settings: what holds for every frame.
        engine: where videos are decoded.
        fresh: whether the files that are there are removed first.

    Raises:
        PipelineError: if the disk refuses, or a process is lost.
    """
    new = {part.video_id for unit in units for part in unit.parts}
    work = ClipsWork(
        videos={v.id: replace(v, path=v.path.absolute()) for v in videos if v.id in new},
        folder=path.absolute(),
        settings=settings,
    )
    run_units(
        CLIPS,
        None,
        work,
        engine,
        folder=path,
        units=units,
        steps_of=lambda unit: len(unit.parts),
        fresh=fresh,
    )
    store, ids = ClipStore(path), [video.id for video in videos]
    failed = tuple(store.tried[each] for each in ids if each in store.tried)
    there = [each for each in ids if each in store]
    return ClipsReport(
        num_added=len(new - {each.id for each in failed}),
        num_present=len(set(there) - new - {each.id for each in failed}),
        failed=failed,
        num_frames=sum(len(store.frames(each)) for each in there),
    )


def compact_store(path: Path) -> tuple[int, int]:
    """Write what still counts of files that hold replaced videos, and of small ones, to new files,
    then remove those; return how many files were removed and how many written.

    Raises:
        PipelineError: if the disk refuses, a file is damaged, or another process is writing.
    """
    with CLIPS.locked(path):
        remove_stale_temporaries(path)
        files = read_clip_files(path)
        store = ClipStore(path, files)
        counting = {name: store.frames(name) for name in store.ids}
        replaced, small = set(), set()
        for file, each in files.items():
            is_replaced = any(counting[row.id].path != file for row in each.record.videos)
            if is_replaced or any(store.tried.get(row.id) != row for row in each.record.failed):
                replaced.add(file)
            elif each.size < UNIT_BYTES / 2:
                small.add(file)
        old = replaced | small if replaced or len(small) > 1 else set()
        moved = [frames for frames in counting.values() if frames.path in old]
        failed = {
            row.id: row
            for file in files
            if file in old
            for row in files[file].record.failed
            if store.tried.get(row.id) == row
        }
        sizes = {frames.id: int(frames.rows["size"].sum()) for frames in moved}
        units = units_of(
            [UnitPart(video_id=frames.id) for frames in moved],
            first=CLIP_FILES.next_index(path),
            num_bytes=lambda part: sizes[part.video_id],
        )
        if failed and not units:
            units = (Unit(index=CLIP_FILES.next_index(path), parts=()),)
        with progress("compact", total=len(moved), unit="videos") as bar:
            for unit in units:
                with writing(CLIP_FILES.path(path, unit.index), store.settings) as writer:
                    for part in unit.parts:
                        _copy(counting[part.video_id], writer)
                        bar.advance()
                    while failed:
                        writer.fail(failed.popitem()[1])
        for file in old:
            file.unlink()
        return len(old), len(units)


def _copy(frames: ClipFrames, writer: ClipFileWriter) -> None:
    files = map(frames.jpeg, range(len(frames)))
    places = zip(frames.rows["index"].tolist(), frames.seconds.tolist(), files, strict=True)
    stored = frames.video
    writer.add(
        places,
        id=stored.id,
        source_digest=stored.source_digest,
        source=stored.source,
        height=stored.height,
        width=stored.width,
        times=stored.times,
    )
