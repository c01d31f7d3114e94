"""Loading of clips with masks from a clip store and shard, compared with video and pickle.

Axes: T frames of a clip, K objects.
"""

import logging
import pickle
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

from orn.benchmarks.made_inputs import (
    ENTRY,
    GRID,
    ellipses,
    moving_pictures,
    write_detections,
    write_video,
)
from orn.benchmarks.measuring import Comparison, run, seconds_in_turns
from orn.data_manifests.load import load_dataset
from orn.data_manifests.records import Segment, Video
from orn.shared.errors import DataRootError
from orn.shared.masks.coco_classes import NUM_COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.writer import ShardWriter
from orn.shared.video.read import content_bytes, content_digest, probe
from orn.stage1_detect.imports.authors_vlog import read_authors
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.jpeg import decode_jpeg
from orn.stage2_train.clip_store.make_clips import build_clip_store
from orn.stage2_train.clip_store.plan_store import StoreRequest
from orn.stage2_train.clip_store.store_format import StoreSettings
from orn.stage2_train.clips.batches import collate
from orn.stage2_train.clips.clip_draws import ClipRequest, random_frames
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.runs.open_data import clip_settings
from orn.stage2_train.settings.recipe import Recipe, load_recipe

logger = logging.getLogger(__name__)

MADE_FRAMES = (741, 92)
"""Numbers of frames of the two real clips."""
_MASK_RATE = 30.0
"""Frames with masks per second."""
_MASKS = "masks/preds_100x100_50"
_HEIGHT, _WIDTH = 368, 654
_STORED = StoreSettings(size=(256, 256))
_Tracks = list[tuple[FrameDetections, ...]]
_FRAMES = 4
"""T."""
_SIZE, _CROP = 256, 224
_CLIPS = 32
"""Number of clips per measurement of our loader; the reference uses an eighth of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderInputs:
    """The same clips in both formats."""

    videos: tuple[Video, ...]
    pickles: tuple[Path, ...]
    """Masks of each video in the authors' format."""
    store_path: Path
    """The clip store."""
    shards_path: Path
    """Folder of the shard."""
    is_real: bool
    """Whether the clips are from VLOG."""


def loader_inputs(
    folder: Path, data_root: Path | None, *, made_frames: tuple[int, ...] = MADE_FRAMES
) -> LoaderInputs:
    """Create all inputs in an empty folder, from VLOG's clips or, without VLOG, generated clips.

    Raises:
        DataRootError: if VLOG's videos, or all of its masks, are missing.
    """
    if data_root is not None and not (data_root / "vlog").is_dir():
        logger.warning("%s: no folder vlog, so clips are generated", data_root)
        data_root = None
    videos, tracks = _made(folder, made_frames) if data_root is None else _real(data_root)
    pickles = tuple(folder / f"{number}.pkl" for number in range(len(tracks)))
    for path, frames in zip(pickles, tracks, strict=True):
        path.write_bytes(pickle.dumps(_as_the_authors(frames), protocol=4))
    build_clip_store(StoreRequest(path=folder / "clips", settings=_STORED, videos=videos))
    _write_shard(folder / "shards" / "shard-000000.zarr.zip", videos, tracks)
    return LoaderInputs(
        videos=videos,
        pickles=pickles,
        store_path=folder / "clips",
        shards_path=folder / "shards",
        is_real=data_root is not None,
    )


def _real(data_root: Path) -> tuple[tuple[Video, ...], _Tracks]:
    dataset = load_dataset("vlog", data_root, labels=False)
    masks = dataset.root / _MASKS
    files = {str(path.parent.relative_to(masks)).lower(): path for path in masks.rglob("clip.pkl")}
    videos = tuple(video for video in dataset.videos if video.id.lower() in files)[:2]
    if not videos:
        raise DataRootError(
            f"{dataset.root}: expected clips with masks in {_MASKS}/ID/clip.pkl, got none; omit "
            "--data to use generated clips"
        )
    tracks = [read_authors(files[video.id.lower()]) for video in videos]
    return videos, [tuple(frame.detections for frame in track) for track in tracks]


def _made(folder: Path, made_frames: tuple[int, ...]) -> tuple[tuple[Video, ...], _Tracks]:
    videos, tracks = [], []
    generator = np.random.default_rng(0)
    for number, num_frames in enumerate(made_frames):
        pictures = moving_pictures(num_frames, height=_HEIGHT, width=_WIDTH)
        path = write_video(folder / f"{number}.mp4", pictures)
        videos.append(Video(id=str(number), path=path))
        num_masks = round(num_frames / probe(path).rate * _MASK_RATE)
        tracks.append(tuple(ellipses(generator) for _ in range(num_masks)))
    return tuple(videos), tracks


def _as_the_authors(frames: tuple[FrameDetections, ...]) -> dict[str, Any]:
    """Return lists [frame][class] of instances, where class 0 is background."""
    fields: dict[str, Any] = {
        name: [[[] for _ in range(NUM_COCO_CLASSES + 1)] for _ in frames]
        for name in ("segms", "boxes")
    }
    for place, frame in enumerate(frames):
        for row, label in enumerate(frame.labels.tolist()):
            mask = {"size": [GRID, GRID], "counts": frame.masks[row]}
            box = np.append(frame.boxes[row], frame.scores[row])
            fields["segms"][place][label + 1].append(mask)
            fields["boxes"][place][label + 1].append(box)
    return fields


def _write_shard(path: Path, videos: tuple[Video, ...], tracks: _Tracks) -> None:
    with ShardWriter(path, ENTRY, "label") as writer:
        for video, frames in zip(videos, tracks, strict=True):
            write_detections(
                writer,
                video.id,
                frames,
                rate=_MASK_RATE,
                source_bytes=content_bytes(video.path),
                source_digest=content_digest(video.path),
            )


def measure(*, data: str = "", repeats: int = 3, tiny: bool = False) -> Comparison:
    """Return the time to load a clip of four frames of 224 pixels with masks, on one core.

    The reference decodes the video, unpickles all its masks, and uses pycocotools and PIL, like the
    authors' released loader. Ours reads randomly sampled frames from a clip store and a shard. The
    shard stays open and its decoded chunks stay in memory, as in a training run whose shards fit
    into 256 MiB per process; masks are decoded for each clip. `cold_seconds` is the time with an
    empty cache, as for a much larger data set, `jpeg_only_seconds` the time to decode the pictures.

    Args:
        data: data root with VLOG's clips and the authors' masks; empty: generated clips.
        repeats: number of measurements; the median is returned.
        tiny: whether to use tiny sizes, for a test run.
    """
    data_root = Path(data) if data else None
    clips, made_frames = (2, (8, 6)) if tiny else (_CLIPS, MADE_FRAMES)
    with tempfile.TemporaryDirectory() as folder:
        inputs = loader_inputs(Path(folder), data_root, made_frames=made_frames)
        recipe = load_recipe("ablation_resnet18", num_activities=30, clip_frames=_FRAMES)
        ours, jpeg, cold, reference = _seconds(inputs, recipe, repeats=repeats, clips=clips)
        sizes = _sizes(inputs)
    return Comparison(
        name="loader",
        ours=ours,
        reference=reference,
        details={
            "clips_per_second": 1 / ours,
            "jpeg_only_seconds": jpeg,
            "ours_over_jpeg_only": ours / jpeg,
            "cold_seconds": cold,
            "cold_over_jpeg_only": cold / jpeg,
            "ratio_cold": reference / cold,
            **{f"{name}_bytes_per_frame": size for name, size in sizes.items()},
            "shard_over_pickle": sizes["shard"] / sizes["pickle"],
            "clip_frames": _FRAMES,
            "crop": _CROP,
            "real_clips": inputs.is_real,
        },
    )


def _seconds(inputs: LoaderInputs, recipe: Recipe, *, repeats: int, clips: int) -> list[float]:
    """Return the time per clip of our loader, of its pictures alone, of our loader with a cold
    cache, and of the reference; each call samples different frames."""
    dataset = recipe_dataset(inputs, recipe, num_segments=len(inputs.videos))
    store = ClipStore(inputs.store_path)
    closed = pickle.dumps(DetectionFolder(inputs.shards_path))
    pictures = _stored_pictures(inputs)
    epochs = iter(range(10**9))
    few = max(clips // 8, 1)

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

    def cold() -> None:
        for request in requests(clips):
            anew = ClipDataset(
                dataset.segments, store, pickle.loads(closed), dataset.settings, cache_bytes=0
            )
            collate([anew[request]])

    def reference() -> None:
        for request in requests(few):
            num_frames = len(pictures[request.segment])
            places = _places(num_frames, request)
            plain_clip(inputs, request.segment, places=places, num_frames=num_frames)

    times = seconds_in_turns(ours, jpeg, cold, reference, repeats=repeats)
    return [time / number for time, number in zip(times, (clips, clips, clips, few), strict=True)]


def recipe_dataset(inputs: LoaderInputs, recipe: Recipe, *, num_segments: int) -> ClipDataset:
    """Return a dataset of a recipe that cycles over the videos, without an object cache."""
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
    """Return a clip with masks, loaded as by the authors' released loader, with a center crop.

    The video is decoded, frames are resized with PIL, all masks of the video are unpickled, and
    those of the clip are decoded with pycocotools and resized with PIL; frames and masks are joined
    by the ratio of their counts. To the advantage of the reference, only frames of the clip are
    converted to RGB, and decoding stops after the last one.

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
    # Our own file: unpickling others could run any code.
    segms = pickle.loads(inputs.pickles[number].read_bytes())["segms"]
    masks, small = (np.zeros((len(places), 10, side, side), np.float32) for side in (28, 14))
    for time_index, place in enumerate(places.tolist()):
        frame = segms[min(place * len(segms) // num_frames, len(segms) - 1)]
        shown = [mask for masks_of_class in frame for mask in masks_of_class][:10]
        for slot, counts in enumerate(shown):
            picture = Image.fromarray(coco.decode(counts) * np.uint8(255))
            cut = picture.resize((_SIZE, _SIZE), bilinear).crop(window)
            for target in (masks, small):
                resized = cut.resize(target.shape[2:], bilinear)
                target[time_index, slot] = np.asarray(resized, np.float32) / 255
    return np.stack(frames), masks, small


def _decoded(video: Path, places: NDArray[np.int64]) -> list[Image.Image]:
    chosen, pictures = set(places.tolist()), {}
    with av.open(str(video)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for number, frame in enumerate(islice(container.decode(video=0), max(chosen) + 1)):
            if number in chosen:
                pictures[number] = frame.to_image()
    return [pictures[place] for place in places.tolist()]


def _places(num_frames: int, request: ClipRequest) -> NDArray[np.int64]:
    """Return the (T,) sampled frames of a video."""
    generator = np.random.default_rng((0, request.epoch or 0, request.segment))
    return random_frames(num_frames, _FRAMES, generator)


def _stored_pictures(inputs: LoaderInputs) -> list[list[bytes]]:
    """Return the JPEG files of each video."""
    store = ClipStore(inputs.store_path)
    stored = (store.frames(video.id) for video in inputs.videos)
    return [[own.jpeg(frame) for frame in range(len(own))] for own in stored]


def _sizes(inputs: LoaderInputs) -> dict[str, float]:
    """Return the bytes per frame on disk."""
    num_frames = sum(map(len, _stored_pictures(inputs)))
    files = {
        "store": [*inputs.store_path.glob("*.h5")],
        "shard": [*inputs.shards_path.glob("shard-*")],
        "video": [video.path for video in inputs.videos],
        "pickle": inputs.pickles,
    }
    return {
        name: sum(path.stat().st_size for path in paths) / num_frames
        for name, paths in files.items()
    }


if __name__ == "__main__":
    run(measure)
