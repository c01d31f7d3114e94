"""What every start on a large data set waits for: a folder made up like VLOG, looked at."""

import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import av
import numpy as np

from benchmarks.harness import BenchResult
from benchmarks.made_inputs import (
    ENTRY,
    four_ellipses,
    moving_pictures,
    write_detections,
    write_video,
)
from shared.manifests.load import load_dataset
from shared.shards.plan import shard_path
from shared.shards.reader import DetectionFolder
from shared.shards.writer import ShardWriter
from stage1_detect.planning import DetectJob, Scope, plan_job, save_plan

__all__ = ["measure"]

_FRAMES = 24
"""Of each video."""
_CLASSES = 30

Found = TypeVar("Found")


def measure(folder: Path, *, videos: int, per_shard: int) -> BenchResult:
    """Seconds of a manifest, a plan and a folder of shards, each as at first and as once more.

    Args:
        folder: where videos, tables and shards are made.
        videos: their number.
        per_shard: videos of a unit.
    """
    paths = _make_videos(folder / "data" / "vlog", videos)
    shards = folder / "shards"
    scope = Scope(unit_frames=per_shard * _FRAMES)
    dataset, manifest_seconds = _timed(lambda: load_dataset("vlog", folder / "data"))

    def plan() -> DetectJob:
        return plan_job(dataset, entry=ENTRY, folder=shards, scope=scope)

    job, plan_seconds = _timed(plan)
    save_plan(job)
    _, again_seconds = _timed(plan)
    _, reference = _timed(lambda: _open_each(paths))
    _make_shards(job)
    detections, shards_seconds = _timed(lambda: DetectionFolder(shards))
    _, shards_again_seconds = _timed(lambda: DetectionFolder(shards))
    return BenchResult(
        name="scale",
        ours=plan_seconds,
        reference=reference,
        details={
            "plan_again_seconds": again_seconds,
            "manifest_seconds": manifest_seconds,
            "shards_seconds": shards_seconds,
            "shards_again_seconds": shards_again_seconds,
            "bytes_to_each_loader_process": len(pickle.dumps(detections)),
            "videos": videos,
            "shards": len(job.units),
        },
    )


def _timed(work: Callable[[], Found]) -> tuple[Found, float]:
    began = time.perf_counter()
    found = work()
    return found, time.perf_counter() - began


def _open_each(paths: list[Path]) -> None:
    for path in paths:
        with av.open(str(path)):
            pass


def _make_videos(root: Path, videos: int) -> list[Path]:
    """VLOG's tables and as many copies of one small video, in folders as VLOG has them."""
    ids = [f"{n % 10}/{n // 10 % 10}/{n // 100 % 10}/v_{n // 4:08d}/{n:06d}" for n in range(videos)]
    (root / "meta" / "hand_object").mkdir(parents=True)
    video = write_video(root / "one.mp4", moving_pictures(_FRAMES, height=32, width=48))
    paths = [root / "videos" / each / "clip.mp4" for each in ids]
    for path in paths:
        path.parent.mkdir(parents=True)
        shutil.copyfile(video, path)
    generator = np.random.default_rng(0)
    (root / "meta" / "manifest.txt").write_text("".join(f"{each}/\n" for each in ids))
    splits = generator.integers(0, 4, videos)
    (root / "meta" / "splitId.txt").write_text("".join(f"{split}\n" for split in splits))
    classes = "".join(f"class {number}\n" for number in range(_CLASSES))
    (root / "meta" / "hand_object" / "hand_object_labels.txt").write_text(classes)
    matrix_NA = generator.integers(-1, 2, (videos, _CLASSES))
    np.save(root / "meta" / "hand_object" / "hand_object.npy", matrix_NA)
    return paths


def _make_shards(job: DetectJob) -> None:
    """A shard a unit, of one frame with four objects of each video."""
    frame = four_ellipses(np.random.default_rng(0))
    for unit in job.units:
        with ShardWriter(shard_path(job.folder, unit.index), ENTRY, class_scores=False) as writer:
            for part in unit.parts:
                write_detections(writer, part.video_id, [frame])
