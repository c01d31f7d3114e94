"""Every reader of files from others: how to make a good file, and what users get of it."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from orn.data_manifests.load import load_dataset
from orn.inspection.page.write import write_page
from orn.inspection.shard_videos import NoPictures
from orn.inspection.summary import summarize
from orn.inspection.verify import verify_shard
from orn.shared.config.toml_files import to_toml
from orn.shared.errors import CheckpointError
from orn.shared.jobs.pack_videos import plan_units
from orn.shared.jobs.plan import Plan
from orn.shared.shards.detection_folder import DetectionFolder
from orn.shared.shards.shard import Shard
from orn.shared.video.read import known_seconds, read_frames
from orn.stage1_detect.imports.authors_vlog import read_authors
from orn.stage1_detect.imports.epic100_objects import read_epic100
from orn.stage1_detect.imports.import_config import FormatName
from orn.stage1_detect.imports.source_videos import RECORDS
from orn.stage2_train.model.image_backbone import read_backbone_weights
from orn.stage2_train.runs.checkpoint import (
    BEST_NAME,
    Checkpoint,
    load_best,
    load_last,
    load_optimizer,
    load_weights,
    save_best,
    save_last,
)
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.run_config import RecordedPaths, read_config
from orn.stage2_train.runs.run_folder import CONFIG_NAME, LAST_NAME, read_jsonl
from orn.stage2_train.runs.saved_predictions import load_predictions, save_predictions
from orn.stage2_train.runs.training_state import TrainingState
from orn.stage2_train.settings.recipe import OptimizerRecipe, load_recipe
from orn.stage2_train.settings.resources import DataPaths
from orn.stage2_train.training.step import build_optimizer
from tests.conformance.datasets import DATASETS, write_dataset
from tests.stage1_detect.imports.conftest import (
    BLOCK,
    block_mask,
    boxes_of_records,
    write_authors,
    write_epic,
)
from tests.worlds.clip_stores import store_content
from tests.worlds.evaluations import predictions_of, write_evaluation
from tests.worlds.films import (
    TINY_RECIPE,
    make_film,
    write_films_shard,
    write_store,
    write_tiny_model,
)
from tests.worlds.videos import write_folder, write_numbered

TEXT = ("cut", "flipped")
"""Damage that a file without a checksum may hide."""
ANY = (*TEXT, "foreign", "missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One reader of files."""

    name: str
    make: Callable[[Path], Path]
    """Writes a small good file, and what it needs beside it, into an empty folder."""
    read: Callable[[Path], Any]
    """What users get of the file, without the places of files."""
    accepts: tuple[str, ...] = ()
    """Damage after which any value may come."""


def _writes(name: str, text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return make


def _dataset_reader(kind: str, name: str) -> Reader:
    def read(path: Path) -> Any:
        root = path.parents[name.count("/")]
        dataset = load_dataset(root / "m.toml", root)
        return dataset.name, dataset.classes, dataset.segments

    make = lambda folder: write_dataset(folder, kind) / name  # noqa: E731
    return Reader(name=f"{kind}: {name}", make=make, read=read, accepts=(*TEXT, "foreign", "empty"))


FILMS = [make_film("film/0", label=0, num_frames=4, rng=np.random.default_rng(0))]


def _make_shard(folder: Path) -> Path:
    write_films_shard(folder / "shard-000000.zarr.zip", FILMS)
    return folder / "shard-000000.zarr.zip"


def _read_shard(path: Path) -> Any:
    shard = Shard(path)
    problems = [problem.message for problem in verify_shard(path)]
    frames = [shard.frame(row) for row in range(shard.num_frames)]
    write_page(shard, NoPictures("none"), path.with_name("page"))
    classes = summarize(shard)["classes"]
    seconds = DetectionFolder(path.parent).video("film/0").seconds.tolist()
    return [(frame.boxes.tolist(), frame.masks) for frame in frames], seconds, classes, problems


def _make_plan(folder: Path) -> Path:
    Plan(dataset="demo", frames="all", units=plan_units([("a", 2100), ("b", None)])).save(folder)
    return folder / "plan.json"


SHARE = ((0.1, 0.2, 0.5, 0.75), block_mask(10, 20, 50, 75), 0.625, 3)
SOURCES: dict[FormatName, str] = {
    "coco": json.dumps(
        {
            "images": [{"id": 1, "file_name": "a/0001.jpg", "height": 6, "width": 8}],
            "annotations": [
                {"image_id": 1, "category_id": 2, "segmentation": [[1, 2, 4, 2, 4, 4]]}
            ],
            "categories": [{"id": 2, "name": "cup"}],
        }
    ),
    "something-else": '{"2": [{"name": "2/0001.jpg", "labels": [{"category": "hand", '
    '"box2d": {"x1": 1, "y1": 2, "x2": 3, "y2": 4}}]}]}',
    "csv": "video,frame,x1,y1,x2,y2,class,score\na,0,1,2,3,4,cup,0.5\n",
}


SINKS = {
    "csv": "x_min,y_min,x_max,y_max,class_id,confidence,tracker_id,class_name,frame_index\r\n"
    "1.0,1.5,4.0,3.0,1,0.5,7,cup,3\r\n",
    "json": '[{"x_min": 1.0, "y_min": 1.5, "x_max": 4.0, "y_max": 3.0, "class_id": 1, '
    '"confidence": 0.5, "tracker_id": "", "class_name": "cup", "frame_index": 3}]',
}


def _make_mask(folder: Path) -> Path:
    path = folder / "0012.png"
    Image.fromarray(np.kron(np.eye(4, dtype=np.uint8), np.full((2, 2), 3, np.uint8))).save(path)
    return path


def _make_labels(folder: Path) -> Path:
    (folder / "names").write_text("mouse\npipette\n")
    path = folder / "a_12.txt"
    path.write_text("1 0.25 0.5 0.25 0.5 0.75 3\n0 0.5 0.5 1 1 0.5 4\n")
    return path


def _read_labels(path: Path) -> Any:
    return boxes_of_records("ultralytics", path.parent, path.parent / "names")


def _masks(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    return lambda path: [(frame.position, frame.detections.masks) for frame in read(path)]


def _read_video(path: Path) -> Any:
    known_seconds(path, rate=10.0)
    return len(list(read_frames(path)))


def _plain_layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(30, 20)


def _layer() -> tuple[nn.Linear, torch.optim.Optimizer]:
    layer = _plain_layer()
    return layer, build_optimizer(layer.parameters(), OptimizerRecipe())


def _make_checkpoint(folder: Path) -> Path:
    layer, optimizer = _layer()
    layer(torch.ones(1, 30)).sum().backward()
    optimizer.step()
    state = TrainingState(step=1, sums={"loss": 0.25}, num_summed=1)
    remembered = optimizer.state_dict()["state"]
    checkpoint = Checkpoint(model=layer.state_dict(), optimizer=remembered, state=state)
    save_last(folder, checkpoint, config="sha256:0")
    return folder / LAST_NAME


def _read_checkpoint(path: Path) -> Any:
    layer, optimizer = _layer()
    checkpoint = load_last(path.parent, repair=False)
    if checkpoint is None:
        raise CheckpointError(f"{path}: there is none")
    load_weights(layer, checkpoint.model, path=path)
    load_optimizer(optimizer, checkpoint.optimizer)
    return asdict(checkpoint.state), [parameter.tolist() for parameter in layer.parameters()]


def _make_best(folder: Path) -> Path:
    save_best(folder, _plain_layer().state_dict(), phase=1, step=7, config="sha256:0")
    return folder / BEST_NAME


def _read_best(path: Path) -> Any:
    best = load_best(path.parent)
    if best is None:
        raise CheckpointError(f"{path}: there is none")
    return best.phase, best.step, {name: tensor.tolist() for name, tensor in best.model.items()}


def _make_weights(folder: Path) -> Path:
    torch.save(_plain_layer().state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


def _make_store(folder: Path) -> Path:
    write_store(folder, FILMS)
    return folder / "clips-000000.h5"


def _make_run(folder: Path) -> Path:
    paths = DataPaths(
        manifest="demo", data_root=Path("/data"), shards=Path("/shards"), clips=Path("/clips")
    )
    write_tiny_model(folder, recorded_paths=RecordedPaths.of(paths, folder))
    return folder / CONFIG_NAME


RECIPE = re.sub(r"(?m)^num_(activities|detector_classes|frames).*\n", "", to_toml(TINY_RECIPE))


def _make_predictions(folder: Path) -> Path:
    kept = predictions_of("ab", [0, 1], activity_logits=[[1, 3, 0], [0, 2, 0]])
    save_predictions(folder / "predictions-test.npz", kept)
    return folder / "predictions-test.npz"


def _read_predictions(path: Path) -> Any:
    predictions = load_predictions(path)
    return predictions.ids, predictions.labels.tolist(), predictions.logits.tolist()


READERS = (
    *(_dataset_reader(kind, name) for kind, files in DATASETS.items() for name in files),
    Reader(name="shard", make=_make_shard, read=_read_shard),
    Reader(
        name="plan",
        make=_make_plan,
        read=lambda path: Plan.load(path.parent),
        accepts=(*TEXT, "absent"),
    ),
    Reader(
        name="masks of VLOG's authors",
        make=lambda folder: write_authors(folder / "clip.pkl", [[BLOCK], [], [BLOCK, BLOCK]]),
        read=_masks(read_authors),
        accepts=("flipped",),
    ),
    Reader(
        name="masks of EPIC-KITCHENS-100",
        make=lambda folder: write_epic(folder / "P01_01.pkl", [(1, [SHARE]), (4, [SHARE])]),
        read=_masks(read_epic100),
        accepts=("flipped", "far memo"),
    ),
    *(
        Reader(
            name=f"objects of {form}",
            make=_writes(f"source{RECORDS[form].suffix}", text),
            read=partial(boxes_of_records, form),
            accepts=TEXT,
        )
        for form, text in SOURCES.items()
    ),
    *(
        Reader(
            name=f"objects of supervision in {suffix}",
            make=_writes(f"source.{suffix}", text),
            read=partial(boxes_of_records, "supervision"),
            accepts=TEXT,
        )
        for suffix, text in SINKS.items()
    ),
    Reader(
        name="objects of ultralytics",
        make=_make_labels,
        read=_read_labels,
        accepts=(*TEXT, "empty"),  # a frame without objects
    ),
    Reader(
        name="masks",
        make=_make_mask,
        read=lambda path: boxes_of_records("masks", path.parent),
        accepts=("0/4",),
    ),
    Reader(
        name="video",
        make=lambda folder: write_numbered(folder / "a.mp4", 6, options={"g": "5"}),
        read=_read_video,
        accepts=TEXT,
    ),
    Reader(
        name="JPEG in a folder",
        make=lambda folder: write_folder(folder, [("1.jpg", 1), ("2.jpg", 2)]) / "2.jpg",
        read=lambda path: len(list(read_frames(path.parent, rate=10.0))),
        accepts=ANY,
    ),
    Reader(
        name="recipe",
        make=_writes("mine.toml", RECIPE),
        read=lambda path: load_recipe(str(path), num_activities=2),
        accepts=(*TEXT, "empty"),
    ),
    Reader(name="clip store", make=_make_store, read=lambda path: store_content(path.parent)),
    Reader(name="checkpoint", make=_make_checkpoint, read=_read_checkpoint),
    Reader(name="best weights of a run", make=_make_best, read=_read_best),
    Reader(
        name="weights of torchvision",
        make=_make_weights,
        read=lambda path: {
            name: tensor.tolist() for name, tensor in read_backbone_weights(path).items()
        },
    ),
    Reader(name="run", make=_make_run, read=lambda path: read_config(path.parent), accepts=TEXT),
    Reader(name="predictions", make=_make_predictions, read=_read_predictions),
    Reader(name="evaluation", make=write_evaluation, read=read_eval),
    Reader(
        name="log",
        make=_writes("metrics.jsonl", '{"group": "train", "step": 1}\n' * 3),
        read=read_jsonl,
        accepts=ANY,
    ),
)
