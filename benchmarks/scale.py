"""What a data set of VLOG's size costs to plan, to open and to read from, at three sizes of it."""

import multiprocessing
import pickle
import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import av
import click
import numpy as np
from numpy.typing import NDArray

from orn.benchmarks.harness import BenchResult, told_by_linux
from orn.benchmarks.scale_world import FRAMES, RATE, make_shards, make_videos, slow_storage
from orn.shared.manifests.headers import remember_headers
from orn.shared.manifests.load import load_dataset
from orn.shared.manifests.records import Dataset, Segment
from orn.shared.shards.reader import DetectionFolder
from orn.stage1_detect.planning import DetectJob, plan_job
from orn.stage1_detect.request import Scope
from orn.stage2_train.clips.batches import LoaderSettings, evaluation_loader, training_loader
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.objects import SlotSettings
from orn.stage2_train.clips.settings import ClipSettings, DataRecipe
from orn.stage2_train.clips.views import ClipRequest, Views
from orn.stage2_train.frames.crop import CropWindow

_PARTS = (4, 2, 1)
"""The sizes are this part of the data set."""
_CALL_SECONDS = 0.001
"""What a call of a cluster's storage takes."""
_COLD_CLIPS = 40
_OPENED = 1000
"""Videos that the reference opens at most."""
_PROCESSES = 4
_TEST_BATCH = 16

Found = TypeVar("Found")
Row = dict[str, list[float]]


def measure(*, folder: Path | None, videos: int, shards: int, clips: int) -> BenchResult:
    """A row of figures for each thing that waits, one of each size, and their growth.

    Args:
        folder: where videos, tables and shards are made; None: where they are thrown away.
        videos: their number.
        shards: theirs.
        clips: clips that loader processes make while their memory is watched.
    """
    megabytes = (12 * videos + 80 * shards) // 1000 + 20
    click.echo(
        f"makes about {megabytes} MB and {2 * videos + 3 * shards} names of files in "
        f"{folder or tempfile.gettempdir()}, {'which stay' if folder else 'removed at the end'}",
        err=True,
    )
    with tempfile.TemporaryDirectory() as name:
        return _measured(folder or Path(name), videos=videos, shards=shards, clips=clips)


def _measured(folder: Path, *, videos: int, shards: int, clips: int) -> BenchResult:
    paths = make_videos(folder / "data" / "vlog", videos)
    dataset, manifest = _timed(lambda: load_dataset("vlog", folder / "data"))
    ids = [video.id for video in dataset.videos]
    parts = [each.tolist() for each in np.array_split(np.array(ids, object), shards)]
    make_shards(folder / "shards", parts)
    rows: dict[str, Row] = {}
    for part in _PARTS:
        for name, row in (
            *_planned(dataset, folder / f"plan-{part}", max(videos // part, 1)),
            *_opened(dataset, folder, max(shards // part, 1), clips=clips if part == 1 else 0),
        ):
            for unit, value in row.items():
                rows.setdefault(name, {}).setdefault(unit, []).append(value)
    _, reference = _timed(lambda: _open_each(paths[:_OPENED]))
    return BenchResult(
        name="scale",
        ours=rows["plan"]["cpu_seconds"][-1] / videos,
        reference=reference["cpu_seconds"] / len(paths[:_OPENED]),
        details={
            "videos": [max(videos // part, 1) for part in _PARTS],
            "shards": [max(shards // part, 1) for part in _PARTS],
            "manifest": manifest,
            **{name: row | _growth(row) for name, row in rows.items()},
        },
    )


def _growth(row: Row) -> dict[str, float]:
    return {f"{unit}_growth": values[-1] / values[0] for unit, values in row.items() if values[0]}


def _timed(work: Callable[[], Found]) -> tuple[Found, dict[str, float]]:
    """What comes of it, and the seconds that it took by the clock and of all processors."""
    began, used = time.perf_counter(), _used()
    found = work()
    return found, {"seconds": time.perf_counter() - began, "cpu_seconds": _used() - used}


def _used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _open_each(paths: list[Path]) -> None:
    for path in paths:
        with av.open(str(path)):
            pass


def _planned(dataset: Dataset, folder: Path, videos: int) -> Iterable[tuple[str, dict[str, float]]]:
    """A detect job planned as at first, and as once more."""

    def plan() -> DetectJob:
        return plan_job(dataset, folder=folder, scope=Scope(limit=videos))

    job, row = _timed(plan)
    yield "plan", row
    job.plan.save(folder)
    remember_headers(dataset.videos, job.estimates, folder)
    yield "plan_again", _timed(plan)[1]


def _opened(
    dataset: Dataset, root: Path, shards: int, *, clips: int
) -> Iterable[tuple[str, dict[str, float]]]:
    """The first shards in a folder of their own, opened and read from."""
    folder = root / f"shards-{shards}"
    folder.mkdir()
    for path in sorted((root / "shards").glob("shard-*"))[:shards]:
        (folder / path.name).hardlink_to(path)
    yield "open_shards", _timed(lambda: DetectionFolder(folder))[1]
    detections, row = _timed(lambda: DetectionFolder(folder))
    yield "open_shards_again", row
    with slow_storage(_CALL_SECONDS):
        yield "open_shards_again_slow_storage", _timed(lambda: DetectionFolder(folder))[1]
    data = _clips(dataset, detections)
    sent = len(pickle.dumps(data.for_workers(_PROCESSES)))
    yield "sent_to_each_loader_process", {"bytes": sent}
    yield "cold_clip", _cold_clips(data)
    if clips:
        for done, size in _loader_memory(data, clips):
            yield "loader_processes", {"clips": done, "megabytes": size}
        yield "evaluation", _evaluated(data, clips)


@dataclass(frozen=True, slots=True)
class _Blank:
    """Frames of any video, of which only the times are asked for."""

    name: str = "no frames"

    @property
    def seconds(self) -> NDArray[np.float64]:
        return np.arange(FRAMES) / RATE

    def frames(self, video_id: str) -> "_Blank":
        return self

    def stored_size(self, video_id: str) -> tuple[int, int]:
        return 256, 256

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        raise AssertionError("nobody looks at them")


def _clips(dataset: Dataset, detections: DetectionFolder) -> ClipDataset:
    """The objects of clips as the paper's networks get them, without pictures."""
    settings = ClipSettings(
        data=DataRecipe(clip_frames=dataset.clip_frames, crop=(224, 224), score_threshold=0.0),
        slots=SlotSettings(max_objects=10, background=True, mask_size=28, feature_cells=(14, 14)),
        num_activities=len(dataset.classes),
        multi_label=True,
        reads_frames=False,
    )
    segments = [
        Segment(id=each.id, video_id=each.video_id, split="train", labels=each.labels)
        for each in dataset.segments
        if each.video_id in detections
    ]
    return ClipDataset(segments, _Blank(), detections, settings)


def _cold_clips(data: ClipDataset) -> dict[str, float]:
    """A clip of a shard that nothing was read of, in the mean of some, as a process makes it that
    was told of it: first as storage is here, then others with a millisecond a call."""
    worker = pickle.loads(pickle.dumps(data.for_workers(_PROCESSES)))
    chosen = np.linspace(0, len(data) - 1, min(2 * _COLD_CLIPS, len(data))).astype(int).tolist()
    requests = [data.told(ClipRequest(each, epoch=0)) for each in chosen]
    worker[requests[0]]  # imports what is imported late
    here, slow = requests[::2], requests[1::2] or requests[:1]
    _, row = _timed(lambda: [worker[each] for each in here])
    with slow_storage(_CALL_SECONDS) as calls:
        _, slow_row = _timed(lambda: [worker[each] for each in slow])
    return {
        "opens": calls["open"] / len(slow),
        "reads": calls["pread"] / len(slow),
        "cpu_milliseconds": 1000 * row["cpu_seconds"] / len(here),
        "slow_storage_milliseconds": 1000 * slow_row["seconds"] / len(slow),
    }


def _loader_memory(data: ClipDataset, clips: int) -> Iterable[tuple[int, float]]:
    """Megabytes of all loader processes together after a quarter, a half and all of some clips;
    what processes share is counted once."""
    settings = LoaderSettings(batch_size=8, workers=_PROCESSES)
    epochs = range(-(-clips // max(len(data) // 8 * 8, 1)))
    ends = [max(clips // part, 1) for part in _PARTS]
    done = 0
    for batch in training_loader(data, settings, epochs=epochs):
        done += len(batch)
        while ends and done >= ends[0]:
            children = multiprocessing.active_children()
            own = (told_by_linux(f"/proc/{each.pid}/smaps_rollup", "Pss") for each in children)
            yield done, sum(1024 * int((told or "0").split()[0]) for told in own) / 1e6
            del ends[0]
        if not ends:
            return


def _evaluated(data: ClipDataset, clips: int) -> dict[str, float]:
    """Clips as `orn eval --views 10x1` asks for them, ten a segment, by two processes."""
    settings = LoaderSettings(batch_size=_TEST_BATCH, workers=2)
    batches = evaluation_loader(data, settings, views=Views(num_clips=10).all())
    some = islice(batches, -(-clips // _TEST_BATCH))
    done, row = _timed(lambda: sum(len(batch) for batch in some))
    return {"clips": done, "clips_per_second": done / row["seconds"]}
