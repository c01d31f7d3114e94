"""Time to plan, open and read a data set the size of VLOG."""

import multiprocessing
import pickle
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import av
import click
import numpy as np
from numpy.typing import NDArray

from orn.benchmarks.measuring import Comparison, proc_value
from orn.benchmarks.requests import ScaleRequest
from orn.benchmarks.scale_world import FRAMES, RATE, make_shards, make_videos
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

_COLD_CLIPS = 40
_OPENED = 1000
"""Maximum number of videos opened by the reference."""
_PROCESSES = 4
_TEST_BATCH = 16

Found = TypeVar("Found")


def measure(request: ScaleRequest) -> Comparison:
    """Return the CPU time of planning a video and of opening one with PyAV, and the time of each
    stage of the start-up."""
    videos, shards, clips = request.videos, request.shards, request.clips
    if request.tiny:
        videos, shards, clips = 24, 8, min(clips, 16)
    folder = request.folder
    megabytes = (12 * videos + 80 * shards) // 1000 + 20
    click.echo(
        f"writing about {megabytes} MB and {2 * videos + 3 * shards} file names to "
        f"{folder or tempfile.gettempdir()}, {'kept' if folder else 'removed at the end'}",
        err=True,
    )
    with tempfile.TemporaryDirectory() as name:
        return _measured(folder or Path(name), videos=videos, shards=shards, clips=clips)


def _measured(folder: Path, *, videos: int, shards: int, clips: int) -> Comparison:
    paths = make_videos(folder / "data" / "vlog", videos)
    found: dict[str, dict[str, float]] = {}
    dataset, found["manifest"] = _timed(lambda: load_dataset("vlog", folder / "data"))
    ids = [video.id for video in dataset.videos]
    parts = [each.tolist() for each in np.array_split(np.array(ids, object), shards)]
    make_shards(folder / "shards", parts)

    def plan() -> DetectJob:
        return plan_job(dataset, folder=folder / "plan", scope=Scope())

    _, found["plan"] = _timed(plan)
    _, found["open_shards"] = _timed(lambda: DetectionFolder(folder / "shards"))
    opened, found["open_shards_again"] = _timed(lambda: DetectionFolder(folder / "shards"))
    data = _clips(dataset, opened)
    sent = pickle.dumps(data.for_workers(_PROCESSES))
    found["sent_to_each_loader_process"] = {"bytes": len(sent)}
    found["cold_clip"] = _cold_clip(data, pickle.loads(sent))
    if clips:
        found["loader_processes"] = _loader_memory(data, clips)
        found["evaluation"] = _evaluated(data, clips)
    _, reference = _timed(lambda: _open_each(paths[:_OPENED]))
    return Comparison(
        name="scale",
        ours=found["plan"]["cpu_seconds"] / videos,
        reference=reference["cpu_seconds"] / len(paths[:_OPENED]),
        details={"videos": videos, "shards": shards, **found},
    )


def _timed(work: Callable[[], Found]) -> tuple[Found, dict[str, float]]:
    """Return the result of a function with its wall time and CPU time."""
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


@dataclass(frozen=True, slots=True)
class _Blank:
    """A source of frames whose pictures are never read."""

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
        raise AssertionError("pictures are not read")


def _clips(dataset: Dataset, detections: DetectionFolder) -> ClipDataset:
    """Return a dataset of clips with the objects used by the paper's networks, without pictures."""
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
    ]
    return ClipDataset(segments, _Blank(), detections, settings)


def _cold_clip(data: ClipDataset, worker: ClipDataset) -> dict[str, float]:
    """Return the mean time to load a clip with a cold cache in a loader process."""
    chosen = np.linspace(0, len(data) - 1, min(_COLD_CLIPS + 1, len(data))).astype(int).tolist()
    first, *others = [data.resolve(ClipRequest(each, epoch=0)) for each in chosen]
    worker[first]  # warm up late imports
    _, found = _timed(lambda: [worker[each] for each in others])
    return {name: value / len(others) for name, value in found.items()}


def _loader_memory(data: ClipDataset, clips: int) -> dict[str, float]:
    """Return the total memory of all loader processes after half of the clips and after all of
    them; shared memory is counted once."""
    settings = LoaderSettings(batch_size=8, workers=_PROCESSES)
    epochs = range(-(-clips // max(len(data) // 8 * 8, 1)))
    found: dict[str, float] = {}
    done = 0
    for batch in training_loader(data, settings, epochs=epochs):
        done += len(batch)
        if "bytes_at_half" not in found and done >= clips // 2:
            found["bytes_at_half"] = _loader_bytes()
        if done >= clips:
            return {"clips": done, **found, "bytes": _loader_bytes()}
    return {"clips": done, **found}


def _loader_bytes() -> float:
    children = multiprocessing.active_children()
    own = (proc_value(f"/proc/{each.pid}/smaps_rollup", "Pss") for each in children)
    return sum(1024 * int((told or "0").split()[0]) for told in own)


def _evaluated(data: ClipDataset, clips: int) -> dict[str, float]:
    """Return the time to load clips like `orn eval --views 10x1`, in two processes."""
    settings = LoaderSettings(batch_size=_TEST_BATCH, workers=2)
    batches = evaluation_loader(data, settings, views=Views(num_clips=10).all())
    some = islice(batches, -(-clips // _TEST_BATCH))
    done, row = _timed(lambda: sum(len(batch) for batch in some))
    return {"clips": done, "clips_per_second": done / row["seconds"]}
