"""A tiny world for stage 2: moving rectangles as frames, and shards that know where they are.

No video is decoded and no detector runs: frames go straight to the clip store's writer, and the
masks are the rectangles that were drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from orn.shared.manifests.records import Dataset, DetectorChoice, Segment, Video
from orn.shared.masks import rle
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.schema import DetectorEntry
from orn.shared.shards.writer import ShardWriter
from orn.shared.time_ranges import ALL_TIMES, TimeRanges
from orn.shared.video.read import Frame
from orn.stage2_train.devices import build_accelerator
from orn.stage2_train.frames.merge import merge, read_contents
from orn.stage2_train.frames.parts import write_frames
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.schema import StoreSettings
from orn.stage2_train.model.config import NetworkConfig
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.recipe import DataRecipe, OptimiserRecipe, PhaseRecipe, Recipe
from orn.stage2_train.runs.sources import Sources
from orn.stage2_train.training.loop import TrainingData, train_network
from tests.video_entries import video_entry

RATE = 10.0
GRID = (60, 80)
"""(height, width) of the films and of the detection grid."""
STORED = StoreSettings(height=48, width=72, jpeg_quality=95)
COLOURS = np.array([[220, 40, 40], [40, 200, 40], [60, 60, 230]], np.uint8)
LABELS = np.array([0, 39, 41], np.uint8)

DETECTOR = DetectorEntry(
    config_name="drawn",
    config_digest="sha256:0",
    checkpoint_digest="sha256:0",
    class_names=tuple(COCO_CLASSES),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """One film: coloured rectangles, the same number in each frame."""

    id: str
    boxes_FN4: np.ndarray
    """(F, N, 4) int x1 y1 x2 y2, pixels of GRID."""
    digest: str = "sha256:same"
    colours: np.ndarray = field(default_factory=COLOURS.copy)
    """(N, 3) uint8 RGB, on grey 90."""

    def image(self, frame: int) -> np.ndarray:
        """(H, W, 3) uint8."""
        image = np.full((*GRID, 3), 90, np.uint8)
        for (x1, y1, x2, y2), colour in zip(self.boxes_FN4[frame], self.colours, strict=False):
            image[y1:y2, x1:x2] = colour
        return image

    def detections(self, frame: int, *, class_scores: bool = True) -> FrameDetections:
        """The rectangles as detections, scores falling."""
        boxes = self.boxes_FN4[frame].astype(np.float32)
        num = len(boxes)
        scores = np.linspace(0.9, 0.6, num, dtype=np.float32)
        masks = []
        for x1, y1, x2, y2 in self.boxes_FN4[frame]:
            ones = np.ones((y2 - y1, x2 - x1), np.bool_)
            masks.append(rle.encode_crop(ones, x=x1, y=y1, height=GRID[0], width=GRID[1]))
        rows = np.zeros((num, 80), np.float16)
        rows[np.arange(num), LABELS[:num]] = scores
        return FrameDetections(
            height=GRID[0],
            width=GRID[1],
            boxes=boxes,
            scores=scores,
            labels=LABELS[:num],
            class_scores=rows if class_scores else None,
            masks=tuple(masks),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyWorld:
    """Where everything lies."""

    dataset: Dataset
    store_path: Path
    shards_path: Path
    films: dict[str, Film]

    def clips(self) -> ClipStore:
        """The clip store, opened."""
        return ClipStore(self.store_path)

    def detections(self) -> DetectionFolder:
        """The shards, opened."""
        return DetectionFolder(self.shards_path)


def write_store(
    path: Path,
    films: list[Film],
    settings: StoreSettings = STORED,
    ranges: TimeRanges = ALL_TIMES,
) -> None:
    """A clip store of the films."""
    parts = []
    for number, film in enumerate(films):
        part = path.parent / f"part-{number}.h5"
        frames = (
            Frame(index=frame, seconds=frame / RATE, image=film.image(frame))
            for frame in range(len(film.boxes_FN4))
        )
        write_frames(
            part,
            frames,
            video_id=film.id,
            source_digest=film.digest,
            settings=settings,
            ranges=ranges,
        )
        parts.append(part)
    videos = [video for part in parts for video in read_contents(part).videos]
    merge(path, settings=settings, videos=videos)
    for part in parts:
        part.unlink()


def write_shard(path: Path, films: list[Film], *, class_scores: bool = True) -> None:
    """A shard of the films, every frame of them."""
    with ShardWriter(path, DETECTOR, class_scores=class_scores) as writer:
        for film in films:
            writer.begin_video(
                video_entry(
                    film.id, height=GRID[0], width=GRID[1], rate=RATE, source_digest=film.digest
                )
            )
            for frame in range(len(film.boxes_FN4)):
                writer.add(frame, frame / RATE, film.detections(frame, class_scores=class_scores))
            writer.end_video()


def make_film(name: str, *, label: int, num_frames: int, rng: np.random.Generator) -> Film:
    """Three rectangles; the first moves right (label 0) or down (label 1), the others stay."""
    boxes_FN4 = np.zeros((num_frames, 3, 4), np.int64)
    for place in range(3):
        x, y = rng.integers(5, 40), rng.integers(5, 25)
        width, height = rng.integers(8, 20, size=2)
        for frame in range(num_frames):
            step = 2 * frame if place == 0 else 0
            left, top = (x + step, y) if label == 0 else (x, y + step)
            boxes_FN4[frame, place] = (
                left,
                top,
                min(left + width, GRID[1]),
                min(top + height, GRID[0]),
            )
    return Film(id=name, boxes_FN4=boxes_FN4)


def make_dataset(films: list[Film], labels: list[tuple[int, ...]], splits: list[str]) -> Dataset:
    """A data set of two classes whose segments are whole films."""
    return Dataset(
        name="tiny",
        task="single-label",
        form="clips",
        metric="top1",
        clip_frames=4,
        root=Path("data/tiny"),
        detector=DetectorChoice(),
        classes=("right", "down"),
        videos=tuple(Video(id=film.id, path=Path(f"{film.id}.mp4")) for film in films),
        segments=tuple(
            Segment(id=f"{film.id}-segment", video_id=film.id, split=split, labels=label)
            for film, label, split in zip(films, labels, splits, strict=True)
        ),
        missing=(),
    )


def build_world(folder: Path, *, num_films: int = 12, num_frames: int = 8) -> TinyWorld:
    """Films of both classes in turn; every third one validates."""
    rng = np.random.default_rng(7)
    labels = [(number % 2,) for number in range(num_films)]
    films = [
        make_film(f"film/{number}", label=label[0], num_frames=num_frames, rng=rng)
        for number, label in enumerate(labels)
    ]
    splits = ["validation" if number % 3 == 2 else "train" for number in range(num_films)]
    write_store(folder / "tiny.h5", films)
    write_shard(folder / "shards" / "shard-000000.zarr.zip", films[: num_films // 2])
    write_shard(folder / "shards" / "shard-000001.zarr.zip", films[num_films // 2 :])
    return TinyWorld(
        dataset=make_dataset(films, labels, splits),
        store_path=folder / "tiny.h5",
        shards_path=folder / "shards",
        films={film.id: film for film in films},
    )


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    """Twelve films of eight frames; read-only."""
    return build_world(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def new_world() -> Callable[..., TinyWorld]:
    """`build_world`, for a world of one's own."""
    return build_world


TINY_NETWORK = NetworkConfig(
    num_activities=2,
    base_width=2,
    mask_size=7,
    mask_features=4,
    relation_width=6,
    reasoning_state=5,
    activity_state=5,
    normalise_relations=True,
)
TINY_RECIPE = Recipe(
    model=TINY_NETWORK,
    data=DataRecipe(crop=(32, 48), max_objects=2, score_threshold=0.1),
    optimiser=OptimiserRecipe(
        name="adamw",
        learning_rate=1e-2,
        weight_decay=1e-2,
        schedule="one_cycle",
        gradient_clip=5.0,
        batch_size=2,
    ),
    phases=PhaseRecipe(object_head_epochs=1, epochs=2),
    log_every_steps=1,
    checkpoint_every_steps=3,
    seed=5,
)


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """One epoch of the object head, two of everything; four steps an epoch."""
    return TINY_RECIPE


@pytest.fixture(scope="session")
def run_tiny(tiny_world) -> Callable[..., ObjectVideoNetwork]:
    """Trains a tiny network in a folder and returns it, with the state as attribute `state`."""

    def run(folder: Path, recipe: Recipe = TINY_RECIPE, **options) -> ObjectVideoNetwork:
        sources = Sources(
            dataset=options.pop("dataset", tiny_world.dataset),
            clips=tiny_world.clips(),
            detections=tiny_world.detections(),
        )
        validation = sources.clip_dataset(sources.join("validation", recipe), recipe)
        if options.pop("without_validation", False):
            validation = None
        data = TrainingData(
            train=sources.clip_dataset(sources.join("train", recipe), recipe),
            validation=validation,
            metric=sources.dataset.metric,
        )
        torch.manual_seed(recipe.seed)
        network = ObjectVideoNetwork(
            replace(recipe.model, num_activities=len(sources.dataset.classes))
        )
        network.state = train_network(
            network,
            recipe,
            data,
            folder,
            accelerator=build_accelerator(recipe.precision, "cpu"),
            **options,
        )
        return network

    return run
