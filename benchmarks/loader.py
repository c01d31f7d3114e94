"""Clips with masks from store and shard against video and pickle.

T frames of a clip, K objects.
"""

import pickle
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

from orn.benchmarks.harness import BenchResult, seconds_in_turns, using_threads
from orn.benchmarks.loader_inputs import MADE_FRAMES, LoaderInputs, loader_inputs
from orn.benchmarks.train_step import one_step
from orn.shared.manifests.records import Segment
from orn.shared.shards.reader import DetectionFolder
from orn.stage2_train.clips.batches import LoaderSettings, collate, training_loader
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.sampling import random_frames
from orn.stage2_train.clips.views import ClipRequest
from orn.stage2_train.devices import build_accelerator
from orn.stage2_train.frames.jpeg import decode_jpeg
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.schema import CLIP_FILES, StoreSettings
from orn.stage2_train.frames.store_job import build_clip_store
from orn.stage2_train.model.build import build_network
from orn.stage2_train.recipe import Recipe, load_recipe
from orn.stage2_train.runs.sources import clip_settings
from orn.stage2_train.training.step import build_optimiser

_CLIPS = 32
"""Clips of a measurement of ours."""
_REFERENCE_CLIPS = 4
"""Clips of a measurement of the reference."""
_FRAMES = 4
"""T."""
_SIZE, _CROP = 256, 224
_BATCH = 8
"""Clips of a batch where workers are compared."""


def measure(
    data_root: Path | None = None,
    *,
    repeats: int,
    train_share: bool = False,
    clips: int = _CLIPS,
    made_frames: tuple[int, ...] = MADE_FRAMES,
) -> BenchResult:
    """Everything, on inputs that are made."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = loader_inputs(Path(folder), data_root, made_frames=made_frames)
        return _measured(inputs, repeats=repeats, train_share=train_share, clips=clips)


def _measured(inputs: LoaderInputs, *, repeats: int, train_share: bool, clips: int) -> BenchResult:
    recipe = load_recipe("ablation_resnet18", num_activities=30, clip_frames=_FRAMES)
    with using_threads(1):
        seconds = _seconds(inputs, recipe, repeats=repeats, clips=clips)
        one, two = (_rate(inputs, recipe, workers=number, clips=clips) for number in (1, 2))
    details: dict[str, Any] = {
        "clips_per_second": 1 / seconds["ours"],
        "jpeg_only_seconds": seconds["jpeg"],
        "ours_over_jpeg_only": seconds["ours"] / seconds["jpeg"],
        "unopened_seconds": seconds["unopened"],
        "unopened_over_jpeg_only": seconds["unopened"] / seconds["jpeg"],
        "ratio_unopened": seconds["reference"] / seconds["unopened"],
        "clips_per_second_1_workers": one,
        "clips_per_second_2_workers": two,
        "two_workers_over_one": two / one,
        **_sizes(inputs),
        "clip_frames": _FRAMES,
        "crop": _CROP,
        "real_clips": inputs.is_real,
    }
    if train_share:
        with using_threads(2):
            details["train_share"] = _train_shares(inputs)
    return BenchResult(
        name="loader", ours=seconds["ours"], reference=seconds["reference"], details=details
    )


def _seconds(inputs: LoaderInputs, recipe: Recipe, *, repeats: int, clips: int) -> dict[str, float]:
    """Seconds a clip of each way; each call draws other frames of the videos in turn."""
    dataset = recipe_dataset(inputs, recipe, num_segments=len(inputs.videos))
    store = ClipStore(inputs.store_path)
    closed = pickle.dumps(DetectionFolder(inputs.shards_path))
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
            places = _places(num_frames, request)
            plain_clip(inputs, request.segment, places=places, num_frames=num_frames)

    found = seconds_in_turns(ours, jpeg, unopened, reference, repeats=repeats)
    counts = (clips, clips, clips, _REFERENCE_CLIPS)
    each = (seconds / count for seconds, count in zip(found, counts, strict=True))
    return dict(zip(("ours", "jpeg", "unopened", "reference"), each, strict=True))


def recipe_dataset(inputs: LoaderInputs, recipe: Recipe, *, num_segments: int) -> ClipDataset:
    """The videos in turns as a recipe wants them, none of whose objects is kept in memory."""
    settings = clip_settings(recipe, task="single-label")
    ids = [inputs.videos[place % len(inputs.videos)].id for place in range(num_segments)]
    segments = [
        Segment(id=f"{place}", video_id=video_id, split="train", labels=(0,))
        for place, video_id in enumerate(ids)
    ]
    store, shards = ClipStore(inputs.store_path), DetectionFolder(inputs.shards_path)
    return ClipDataset(segments, store, shards, settings, cache_bytes=0)


def plain_clip(
    inputs: LoaderInputs, number: int, *, places: NDArray[np.int64], num_frames: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """A clip with masks as the loader that the authors released makes it, cropped in the middle.

    The video is decoded, the frames are resized with PIL, all masks of the video are unpickled,
    those of the clip's frames are decoded with pycocotools and resized with PIL; frames and masks
    are joined by the ratio of their counts. Generous in one thing: of the decoded pictures only the
    clip's become RGB, and nothing after its last one is decoded.

    Returns:
        (T, crop, crop, 3) uint8 RGB, and (T, K, h, w) coverage of masks of 28 x 28 cells and of the
        14 x 14 cells of the feature map.
    """
    left = (_SIZE - _CROP) // 2
    window = (left, left, left + _CROP, left + _CROP)
    bilinear = Image.Resampling.BILINEAR
    frames = [
        np.asarray(picture.resize((_SIZE, _SIZE), bilinear).crop(window))
        for picture in _decoded(inputs.videos[number].path, places)
    ]
    # A file of our own making: a pickle may run anything.
    segms = pickle.loads(inputs.pickles[number].read_bytes())["segms"]
    masks, small = (np.zeros((len(places), 10, side, side), np.float32) for side in (28, 14))
    for time_index, place in enumerate(places.tolist()):
        frame = segms[min(place * len(segms) // num_frames, len(segms) - 1)]
        found = [mask for masks_of_class in frame for mask in masks_of_class][:10]
        for slot, counts in enumerate(found):
            picture = Image.fromarray(coco.decode(counts) * np.uint8(255))
            cut = picture.resize((_SIZE, _SIZE), bilinear).crop(window)
            for target in (masks, small):
                resized = cut.resize(target.shape[2:], bilinear)
                target[time_index, slot] = np.asarray(resized, np.float32) / 255
    return np.stack(frames), masks, small


def _decoded(video: Path, places: NDArray[np.int64]) -> list[Image.Image]:
    wanted, found = set(places.tolist()), {}
    with av.open(str(video)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for number, frame in enumerate(islice(container.decode(video=0), max(wanted) + 1)):
            if number in wanted:
                found[number] = frame.to_image()
    return [found[place] for place in places.tolist()]


def _places(num_frames: int, request: ClipRequest) -> NDArray[np.int64]:
    """(T,) frames drawn from a video as the data set draws them."""
    generator = np.random.default_rng((0, request.epoch or 0, request.segment))
    return random_frames(num_frames, _FRAMES, generator)


def _stored_pictures(inputs: LoaderInputs) -> list[list[bytes]]:
    """The JPEG files of each video, in memory."""
    store = ClipStore(inputs.store_path)
    each = (store.frames(video.id) for video in inputs.videos)
    return [list(own.file.jpeg_files(own.video, range(len(own)))) for own in each]


def _rate(inputs: LoaderInputs, recipe: Recipe, *, workers: int, clips: int) -> float:
    """Clips a second that so many processes make, once they are at work."""
    dataset = recipe_dataset(inputs, recipe, num_segments=max(4 * clips, 6 * _BATCH))
    loader = training_loader(
        dataset, LoaderSettings(batch_size=_BATCH, workers=workers), epochs=range(2)
    )
    batches = iter(loader)
    for _ in islice(batches, 2 * workers):  # these were made while the processes started
        pass
    began = time.perf_counter()
    return sum(len(batch) for batch in batches) / (time.perf_counter() - began)


def _sizes(inputs: LoaderInputs) -> dict[str, float]:
    """Bytes a frame of what lies on the disk."""
    num_frames = sum(len(own) for own in _stored_pictures(inputs))
    files = {
        "store": list(inputs.store_path.glob(CLIP_FILES.pattern)),
        "shard": list(inputs.shards_path.glob("shard-*")),
        "video": [video.path for video in inputs.videos],
        "pickle": inputs.pickles,
    }
    return {
        f"{name}_bytes_per_frame": sum(path.stat().st_size for path in paths) / num_frames
        for name, paths in files.items()
    }


def _train_shares(inputs: LoaderInputs) -> dict[str, Any]:
    """For the ablations' recipe, and for the demo's on frames of the demo's size."""
    small = inputs.store_path.with_name("small")
    build_clip_store(inputs.videos, small, StoreSettings(size=(70, 88)))
    demo = replace(inputs, store_path=small)
    found = {}
    for name, clips, batch_size, steps in (
        ("ablation_resnet18", inputs, 4, 3),
        ("demo", demo, 16, 10),
    ):
        recipe = load_recipe(name, num_activities=12, clip_frames=_FRAMES)
        for workers in (0, 1):
            found[f"{name}_{workers}_workers"] = loading_share(
                clips, recipe, batch_size=batch_size, steps=steps, workers=workers
            )
    return found


def loading_share(
    inputs: LoaderInputs, recipe: Recipe, *, batch_size: int, steps: int, workers: int
) -> dict[str, float]:
    """Share of the wall time of a training in fp32 that goes into waiting for batches.

    It trains for some steps, after one that does not count. `workers` processes make the batches;
    0 makes them between the steps.
    """
    torch.manual_seed(0)
    clips = recipe_dataset(inputs, recipe, num_segments=batch_size * (steps + 1))
    network = build_network(recipe.model).train()
    optimiser = build_optimiser(network.parameters(), recipe.optimiser)
    accelerator = build_accelerator("fp32", "cpu")
    settings = LoaderSettings(batch_size=batch_size, workers=workers)
    batches = iter(training_loader(clips, settings, epochs=range(1)))
    waiting = computing = 0.0
    for step in range(steps + 1):
        began = time.perf_counter()
        batch = next(batches)
        loaded = time.perf_counter()
        one_step(accelerator, network, optimiser, batch, recipe=recipe, step=step)
        if step > 0:
            waiting += loaded - began
            computing += time.perf_counter() - loaded
    return {
        "batch_size": batch_size,
        "step_seconds": computing / steps,
        "waiting_seconds": waiting / steps,
        "share": waiting / (waiting + computing),
    }
