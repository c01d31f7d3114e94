"""Readers of what training writes and of weights: stores, checkpoints, models, measurements."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic_core import to_jsonable_python
from torch import nn

from orn.shared.config.files import to_toml
from orn.shared.errors import CheckpointError
from orn.shared.tensors import read_tensors, write_tensors
from orn.stage2_train.ablation.figures import RunResult
from orn.stage2_train.ablation.report import joined_report
from orn.stage2_train.evaluation.predictions import (
    Predictions,
    load_predictions,
    save_predictions,
)
from orn.stage2_train.model.image_weights import read_weights
from orn.stage2_train.recipe import OptimiserRecipe, load_recipe
from orn.stage2_train.runs.checkpoint import (
    BEST_NAME,
    Checkpoint,
    TrainingState,
    load_best,
    load_last,
    load_optimiser,
    load_weights,
    save_best,
    save_last,
)
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.run_config import DataPaths, Places, read_config
from orn.stage2_train.runs.run_folder import CONFIG_NAME, LAST_NAME, read_jsonl
from orn.stage2_train.training.step import build_optimiser
from tests.conformance.damage import JSON, TOML, Cases, Damage, Document, json_text
from tests.conformance.reader import NUMBERED, TEXT, Reader, any_number, any_text, ignored, optional
from tests.conformance.shared_readers import FILMS, ODD_ARRAYS
from tests.worlds.films import (
    TINY_EVAL,
    TINY_RECIPE,
    clip_record,
    put_clip_record,
    store_content,
    write_store,
    write_tiny_model,
)


def _odd_npz(path: Path) -> Cases:
    with np.load(path) as file:
        good = dict(file)
    for key in ("ids", "labels", "activity_logits"):
        for name, array in ODD_ARRAYS.items():
            np.savez(path, **{**good, key: array})
            yield f"{key} {name}", path


def _make_store(folder: Path) -> Path:
    write_store(folder, FILMS)
    return folder / "clips-000000.h5"


def _read_store(path: Path) -> Any:
    """All that a training reads of a store."""
    return store_content(path.parent)


def _put_record(path: Path, tree: Any) -> None:
    put_clip_record(path, json_text(tree))


RECORD = Document(get=clip_record, put=_put_record)


def _plain_layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(30, 20)


def _layer() -> tuple[nn.Linear, torch.optim.Optimizer]:
    """Takes a second, as optimizers import much."""
    layer = _plain_layer()
    return layer, build_optimiser(layer.parameters(), OptimiserRecipe())


def _make_checkpoint(folder: Path) -> Path:
    layer, optimiser = _layer()
    layer(torch.ones(1, 30)).sum().backward()
    optimiser.step()
    state = TrainingState(step=1, sums={"loss": 0.25}, num_summed=1)
    remembered = optimiser.state_dict()["state"]
    checkpoint = Checkpoint(model=layer.state_dict(), optimiser=remembered, state=state)
    save_last(folder, checkpoint, config="sha256:0")
    return folder / LAST_NAME


def _read_checkpoint(path: Path) -> Any:
    """Goes on with a training: weights, optimiser, one more step."""
    layer, optimiser = _layer()
    checkpoint = load_last(path.parent, repair=False)
    if checkpoint is None:
        raise CheckpointError(f"{path}: there is none")
    load_weights(layer, checkpoint.model, path=path)
    load_optimiser(optimiser, checkpoint.optimiser, path=path)
    layer(torch.ones(1, 30)).sum().backward()
    optimiser.step()
    return asdict(checkpoint.state), [each.tolist() for each in layer.parameters()]


def _get_position(path: Path) -> Any:
    return json.loads(read_tensors(path, what="it", remedy="none")[1]["state"])


def _put_position(path: Path, state: Any) -> None:
    tensors, _ = read_tensors(path, what="it", remedy="none")
    write_tensors(path, tensors, {"state": json.dumps(state)})


POSITION = Document(get=_get_position, put=_put_position)


def _make_best(folder: Path) -> Path:
    save_best(folder, _plain_layer().state_dict(), phase=1, step=7, config="sha256:0")
    return folder / BEST_NAME


def _read_best(path: Path) -> Any:
    best = load_best(path.parent)
    if best is None:
        raise CheckpointError(f"{path}: there is none")
    return best.phase, best.step, {name: each.tolist() for name, each in best.model.items()}


def _make_weights(folder: Path) -> Path:
    torch.save(_plain_layer().state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


def _make_old_weights(folder: Path) -> Path:
    path = folder / "weights.pth"
    torch.save(_plain_layer().state_dict(), path, _use_new_zipfile_serialization=False)
    return path


def _read_weights(path: Path) -> Any:
    return {name: tensor.tolist() for name, tensor in read_weights(path).items()}


def _read_detector(path: Path) -> Any:
    from orn.stage1_detect.mmdet.model import load_weights as load_detector_weights

    layer: Any = nn.Linear(30, 20)
    load_detector_weights(layer, path, config_name="layer")
    return [each.tolist() for each in layer.parameters()]


def _make_run(folder: Path) -> Path:
    paths = DataPaths(manifest="demo", data_root=Path("/data"), shards=Path("/shards"))
    write_tiny_model(folder, places=Places.of(paths, folder))
    return folder / CONFIG_NAME


def _read_run(path: Path) -> Any:
    config = read_config(path.parent)
    return config, config.paths(path.parent)


def _make_recipe(folder: Path) -> Path:
    text = to_toml(TINY_RECIPE)
    (folder / "mine.toml").write_text(
        re.sub(r"(?m)^num_(activities|detector_classes).*\n", "", text)
    )
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


def _writes(name: str, text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return make


def _make_results(folder: Path) -> Path:
    result = RunResult(
        dataset="tiny", split="test", runs=("runs/a",), commit="0", threads="1", system="orn",
        seed=0, metric="top1", heads={"two_heads": {"top1": 0.5}}, whole={"steps": 3.0},
    )  # fmt: skip
    path = folder / "table-2-test.json"
    path.write_text(json.dumps({"results": to_jsonable_python([result])}))
    return path


def _read_results(path: Path) -> Any:
    return joined_report("films", {"1": path})["results"]


LOG = "".join(json.dumps({"group": "train", "step": step}) + "\n" for step in range(3))

TRAINING: tuple[Reader, ...] = (
    Reader(
        name="recipe",
        make=_make_recipe,
        read=lambda path: load_recipe(str(path), num_activities=2),
        documents=(TOML,),
        accepts=(
            *TEXT,
            "*empty*",
            "other: many lines",
            "value 2??40: seed",
            *NUMBERED,
            *optional("*"),
        ),
    ),
    Reader(
        name="clip store",
        make=_make_store,
        read=_read_store,
        documents=(RECORD,),
        most_edits=6,
        accepts=(
            *any_text("videos.*.id", "videos.*.source_digest"),
            *any_number("settings.rate", "videos.*.rate", "videos.*.source.*", "videos.*.times.*"),
            "value unknown: *times*",
            *optional("format*", "settings.*", "videos.*.rate", "videos.*.times.*"),
        ),
    ),
    Reader(
        name="checkpoint",
        make=_make_checkpoint,
        read=_read_checkpoint,
        documents=(POSITION,),
        accepts=(
            *ignored("best_metric", "sums.*"),
            *("value null: best_step", "value 2??40: *", "value unknown: sums", *NUMBERED),
            *optional("*"),
        ),
    ),
    Reader(name="best weights of a run", make=_make_best, read=_read_best),
    Reader(name="weights of torchvision", make=_make_weights, read=_read_weights),
    Reader(
        name="weights of torch before 1.6",
        make=_make_old_weights,
        read=_read_weights,
        accepts=("flipped: *", "longer: *", "twice: *"),
    ),
    Reader(name="detector", make=_make_weights, read=_read_detector, slow=True),
    Reader(
        name="configuration of a run",
        make=_make_run,
        read=_read_run,
        documents=(JSON,),
        most_edits=4,
        accepts=(
            *TEXT,
            *any_text("dataset.*", "detector*", "recipe_name", "system", "manifest", "places.*"),
            *any_text("weights_digest", "started_from*"),
            *any_number(
                "dataset.num_train", "clips.*", "normalisation.*", "recipe.optimiser.gradient_clip"
            ),
            "value 2??40: recipe.seed",
            *optional("recipe.*", "clips.*", "detector*", "format_version", "system", "score_kind"),
            *(
                "value null: normalisation",
                "value null: places",
                *optional("weights_digest", "started_from*", "places*", "normalisation"),
            ),
            *NUMBERED,
        ),
    ),
    Reader(
        name="predictions",
        make=_make_predictions,
        read=_read_predictions,
        own=(Damage(name="arrays", apply=_odd_npz),),
    ),
    Reader(
        name="evaluation",
        make=_writes("eval-test.json", json.dumps(TINY_EVAL)),
        read=read_eval,
        documents=(JSON,),
        accepts=(
            *(*TEXT, "value unknown: *", *NUMBERED, "value table: figures"),
            *any_text("dataset", "split", "checkpoint", "frame_order", "metric", "*.class"),
            *any_number("two_heads*", "per_class.*", "figures.*"),
            *(f"value 2??[46][03]: {name}" for name in ("step", "*num_*", "*draws", "c*s")),
            *("value text: two_heads.top1",),
            *optional("*two_heads*", "crops", "flip", "num_unsure", "trained_on", "figures*"),
            *optional("per_class.0.intervals"),
        ),
    ),
    Reader(name="log", make=_writes("metrics.jsonl", LOG), read=read_jsonl, accepts=("*",)),
    Reader(
        name="results of an ablation",
        make=_make_results,
        read=_read_results,
        documents=(JSON,),
        most_edits=6,
        accepts=(
            *(*TEXT, *NUMBERED, "value unknown: results", "value unknown: results.0.*s*"),
            *any_text("results.0.*"),
            *any_number("results.0.heads.*", "results.0.whole.*"),
            *(f"value 2**{power}: results.0.seed" for power in (40, 63)),
            *optional("results.0.setting", "results.0.value", "results.0.whole*"),
            *optional("results.0.heads.two_heads"),
        ),
    ),
)
