"""Every reader of files from others: how a small good file is made, and how it is read."""

import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from orn.shared.config.files import to_toml
from orn.shared.inspect.summary import summarise, summary_to_dict
from orn.shared.manifests.load import load_dataset
from orn.shared.shards.plan import Plan, plan_units
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.shard import Shard
from orn.shared.shards.verify import verify_shard
from orn.shared.video.read import estimate, frame_seconds, read_frames
from orn.stage1_detect.imports.authors_vlog import read_authors
from orn.stage1_detect.imports.epic100 import read_epic100
from orn.stage2_train.ablation.results import RunResult, read_csv, write_csv
from orn.stage2_train.evaluation.eval_file import read_eval
from orn.stage2_train.evaluation.predictions import (
    Predictions,
    load_predictions,
    save_predictions,
)
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.verify import verify_store
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.image_weights import read_weights
from orn.stage2_train.predict.opened import open_model
from orn.stage2_train.recipe import OptimiserRecipe, load_recipe
from orn.stage2_train.runs.checkpoint import (
    Checkpoint,
    TrainingState,
    load_checkpoint,
    load_optimiser,
    load_weights,
    save_checkpoint,
)
from orn.stage2_train.runs.model_folder import (
    ClipRecord,
    ModelConfig,
    normalisation_of,
    write_model_folder,
)
from orn.stage2_train.runs.run_config import (
    DataPaths,
    DatasetRecord,
    RunConfig,
    load_run_config,
)
from orn.stage2_train.runs.run_folder import read_jsonl
from orn.stage2_train.training.step import build_optimiser
from tests.conformance.damage import JSON, TOML, Damage, Document, json_text
from tests.conformance.datasets import DATASETS, write_dataset
from tests.shared.conftest import write_numbered
from tests.shared.video.test_jpeg_folder import write_folder
from tests.stage1_detect.imports.conftest import block_mask, write_authors, write_epic
from tests.stage2_train.conftest import (
    DETECTOR,
    TINY_RECIPE,
    make_film,
    write_shard,
    write_store,
)


def _same(value: Any, other: Any) -> bool:
    return bool(value == other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One reader of files."""

    name: str
    make: Callable[[Path], Path]
    """Writes a small good file, and what it needs beside it, into an empty folder."""
    read: Callable[[Path], Any]
    """What users get of the file, without the places of files."""
    equal: Callable[[Any, Any], bool] = _same
    accepts: tuple[str, ...] = ()
    """Patterns of damage after which any value may come, as "flipped: *": text has no checksum, and
    some values have no bounds."""
    documents: tuple[Document, ...] = ()
    """Values in the file, each of which is replaced."""
    most_edits: int = 12
    """How many places of a document get each kind of value in the quick suite."""
    own: tuple[Damage, ...] = ()
    """What can be wrong with this format alone."""
    skips: tuple[str, ...] = ()
    """Names of damage that this reader does not promise to bear."""
    slow: bool = False
    """Whether importing the reader takes seconds."""


TEXT = ("cut: *", "flipped: *", "longer: *", "twice: *")
"""Damage that text without a checksum may hide."""
_TEXTS = ("no text", "control", "half a character", "text")


NUMBERED = ("value true: *",)
"""True may stand for 1, and for yes or no."""


def any_number(*places: str) -> tuple[str, ...]:
    """Places of a document where any number is taken, as counts that are only shown."""
    kinds = ("null", "negative", "2**63", "1e300")
    return tuple(f"value {kind}: {place}" for place in places for kind in kinds)


def any_text(*places: str) -> tuple[str, ...]:
    """Places of a document where any text is taken, as names are."""
    return tuple(f"value {kind}: {place}" for place in places for kind in _TEXTS)


def ignored(*places: str) -> tuple[str, ...]:
    """Places of a document that are not looked at."""
    return tuple(f"value *: {place}" for place in places)


def optional(*places: str) -> tuple[str, ...]:
    """Places of a document that may be absent."""
    return tuple(f"value missing: {place}" for place in places)


# Manifests and tables --------------------------------------------------------------------------


def _dataset_reader(kind: str, name: str) -> Reader:
    def read(path: Path) -> Any:
        root = path.parents[name.count("/")]
        found = load_dataset(root / "m.toml", root)
        return found.name, found.classes, found.missing, found.segments, len(found.videos)

    documents: tuple[Document, ...] = ()
    if name.endswith((".toml", ".json")):
        documents = (TOML if name.endswith(".toml") else JSON,)
    return Reader(
        name=f"{kind}: {name.rpartition('/')[2]}",
        make=lambda folder: write_dataset(folder, kind) / name,
        read=read,
        documents=documents,
        accepts=(
            *(*TEXT, "empty: ", "other: *"),
            *any_text("name", "title", "labels.*", "*.template", "*.id"),
            *optional("split*", "labels.target", "labels.verbs", "Closing it"),
            *("value unknown: [01].*",),
        ),
    )


# Shards ----------------------------------------------------------------------------------------

FILMS = [
    make_film(f"film/{number}", label=number, num_frames=4, rng=np.random.default_rng(number))
    for number in range(2)
]


def _make_shard(folder: Path) -> Path:
    write_shard(folder / "shard-000000.zarr.zip", FILMS)
    return folder / "shard-000000.zarr.zip"


def _read_shard(path: Path) -> Any:
    """As `orn verify`, `orn inspect` and a training; verification tells of all damage."""
    shard = Shard(path)
    problems = [problem.message for problem in verify_shard(path)]
    frames = [shard.frame(row) for row in range(shard.num_frames)]
    video = DetectionFolder(path.parent).video("film/0")
    return (
        [(each.boxes.tolist(), each.scores.tolist(), each.masks) for each in frames],
        video.seconds.tolist(),
        json.dumps(summary_to_dict(replace(summarise(shard), path=Path("s"))), allow_nan=False),
        problems,
    )


def repacked(path: Path, change: Callable[[dict[str, bytes]], Any]) -> None:
    """Packs a ZIP anew, without a seal and with checksums that match."""
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)


def _member(name: str) -> Document:
    """A JSON document in a ZIP."""

    def get(path: Path) -> Any:
        with zipfile.ZipFile(path) as file:
            return json.loads(file.read(name))

    def put(path: Path, tree: Any) -> None:
        repacked(path, lambda members: members.update({name: json_text(tree).encode()}))

    return Document(get=get, put=put)


def _make_plan(folder: Path) -> Path:
    units = plan_units([("a", 2100), ("b", None)])
    Plan(dataset="demo", frames="all", detector=DETECTOR, units=units).save(folder)
    return folder / "plan.json"


# Masks of others -------------------------------------------------------------------------------

FOUND = ((10, 20, 50, 75), block_mask(10, 20, 50, 75), 0.75, 3)
SHARE = ((0.1, 0.2, 0.5, 0.75), block_mask(10, 20, 50, 75), 0.625, 3)


def _read_track(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    def track(path: Path) -> Any:
        found = read(path)
        frames = [(each.boxes.tolist(), each.scores.tolist(), each.masks) for each in found.frames]
        return found.numbers, found.background, frames

    return track


# Videos ----------------------------------------------------------------------------------------

CODECS = {
    "h264.mp4": ("libx264", {"g": "5"}),
    "part2.avi": ("mpeg4", {"g": "5"}),
    "vp9.webm": ("libvpx-vp9", {"g": "5"}),
    "h264.ts": ("libx264", {"g": "5"}),
}


def _read_video(path: Path) -> Any:
    estimate(path, rate=10.0)
    frame_seconds(path, rate=10.0)
    return len(list(read_frames(path, rate=10.0, start=1, stop=3))), len(list(read_frames(path)))


def _video_reader(name: str) -> Reader:
    codec, options = CODECS[name]
    return Reader(
        name=name,
        make=lambda folder: write_numbered(folder / name, 6, codec=codec, options=options),
        read=_read_video,
        accepts=("cut: *", "flipped: *", "longer: *", "twice: *", "other: *"),
        skips=("sparse",),  # FFmpeg looks through all of a file
    )


# Stage 2 ---------------------------------------------------------------------------------------


def _make_store(folder: Path) -> Path:
    write_store(folder / "clips.h5", FILMS)
    return folder / "clips.h5"


def _read_store(path: Path) -> Any:
    """All that a training reads of a store; `orn verify` tells of the rest."""
    store = ClipStore(path)
    frames = [store.frames(name) for name in store.ids]
    content = [
        (each.source_digest, each.stored_size, each.times, each.seconds.tolist()) for each in frames
    ]
    pictures = [each.read(np.arange(len(each))).tobytes() for each in frames]
    problems = [problem.message for problem in verify_store(path, (), ranges={})]
    return store.settings, store.failed, store.ids, content, pictures, problems


def _layer() -> tuple[nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    return layer, build_optimiser(layer.parameters(), OptimiserRecipe())


def _make_checkpoint(folder: Path) -> Path:
    layer, optimiser = _layer()
    layer(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    state = TrainingState(step=1, sums={"loss": 0.25}, num_summed=1)
    checkpoint = Checkpoint(model=layer.state_dict(), optimiser=optimiser.state_dict(), state=state)
    save_checkpoint(folder / "last.pt", checkpoint)
    return folder / "last.pt"


def _read_checkpoint(path: Path) -> Any:
    """Goes on with a training: weights, optimiser, one more step."""
    layer, optimiser = _layer()
    checkpoint = load_checkpoint(path)
    load_weights(layer, checkpoint, path=path)
    load_optimiser(optimiser, checkpoint, path=path)
    layer(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return asdict(checkpoint.state), [each.tolist() for each in layer.parameters()]


def _put_tensors(path: Path, tree: Any) -> None:
    torch.save(tree, path)


TENSORS = Document(get=lambda path: torch.load(path, weights_only=True), put=_put_tensors)


def _make_weights(folder: Path) -> Path:
    torch.save(_layer()[0].state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


def _make_old_weights(folder: Path) -> Path:
    path = folder / "weights.pth"
    torch.save(_layer()[0].state_dict(), path, _use_new_zipfile_serialization=False)
    return path


def _read_weights(path: Path) -> Any:
    return {name: tensor.tolist() for name, tensor in read_weights(path).items()}


def _read_detector(path: Path) -> Any:
    from orn.stage1_detect.mmdet.model import load_weights as load_detector_weights

    layer: Any = nn.Linear(3, 2)
    load_detector_weights(layer, path, config_name="layer")
    return [each.tolist() for each in layer.parameters()]


DATASET = DatasetRecord(
    name="tiny",
    task="single-label",
    metric="top1",
    classes=("right", "down"),
    num_train=8,
    train_digest="sha256:0",
    detector=DETECTOR.title,
)


def _make_model(folder: Path) -> None:
    torch.manual_seed(0)
    network = build_network(TINY_RECIPE.model)
    config = ModelConfig(
        recipe_name="tiny",
        recipe=TINY_RECIPE,
        heads="both",
        step=3,
        dataset=DATASET,
        manifest="tiny.toml",
        clips=ClipRecord(clip_frames=4, height=48, width=72),
        normalisation=normalisation_of(network),
        detector=DETECTOR,
    )
    write_model_folder(folder, config, network)


def _model_file(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        _make_model(folder)
        return folder / name

    return make


def _read_model(path: Path) -> Any:
    model = open_model(path.parent, device="cpu")
    return model.config, [each.tolist() for each in model.network.state_dict().values()]


def _make_run_config(folder: Path) -> Path:
    paths = DataPaths(
        manifest="tiny", data_root=Path("data"), shards=Path("shards"), clips=Path("c.h5")
    )
    config = RunConfig(recipe_name="tiny", recipe=TINY_RECIPE, dataset=DATASET, paths=paths)
    (folder / "config.toml").write_text(to_toml(config))
    return folder / "config.toml"


def _make_recipe(folder: Path) -> Path:
    text = to_toml(TINY_RECIPE)
    (folder / "mine.toml").write_text(re.sub(r"(?m)^num_activities.*\n", "", text))
    return folder / "mine.toml"


def _make_predictions(folder: Path) -> Path:
    kept = Predictions(
        ids=("a", "b"),
        labels=np.array([0, 1]),
        activity_logits=np.array([[1, 3, 0], [0, 2, 0]], np.float32),
        object_logits=None,
    )
    save_predictions(folder / "predictions-test.npz", kept)
    return folder / "predictions-test.npz"


def _read_predictions(path: Path) -> Any:
    found = load_predictions(path)
    return found.ids, found.labels.tolist(), found.logits.tolist(), list(found.by_head())


EVAL = {
    "dataset": "tiny",
    "split": "test",
    "trained_on": False,
    "checkpoint": "best.pt",
    "step": 3,
    "num_segments": 4,
    "num_skipped": 0,
    "clips": 1,
    "crops": 1,
    "flip": False,
    "frame_order": "kept",
    "metric": "top1",
    "num_unsure": 0,
    "chance": 0.5,
    "two_heads": {"top1": 0.75},
    "per_class": [{"class": "right", "num_segments": 2, "two_heads": 0.5, "intervals": {}}],
    "figures": {"two_heads": {"top1": {"low": 0.5, "high": 1.0}}},
}


def _writes(name: str, text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return make


def _make_results(folder: Path) -> Path:
    result = RunResult(
        dataset="tiny", split="test", run="runs/a", commit="0", threads="1", system="orn", seed=0,
        figures={("two_heads", "top1"): 0.5, ("", "steps"): 3.0},
    )  # fmt: skip
    write_csv([result], folder / "table-2-test.csv")
    return folder / "table-2-test.csv"


LOG = "".join(json.dumps({"group": "train", "step": step}) + "\n" for step in range(3))

READERS: tuple[Reader, ...] = (
    *(_dataset_reader(kind, name) for kind, files in DATASETS.items() for name in files),
    Reader(
        name="recipe",
        make=_make_recipe,
        read=lambda path: load_recipe(str(path), num_activities=2),
        documents=(TOML,),
        accepts=(*TEXT, "*empty*", "other: many lines", *NUMBERED, *optional("*")),
    ),
    Reader(
        name="shard",
        make=_make_shard,
        read=_read_shard,
        documents=tuple(_member(name) for name in ("zarr.json", "boxes/zarr.json")),
        most_edits=6,
        accepts=(
            *ignored("codecs*configuration*", "storage_transformers*", "dimension_names*"),
            *ignored("chunk_key_encoding*"),
            "value unknown: *",
        ),
    ),
    Reader(
        name="plan",
        make=_make_plan,
        read=lambda path: Plan.load(path.parent),
        documents=(JSON,),
        accepts=(
            *(*TEXT, "absent: ", "value table: settings", "value true: format_version"),
            *any_number("unit_frames", "*.stop"),
            *any_text("dataset", "frames", "*.video_id", "detector.*"),
            *optional("unit_frames", "settings", "detector.*", "*.ranges"),
        ),
    ),
    Reader(
        name="masks of VLOG's authors",
        make=lambda folder: write_authors(folder / "clip.pkl", [[FOUND], [], [FOUND, FOUND]]),
        read=_read_track(read_authors),
        accepts=("flipped: *",),
    ),
    Reader(
        name="masks of EPIC-KITCHENS-100",
        make=lambda folder: write_epic(folder / "P01_01.pkl", [(1, [SHARE]), (4, [SHARE])]),
        read=_read_track(read_epic100),
        accepts=("flipped: *", "other: far memo"),
    ),
    *(_video_reader(name) for name in CODECS),
    Reader(
        name="JPEG in a folder",
        make=lambda folder: write_folder(folder, [("1.jpg", 1), ("2.jpg", 2)]) / "2.jpg",
        read=lambda path: len(list(read_frames(path.parent, rate=10.0))),
        accepts=("*",),
    ),
    Reader(name="clip store", make=_make_store, read=_read_store),
    Reader(
        name="checkpoint",
        make=_make_checkpoint,
        read=_read_checkpoint,
        documents=(TENSORS,),
        accepts=(
            *ignored("optimiser.param_groups*", "state.best_metric", "state.sums.*"),
            *optional("optimiser"),
            *("value null: optimiser", *NUMBERED),
            *(f"value unknown: {name}" for name in ("format*", "model", "optimiser*", "state*")),
        ),
    ),
    Reader(name="weights of torchvision", make=_make_weights, read=_read_weights),
    Reader(
        name="weights of torch before 1.6",
        make=_make_old_weights,
        read=_read_weights,
        accepts=("flipped: *", "longer: *", "twice: *"),
    ),
    Reader(name="detector", make=_make_weights, read=_read_detector, slow=True),
    Reader(
        name="model folder: settings",
        make=_model_file("config.json"),
        read=_read_model,
        documents=(JSON,),
        most_edits=6,
        accepts=(
            *TEXT,
            *any_text("dataset.*", "detector*", "recipe_name", "system", "manifest"),
            *any_number("dataset.num_train", "clips.*", "recipe.optimiser.gradient_clip"),
            *optional("recipe.*", "clips.*", "detector*", "format_version", "system"),
            *(*NUMBERED, "value null: detector"),
        ),
    ),
    Reader(name="model folder: weights", make=_model_file("model.safetensors"), read=_read_model),
    Reader(
        name="settings of a run",
        make=_make_run_config,
        read=lambda path: load_run_config(path.parent),
        documents=(TOML,),
        accepts=(
            *(*TEXT, *NUMBERED),
            *any_text("dataset.*", "paths.*", "recipe_name", "system", "weights_digest"),
            *any_number("dataset.num_train"),
            *optional("recipe.*", "system", "weights_digest", "paths.clips"),
        ),
    ),
    Reader(name="predictions", make=_make_predictions, read=_read_predictions),
    Reader(
        name="evaluation",
        make=_writes("eval-test.json", json.dumps(EVAL)),
        read=read_eval,
        documents=(JSON,),
        accepts=(
            *(*TEXT, "value unknown: *", *NUMBERED, "value table: figures"),
            *any_text("dataset", "split", "checkpoint", "frame_order", "metric", "*.class"),
            *any_number("two_heads*", "per_class.*", "figures.*"),
            *(f"value 2**63: {name}" for name in ("step", "num_*", "c*s")),
            *("value text: two_heads.top1",),
            *optional("*two_heads*", "crops", "flip", "num_unsure", "trained_on", "figures*"),
            *optional("per_class.0.intervals"),
        ),
    ),
    Reader(name="log", make=_writes("metrics.jsonl", LOG), read=read_jsonl, accepts=("*",)),
    Reader(name="results of an ablation", make=_make_results, read=read_csv, accepts=TEXT),
)
