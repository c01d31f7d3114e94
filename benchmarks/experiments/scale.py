"""Measure start-up times with a generated data set of any size, VLOG's by default.

The script writes tables, videos (links to one file) and shards, then plans a detect job, opens the
folder of shards and loads clips with a cold cache and in loader processes. Pictures are not
decoded. The reference opens videos with PyAV; the ratio is its CPU time divided by the CPU time of
planning a video.
"""

import argparse
import json
import multiprocessing
import pickle
import resource
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
from numpy.typing import NDArray

from orn.benchmarks.made_inputs import (
    ENTRY,
    ellipses,
    moving_pictures,
    write_detections,
    write_video,
)
from orn.benchmarks.measuring import Comparison, proc_value
from orn.data_manifests.load import load_dataset
from orn.data_manifests.records import Dataset, Segment
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.shard_format import ShardAttributes, read_attributes, shard_path
from orn.shared.shards.writer import ShardWriter, write_members
from orn.shared.time_ranges import TimeRange
from orn.stage1_detect.detect_config import DetectConfig
from orn.stage1_detect.plan_detection import plan_job
from orn.stage2_train.clip_store.crop import CropWindow
from orn.stage2_train.clips.batches import LoaderSettings, evaluation_loader, training_loader
from orn.stage2_train.clips.clip_draws import ClipRequest, ClipSettings
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.object_slots import SlotSettings
from orn.stage2_train.settings.recipe import DataRecipe

FRAMES, RATE = 250, 25.0
"""Length and rate of each video in the shards, as in VLOG; the files have 24 frames."""
CLASSES = 30
LINKS = 50_000
"""Number of links to a file; file systems do not allow many more."""
COLD_CLIPS = 40
OPENED = 1000
"""Maximum number of videos opened by the reference."""
PROCESSES = 4

Found = TypeVar("Found")


def make_videos(root: Path, videos: int) -> list[Path]:
    """Write VLOG's tables, and links to one small video in VLOG's folder structure."""
    ids = [f"{n % 10}/{n // 10 % 10}/{n // 100 % 10}/v_{n // 4:08d}/{n:06d}" for n in range(videos)]
    labels = root / "meta" / "hand_object"
    labels.mkdir(parents=True)
    content = write_video(root / "one.mp4", moving_pictures(24, height=32, width=48)).read_bytes()
    paths = [root / "videos" / name / "clip.mp4" for name in ids]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        if number % LINKS == 0:
            path.write_bytes(content)
        else:
            path.hardlink_to(paths[number - number % LINKS])
    generator = np.random.default_rng(0)
    (root / "meta" / "manifest.txt").write_text("".join(f"{name}/\n" for name in ids))
    splits = generator.integers(0, 4, videos)
    (root / "meta" / "splitId.txt").write_text("".join(f"{split}\n" for split in splits))
    classes = "".join(f"class {number}\n" for number in range(CLASSES))
    (labels / "hand_object_labels.txt").write_text(classes)
    np.save(labels / "hand_object.npy", generator.integers(-1, 2, (videos, CLASSES)))
    return paths


def make_shards(folder: Path, parts: Sequence[Sequence[str]]) -> None:
    """Write a shard for each list of videos; shards of the same length differ only in ids."""
    patterns: dict[int, tuple[dict[str, bytes], ShardAttributes]] = {}
    folder.mkdir()
    for number, ids in enumerate(parts):
        if len(ids) not in patterns:
            patterns[len(ids)] = pattern(folder / "pattern.zip", len(ids))
        members, attributes = patterns[len(ids)]
        group = json.loads(members["zarr.json"])
        entries = zip(ids, attributes.videos, strict=True)
        group["attributes"]["videos"] = [asdict(entry) | {"id": name} for name, entry in entries]
        changed = json.dumps(group).encode()
        write_members(shard_path(folder, number), members | {"zarr.json": changed})


def pattern(path: Path, num_videos: int) -> tuple[dict[str, bytes], ShardAttributes]:
    """Return the members and attributes of a shard with so many videos."""
    generator = np.random.default_rng(0)
    frames = [ellipses(generator) for _ in range(7)]
    digest = f"sha256:{'0' * 64}"
    with ShardWriter(path, ENTRY, "label") as writer:
        for number in range(num_videos):
            stream = (frames[place % len(frames)] for place in range(FRAMES))
            write_detections(writer, f"{number}", stream, rate=RATE, source_digest=digest)
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    attributes = read_attributes(members["zarr.json"], where=str(path))
    path.unlink()
    return members, attributes


@dataclass(frozen=True, slots=True)
class Blank:
    """A source of frames whose pictures are never read."""

    name: str = "no frames"

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Return the times of all frames."""
        return np.arange(FRAMES) / RATE

    def frames(self, video_id: str) -> "Blank":
        """Return the frames of a video."""
        return self

    @property
    def stored_size(self) -> tuple[int, int]:
        """Return height and width."""
        return 256, 256

    def indices_in(self, times: TimeRange) -> NDArray[np.int64]:
        """Return the indices of the frames in a time range."""
        return np.arange(*times.rows(self.seconds))

    def read(
        self, frames_n: NDArray[np.int64], window: CropWindow | None = None
    ) -> NDArray[np.uint8]:
        """Fail, since no picture is read."""
        raise AssertionError("pictures are not read")

    def motion(self, frames_n: NDArray[np.int64]) -> NDArray[np.float16]:
        """Fail, since no motion is read."""
        raise AssertionError("motion is not read")

    def windows(self, frames_n: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Fail, since no window is read."""
        raise AssertionError("windows are not read")


def clips_of(dataset: Dataset, detections: DetectionFolder) -> ClipDataset:
    """Return a dataset of clips with the objects used by the paper's networks, without pictures."""
    settings = ClipSettings(
        data=DataRecipe(clip_frames=dataset.clip_frames, crop=(224, 224), score_threshold=0.0),
        slots=SlotSettings(max_objects=10, background=True, mask_size=28, feature_cells=(14, 14)),
        num_activities=len(dataset.classes),
        multi_label=True,
        reads=frozenset(),
    )
    segments = [
        Segment(id=segment.id, video_id=segment.video_id, split="train", labels=segment.labels)
        for segment in dataset.segments
    ]
    blank: Any = Blank()
    return ClipDataset(segments, blank, detections, settings)


def timed(work: Callable[[], Found]) -> tuple[Found, dict[str, float]]:
    """Return the result of a function with its wall time and CPU time."""
    began, used = time.perf_counter(), used_seconds()
    result = work()
    return result, {"seconds": time.perf_counter() - began, "cpu_seconds": used_seconds() - used}


def used_seconds() -> float:
    """Return the CPU time of this process and its children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def open_each(paths: list[Path]) -> None:
    """Open videos with PyAV."""
    for path in paths:
        with av.open(str(path)):
            pass


def cold_clip(data: ClipDataset, worker: ClipDataset) -> dict[str, float]:
    """Return the mean time to load a clip with a cold cache in a loader process."""
    chosen = np.linspace(0, len(data) - 1, min(COLD_CLIPS + 1, len(data))).astype(int).tolist()
    first, *others = [data.resolve(ClipRequest(place, epoch=0)) for place in chosen]
    worker[first]  # warm up late imports
    _, clips = timed(lambda: [worker[other] for other in others])
    return {name: value / len(others) for name, value in clips.items()}


def loader_memory(data: ClipDataset, clips: int) -> dict[str, float]:
    """Return the total memory of all loader processes after so many clips; shared memory is counted
    once."""
    settings = LoaderSettings(batch_size=8, workers=PROCESSES)
    done = 0
    for batch in training_loader(data, settings, epochs=range(-(-clips // (len(data) // 8 * 8)))):
        done += len(batch)
        if done >= clips:
            return {"clips": done, "bytes": loader_bytes()}
    return {"clips": done}


def loader_bytes() -> float:
    """Return the memory of all child processes."""
    children = multiprocessing.active_children()
    own = (proc_value(f"/proc/{child.pid}/smaps_rollup", "Pss") for child in children)
    return sum(1024 * int((value or "0").split()[0]) for value in own)


def evaluated(data: ClipDataset, clips: int) -> dict[str, float]:
    """Return the time to load clips like `orn eval --views 10`, in two processes."""
    settings = LoaderSettings(batch_size=16, workers=2)
    batches = evaluation_loader(data, settings, num_clips=10)
    some = islice(batches, -(-clips // 16))
    done, row = timed(lambda: sum(len(batch) for batch in some))
    return {"clips": done, "clips_per_second": done / row["seconds"]}


def measured(folder: Path, *, videos: int, shards: int, clips: int) -> Comparison:
    """Write the data set to a folder and measure each stage of the start-up."""
    paths = make_videos(folder / "data" / "vlog", videos)
    record: dict[str, dict[str, float]] = {}
    dataset, record["manifest"] = timed(lambda: load_dataset("vlog", folder / "data"))
    ids = [video.id for video in dataset.videos]
    make_shards(folder / "shards", [ids[number::shards] for number in range(shards)])
    config = DetectConfig(dataset="vlog", data_root=folder / "data")
    _, record["plan"] = timed(
        lambda: plan_job(dataset, config, folder=folder / "plan", settings={})
    )
    _, record["open_shards"] = timed(lambda: DetectionFolder(folder / "shards"))
    opened, record["open_shards_again"] = timed(lambda: DetectionFolder(folder / "shards"))
    data = clips_of(dataset, opened)
    sent = pickle.dumps(data.for_workers(PROCESSES))
    record["sent_to_each_loader_process"] = {"bytes": len(sent)}
    record["cold_clip"] = cold_clip(data, pickle.loads(sent))
    if clips:
        record["loader_processes"] = loader_memory(data, clips)
        record["evaluation"] = evaluated(data, clips)
    _, reference = timed(lambda: open_each(paths[:OPENED]))
    return Comparison(
        name="scale",
        ours=record["plan"]["cpu_seconds"] / videos,
        reference=reference["cpu_seconds"] / len(paths[:OPENED]),
        details={"videos": videos, "shards": shards, **record},
    )


def main() -> None:
    """Parse the options, measure, and print the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=113_839)
    parser.add_argument("--shards", type=int, default=14_229)
    parser.add_argument("--clips", type=int, default=20_000, help="clips to load; 0: none")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        record = measured(Path(name), **vars(options))
    print(json.dumps(record.record(), indent=2))


if __name__ == "__main__":
    main()
