"""Pipelines of `orn run` on a tiny world, whose steps are carried out in this process."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from orn.data_manifests.update import write_fold_manifests
from orn.run.plan_run import Pipeline
from orn.shared.jobs.progress import SILENT
from orn.shared.jobs.steps import Step
from orn.stage1_detect.detect import DetectConfig
from orn.stage2_train.clip_store.clips_request import ClipsRequest
from orn.stage2_train.settings.resources import DataAndDevice, TrainRequest
from tests.worlds.films import TinyWorld
from tests.worlds.tables import draw_folds

LAPTOP = {"workers": 0, "device": "cpu"}


def pipeline_of(world: TinyWorld, options: dict[str, str], **more: Any) -> Pipeline:
    """A pipeline with the options of `make_workspace`."""
    manifest, root = options["manifest"], Path(options["--data"])
    data = DataAndDevice(data_root=root, shards=world.shards_path, clips=world.store_path)
    return Pipeline(
        objects=DetectConfig(dataset=manifest, data_root=root, out=world.shards_path),
        clips=ClipsRequest(manifest=manifest, data_root=root, out=world.store_path),
        train=TrainRequest(
            manifest=manifest,
            recipe=options["--recipe"],
            run=Path(options["--run"]),
            resources=data.changed(**LAPTOP),
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
    if not isinstance(step.config, tuple):
        config = step.config
        if hasattr(config, "device"):
            config = replace(config, device="cpu")
        elif hasattr(config, "resources"):
            config = replace(config, resources=config.resources.changed(**LAPTOP))
        step.function(config, SILENT)
        return
    module, name, values = step.config
    values = dict(values)
    holder = values.get("request")
    if "resources" in values:
        values["resources"] = values["resources"].changed(**LAPTOP)
    elif hasattr(holder, "device"):
        values["request"] = holder.changed(device="cpu")
    elif "resources" in getattr(type(holder), "model_fields", ()):
        values["request"] = holder.changed(resources=holder.resources.changed(**LAPTOP))
    step.function((module, name, values), SILENT)
