"""`orn bench loader`: clips with masks from store and shard against video and pickle."""

import pickle
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from benchmarks.loader_inputs import MADE_FRAMES, LoaderInputs, loader_inputs
from benchmarks.loading_share import loading_share, recipe_dataset
from benchmarks.result import BenchResult
from benchmarks.timing import seconds_in_turns, using_threads
from benchmarks.video_and_pickle import plain_clip
from stage2_train.clips.batches import LoaderSettings, collate, training_loader
from stage2_train.clips.dataset import ClipDataset, ClipRequest
from stage2_train.clips.sampling import random_frames
from stage2_train.frames.jpeg import decode_jpeg
from stage2_train.frames.schema import StoreSettings
from stage2_train.frames.writer import build_clip_store
from stage2_train.training.recipe import Recipe, load_recipe

__all__ = ["measure"]

_CLIPS = 32
"""Clips of a measurement of ours."""
_REFERENCE_CLIPS = 4
"""Clips of a measurement of the reference."""
_FRAMES = 4
"""T."""
_BATCH = 8
"""Clips of a batch where workers are compared."""


def measure(
    folder: Path,
    data_root: Path | None,
    *,
    repeats: int,
    train_share: bool = False,
    clips: int = _CLIPS,
    made_frames: tuple[int, ...] = MADE_FRAMES,
) -> BenchResult:
    """Everything, on inputs that are made in `folder`."""
    inputs = loader_inputs(
        folder,
        data_root,
        store=StoreSettings(height=256, width=256),
        made_frames=made_frames,
    )
    recipe = load_recipe("ablation_resnet18", num_activities=30)
    with using_threads(1):
        seconds = _seconds(inputs, recipe, repeats=repeats, clips=clips)
        workers = {
            f"clips_per_second_{number}_workers": _rate(inputs, recipe, workers=number, clips=clips)
            for number in (1, 2)
        }
    details: dict[str, Any] = {
        "clips_per_second": 1 / seconds["ours"],
        "jpeg_only_seconds": seconds["jpeg"],
        "ours_over_jpeg_only": seconds["ours"] / seconds["jpeg"],
        "unopened_seconds": seconds["unopened"],
        "unopened_over_jpeg_only": seconds["unopened"] / seconds["jpeg"],
        "ratio_unopened": seconds["reference"] / seconds["unopened"],
        **workers,
        "two_workers_over_one": workers["clips_per_second_2_workers"]
        / workers["clips_per_second_1_workers"],
        **_sizes(inputs),
        "clip_frames": _FRAMES,
        "crop": 224,
        "real_clips": inputs.is_real,
    }
    if train_share:
        with using_threads(2):
            details["train_share"] = _train_shares(inputs, folder)
    return BenchResult(
        name="loader",
        ratio=seconds["reference"] / seconds["ours"],
        ours=seconds["ours"],
        reference=seconds["reference"],
        unit="seconds",
        details=details,
    )


def _seconds(inputs: LoaderInputs, recipe: Recipe, *, repeats: int, clips: int) -> dict[str, float]:
    """Seconds a clip of each way; each call draws other frames of the videos in turn."""
    dataset = recipe_dataset(inputs, recipe, num_segments=len(inputs.videos))
    store, closed = inputs.clips(), pickle.dumps(inputs.detections())
    pictures = _stored_pictures(inputs)
    epochs = iter(range(10**9))

    def requests(number: int) -> Iterator[ClipRequest]:
        for place in range(number):
            yield ClipRequest(place % len(dataset), epoch=next(epochs))

    def ours() -> None:
        for request in requests(clips):
            collate([dataset[request]])

    def jpeg() -> None:
        for request in requests(clips):
            own = pictures[request.segment]
            for place in _places(len(own), request):
                decode_jpeg(own[place])

    def unopened() -> None:
        for request in requests(clips):
            anew = ClipDataset(
                dataset.segments, store, pickle.loads(closed), dataset.settings, cache_bytes=0
            )
            collate([anew[request]])

    def reference() -> None:
        for request in requests(_REFERENCE_CLIPS):
            num_frames = len(pictures[request.segment])
            plain_clip(
                inputs.videos[request.segment].path,
                inputs.pickles[request.segment],
                places=_places(num_frames, request),
                num_frames=num_frames,
            )

    found = seconds_in_turns(ours, jpeg, unopened, reference, repeats=repeats)
    return {
        "ours": found[0] / clips,
        "jpeg": found[1] / clips,
        "unopened": found[2] / clips,
        "reference": found[3] / _REFERENCE_CLIPS,
    }


def _places(num_frames: int, request: ClipRequest) -> NDArray[np.int64]:
    """(T,) frames drawn from a video as the data set draws them."""
    generator = np.random.default_rng((0, request.epoch or 0, request.segment))
    return random_frames(num_frames, _FRAMES, generator)


def _stored_pictures(inputs: LoaderInputs) -> list[list[bytes]]:
    """The JPEG files of each video, in memory."""
    with h5py.File(inputs.store_path, "r") as file:
        content = file["jpeg"][:].tobytes()
        videos, offsets = file["video_offsets"][:].tolist(), file["jpeg_offsets"][:].tolist()
    return [
        [content[offsets[frame] : offsets[frame + 1]] for frame in range(first, last)]
        for first, last in pairwise(videos)
    ]


def _rate(inputs: LoaderInputs, recipe: Recipe, *, workers: int, clips: int) -> float:
    """Clips a second that so many processes make, once they are at work."""
    dataset = recipe_dataset(inputs, recipe, num_segments=max(4 * clips, 6 * _BATCH))
    loader = training_loader(
        dataset, LoaderSettings(batch_size=_BATCH, workers=workers), epochs=range(2)
    )
    batches = iter(loader)
    for _ in islice(batches, 2 * workers):  # these were made while the processes started
        pass
    began, number = time.perf_counter(), 0
    for batch in batches:
        number += len(batch)
    return number / (time.perf_counter() - began)


def _sizes(inputs: LoaderInputs) -> dict[str, float]:
    """Bytes a frame of what lies on the disk."""
    num_frames = sum(len(own) for own in _stored_pictures(inputs))
    shards = [path.stat().st_size for path in inputs.shards_path.glob("shard-*")]
    return {
        "store_bytes_per_frame": inputs.store_path.stat().st_size / num_frames,
        "shard_bytes_per_frame": sum(shards) / num_frames,
        "video_bytes_per_frame": sum(video.path.stat().st_size for video in inputs.videos)
        / num_frames,
        "pickle_bytes_per_frame": sum(path.stat().st_size for path in inputs.pickles) / num_frames,
    }


def _train_shares(inputs: LoaderInputs, folder: Path) -> dict[str, Any]:
    """For the ablations' recipe, and for the demo's on frames of the demo's size."""
    small = folder / "small"
    small.mkdir()
    build_clip_store(inputs.videos, small / "clips.h5", StoreSettings(height=70, width=88))
    demo = replace(inputs, store_path=small / "clips.h5")
    found = {}
    for name, clips, batch_size, steps in (
        ("ablation_resnet18", inputs, 4, 3),
        ("demo", demo, 16, 10),
    ):
        recipe = load_recipe(name, num_activities=12)
        for workers in (0, 1):
            each = loading_share(clips, recipe, batch_size=batch_size, steps=steps, workers=workers)
            found[f"{name}_{workers}_workers"] = {
                "batch_size": batch_size,
                "step_seconds": each.step_seconds,
                "waiting_seconds": each.waiting_seconds,
                "share": each.share,
            }
    return found
