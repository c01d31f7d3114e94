"""A tiny world for stage 2: moving rectangles as frames, and shards that know where they are.

No video is decoded and no detector runs: frames go straight to the clip store's writer, and the
masks are the rectangles that were drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from orn.data_manifests.records import Dataset, DetectorChoice, Segment, Video
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.shared.masks.detections import FrameDetections
from orn.shared.masks.validate import ScoreKind
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.shard_format import DetectorEntry
from orn.shared.shards.writer import ShardWriter
from orn.shared.time_ranges import ALL_TIMES, TimeRanges
from orn.shared.video.read import Frame, content_bytes, content_digest
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.frame_maps import FrameMapper
from orn.stage2_train.clip_store.store_format import FailedClip, MapSettings, StoreSettings
from orn.stage2_train.clip_store.unit_file import writing
from orn.stage2_train.model.build import build_object_network
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.model.tensor_files import read_tensors, write_tensors
from orn.stage2_train.runs.accelerator import build_accelerator
from orn.stage2_train.runs.checkpoint import save_best
from orn.stage2_train.runs.open_data import OpenedData
from orn.stage2_train.runs.run_config import ClipRecord, DatasetRecord, RunConfig, write_config
from orn.stage2_train.runs.run_folder import BEST_NAME, LAST_NAME, config_digest
from orn.stage2_train.settings.model_config import NetworkConfig
from orn.stage2_train.settings.recipe import DataRecipe, OptimizerRecipe, PhaseRecipe, Recipe
from orn.stage2_train.training.loop import TrainingData, train_network
from tests.worlds.shards import blocks, video_entry
from tests.worlds.tables import write_table
from tests.worlds.videos import write_pictures

RATE = 10.0
GRID = (60, 80)
"""(height, width) of the films and of the detection grid."""
STORED = StoreSettings(size=(48, 72), jpeg_quality=95)
COLORS = np.array([[220, 40, 40], [40, 200, 40], [60, 60, 230]], np.uint8)
LABELS = np.array([0, 39, 41], np.uint16)

DETECTOR = DetectorEntry(
    config_name="drawn",
    config_digest="sha256:0",
    checkpoint_digest="sha256:0",
    class_names=tuple(COCO_CLASSES),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """One film: colored rectangles, the same number in each frame."""

    id: str
    boxes_FN4: np.ndarray
    """(F, N, 4) int x1 y1 x2 y2, pixels of GRID."""
    digest: str = "sha256:same"
    num_bytes: int = 1
    """Length of its video."""
    colors: np.ndarray = field(default_factory=COLORS.copy)
    """(N, 3) uint8 RGB, on gray 90."""

    def in_video(self, path: Path) -> "Film":
        """The film as a video file holds it."""
        return replace(self, digest=content_digest(path), num_bytes=content_bytes(path))

    def image(self, frame: int) -> np.ndarray:
        """(H, W, 3) uint8."""
        image = np.full((*GRID, 3), 90, np.uint8)
        for (x1, y1, x2, y2), color in zip(self.boxes_FN4[frame], self.colors, strict=False):
            image[y1:y2, x1:x2] = color
        return image

    def detections(self, frame: int) -> FrameDetections:
        """The rectangles as detections, scores falling."""
        boxes_N4 = self.boxes_FN4[frame].tolist()
        scores_N = np.linspace(0.9, 0.6, len(boxes_N4), dtype=np.float32)
        objects = [
            (label, score, *box)
            for label, score, box in zip(LABELS, scores_N, boxes_N4, strict=False)
        ]
        return blocks(*objects, height=GRID[0], width=GRID[1], rest=0.0)


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
    failed: tuple[FailedClip, ...] = (),
    mapper: FrameMapper | None = None,
) -> None:
    """A clip store of the films, in one file."""
    with writing(path / "clips-000000.h5", settings) as writer:
        for film in films:
            frames = (
                Frame(index=frame, seconds=frame / RATE, image=film.image(frame))
                for frame in range(len(film.boxes_FN4))
            )
            source = {"id": film.id, "source_digest": film.digest, "source": (0, 0)}
            writer.add(frames, mapper=mapper, times=ranges, **source)
        for row in failed:
            writer.failed.append(row)


def write_maps(path: Path, films: list[Film]) -> None:
    """A clip store of the films whose maps are the mean colors of the quarters of a frame."""

    def maps(images_MHW3: np.ndarray) -> np.ndarray:
        halves = [half for image in np.split(images_MHW3, 2, 1) for half in np.split(image, 2, 2)]
        means_M34 = np.stack([halve.mean((1, 2)) for halve in halves], axis=-1)
        return means_M34.reshape(-1, 3, 2, 2).astype(np.float16)

    settings = MapSettings(backbone="timm/colors", weights="sha256:0", shape=(3, 2, 2))
    write_store(path, films, replace(STORED, maps=settings), mapper=maps)


def write_films_shard(
    path: Path,
    films: list[Film],
    *,
    detector: DetectorEntry = DETECTOR,
    score_kind: ScoreKind = "softmax",
    detections: Callable[[Film, int], FrameDetections] = Film.detections,
    frames: slice = slice(None),
) -> None:
    """A shard of the films, of every frame or some; `found` gives the objects of a frame."""
    with ShardWriter(path, detector, score_kind) as writer:
        for film in films:
            size = {"height": GRID[0], "width": GRID[1], "rate": RATE}
            source = {"source_bytes": film.num_bytes, "source_digest": film.digest}
            writer.begin_video(video_entry(film.id, **size, **source))
            for frame in range(len(film.boxes_FN4))[frames]:
                writer.add(frame, frame / RATE, detections(film, frame))
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
            right, bottom = min(left + width, GRID[1]), min(top + height, GRID[0])
            boxes_FN4[frame, place] = (left, top, right, bottom)
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


def build_world(folder: Path, *, num_frames: int = 8) -> TinyWorld:
    """Twelve films of both classes in turn; every third one validates."""
    rng = np.random.default_rng(7)
    labels = [(number % 2,) for number in range(12)]
    films = [
        make_film(f"film/{number}", label=label[0], num_frames=num_frames, rng=rng)
        for number, label in enumerate(labels)
    ]
    splits = ["validation" if number % 3 == 2 else "train" for number in range(12)]
    write_store(folder / "tiny", films)
    write_films_shard(folder / "shards" / "shard-000000.zarr.zip", films[:6])
    write_films_shard(folder / "shards" / "shard-000001.zarr.zip", films[6:])
    return TinyWorld(
        dataset=make_dataset(films, labels, splits),
        store_path=folder / "tiny",
        shards_path=folder / "shards",
        films={film.id: film for film in films},
    )


TINY_NETWORK = NetworkConfig(
    num_activities=2,
    base_width=2,
    mask_size=7,
    mask_features=4,
    relation_width=6,
    reasoning_state=5,
    activity_state=5,
    normalize_relations=True,
)
TINY_RECIPE = Recipe(
    model=TINY_NETWORK,
    data=DataRecipe(clip_frames=4, crop=(32, 48), max_objects=2, score_threshold=0.1),
    optimizer=OptimizerRecipe(
        name="adamw",
        learning_rate=1e-2,
        weight_decay=1e-2,
        schedule="one_cycle",
        gradient_clip=5.0,
        batch_size=2,
    ),
    phases=PhaseRecipe(object_head_epochs=1, epochs=2),
    precision="fp32",
    log_every_steps=1,
    seed=5,
)


TINY_RECORD = DatasetRecord(
    name="tiny",
    task="single-label",
    metric="top1",
    classes=("right", "down"),
    num_train=8,
    train_digest="sha256:0",
)


def write_tiny_model(folder: Path, **changes: Any) -> tuple[RunConfig, torch.nn.Module]:
    """Write the folder of an exported run, with random weights; `changes` of its configuration."""
    torch.manual_seed(0)
    network = build_object_network(TINY_RECIPE.model)
    config = RunConfig(
        recipe_name="tiny",
        recipe=TINY_RECIPE,
        dataset=TINY_RECORD,
        manifest="tiny.toml",
        clips=ClipRecord(frames=StoreSettings(size=(48, 72))),
        detector=DETECTOR,
        score_kind="softmax",
    )
    config = replace(config, **changes)
    write_config(folder, config)
    digest = config_digest(folder)
    save_best(folder, network.state_dict(), phase=1, step=3, config=digest)
    return config, network


def sign(folder: Path) -> None:
    """Makes the weights those of the configuration that is there, as after another training."""
    for name in (LAST_NAME, BEST_NAME):
        if (folder / name).is_file():
            tensors, metadata = read_tensors(folder / name, what="weights", remedy="none")
            write_tensors(folder / name, tensors, {**metadata, "config": config_digest(folder)})


def write_signed(folder: Path, config: RunConfig) -> None:
    """Writes a configuration into the folder of a run, as if it was trained with it."""
    write_config(folder, config)
    sign(folder)


def train_tiny_network(
    world: TinyWorld, folder: Path, recipe: Recipe = TINY_RECIPE, **options: Any
) -> ObjectVideoNetwork:
    """Trains a tiny network in a folder and returns it, with the state as attribute `state`."""
    opened = OpenedData(
        dataset=options.pop("dataset", world.dataset),
        clips=world.clips(),
        detections=world.detections(),
    )
    validation = None
    if not options.pop("without_validation", False):
        validation = opened.clip_dataset(opened.join("validation", recipe), recipe)
    data = TrainingData(
        train=opened.clip_dataset(opened.join("train", recipe), recipe),
        validation=validation,
        metric=opened.dataset.metric,
    )
    torch.manual_seed(recipe.seed)
    network = build_object_network(
        replace(recipe.model, num_activities=len(opened.dataset.classes))
    )
    accelerator = build_accelerator(recipe.precision, "cpu")
    options = {"config": "sha256:0", "accelerator": accelerator, **options}
    network.state = train_network(network, recipe, data, folder, **options)
    return network


RECIPE = """
precision = "fp32"
log_every_steps = 1
[model]
base_width = 2
mask_features = 4
relation_width = 6
reasoning_state = 5
activity_state = 5
[data]
crop = [32, 48]
max_objects = 2
[optimizer]
batch_size = 4
learning_rate = 1e-3
[phases]
object_head_epochs = 1
epochs = 1
"""


def make_workspace(
    world: TinyWorld, folder: Path, task: str = "single-label", metric: str = "top1"
) -> dict[str, str]:
    """Writes manifest, labels and recipe, and gives the options of `orn train`; the videos are
    there but are never opened."""
    rows = ["video,label,split"]
    for segment in world.dataset.segments:
        path = folder / "data" / "tiny" / f"{segment.video_id}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0")
        label = world.dataset.classes[segment.labels[0]]
        rows.append(f"{segment.video_id},{label},{segment.split}")
    manifest = write_table(
        folder, "tiny", rows, classes=("right", "down"), task=task, metric=metric,
        pattern="{id}.mp4",
    )  # fmt: skip
    (folder / "recipe.toml").write_text(RECIPE)
    return {
        "manifest": str(manifest),
        "--data": str(folder / "data"),
        "--recipe": str(folder / "recipe.toml"),
        "--run": str(folder / "run"),
        "--shards": str(world.shards_path),
        "--clips": str(world.store_path),
        "--workers": "0",
        "--device": "cpu",
    }


def words_of(options: dict[str, str]) -> list[str]:
    """A workspace's manifest and options, as a command takes them."""
    pairs = [pair for pair in options.items() if pair[0] != "manifest"]
    return [options["manifest"], *(word for pair in pairs for word in pair)]


def write_films(world: TinyWorld, options: dict[str, str]) -> dict[str, Path]:
    """The videos of a workspace, by id."""
    paths = {}
    for film in world.films.values():
        path = Path(options["--data"]) / "tiny" / f"{film.id}.mp4"
        pictures = (film.image(frame) for frame in range(len(film.boxes_FN4)))
        paths[film.id] = write_pictures(path, pictures)
    return paths
