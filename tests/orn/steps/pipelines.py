"""Pipelines of `orn run` on a tiny world, whose steps are carried out in this process."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from orn.data_manifests.update import write_fold_manifests
from orn.shared.jobs.progress import SILENT
from orn.shared.jobs.run_steps import Step
from orn.stage1_detect.detect_config import DetectConfig
from orn.stage2_train.clip_store.clips_config import ClipsConfig
from orn.stage2_train.settings.resources import DataAndDevice
from orn.stage2_train.training.train_config import TrainConfig
from orn.steps.open_pipeline import Pipeline
from tests.worlds.films import TinyWorld
from tests.worlds.tables import draw_folds

LAPTOP: dict[str, Any] = {"workers": 0, "device": "cpu"}


def pipeline_of(world: TinyWorld, options: dict[str, str], **more: Any) -> Pipeline:
    """A pipeline with the options of `make_workspace`."""
    manifest, root = options["manifest"], Path(options["--data"])
    data = DataAndDevice(data_root=root, shards=world.shards_path, clips=world.store_path)
    return Pipeline(
        objects=DetectConfig(dataset=manifest, data_root=root, out=world.shards_path),
        clips=ClipsConfig(manifest=manifest, data_root=root, out=world.store_path),
        train=TrainConfig(
            manifest=manifest,
            recipe=options["--recipe"],
            run=Path(options["--run"]),
            resources=replace(data, **LAPTOP),
            seed=0,
        ),
        **more,
    )


def begin(pipeline: Pipeline) -> None:
    """Begin the folder of a run, with the manifests of its folds if it has some."""
    pipeline.begin()
    if pipeline.folds:
        table = pipeline.data_root / "tiny" / "labels.csv"
        draw_folds(Path(pipeline.train.manifest), table, pipeline.folds)
        paths = [Path(training.manifest) for training in pipeline.trainings.values()]
        write_fold_manifests(pipeline.train.manifest, paths)


def carry_out(step: Step) -> None:
    """Carry out a step in this process, on one CPU core."""
    config = step.config
    if hasattr(config, "resources"):
        config = replace(config, resources=replace(config.resources, **LAPTOP))
    elif hasattr(config, "device"):
        config = replace(config, device="cpu")
    step.function(config, SILENT)
