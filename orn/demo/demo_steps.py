"""The steps of `orn demo`.

draw the world -> detect every frame -> store clips -> train -> evaluate -> report
"""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from orn.demo.world import TABLE_NAME, WORLD, WorldConfig, draw_world
from orn.inspection.inspect_shard import InspectConfig, inspect_shard
from orn.prediction.predict_config import PredictConfig
from orn.prediction.predict_job import predict
from orn.shared.jobs.outputs import default_folder
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.jobs.run_steps import Step, run_steps
from orn.shared.text import counted
from orn.shared.text_summary import Summary
from orn.stage1_detect.detect_config import DetectConfig
from orn.stage2_train.clip_store.clips_config import ClipsConfig
from orn.stage2_train.settings.resources import WITH_WORKERS
from orn.stage2_train.training.train_config import TrainConfig
from orn.steps.open_pipeline import Pipeline
from orn.steps.pipeline import pipeline_steps

PAGE_NAME, FILM_NAME = "objects/index.html", "film.mp4"
_HEADS = {
    "two_heads": "the lamp and the dish",
    "activity_head": "reads small frames: the lamp, hardly the dish",
    "object_head": "reads masks and classes: the dish, not the lamp",
}
"""What each head can tell."""
_SHARD, _VIDEO = "shard-000002.zarr.zip", "validation-000000"
"""Shard of most validation films, and the one of them that is drawn."""


def demo_pipeline(seed: int) -> Pipeline:
    """Return the pipeline of a demo; demos with different seeds never share a file.

    Seed 0 uses the default folders.
    """
    tag = f"seed-{seed}" if seed else ""
    root = Path("data", tag)
    shards, store = (default_folder(kind, tag, "demo") for kind in ("shards", "clips"))
    return Pipeline(
        objects=DetectConfig(
            dataset="demo",
            data_root=root,
            out=shards,
            batch_size=8,  # small frames are faster in batches
        ),
        clips=ClipsConfig(manifest="demo", data_root=root, out=store),
        train=TrainConfig(
            manifest="demo",
            recipe="demo",
            run=Path("runs", f"demo-{tag}" if tag else "demo"),
            seed=seed,
            resources=replace(WITH_WORKERS, data_root=root, shards=shards, clips=store),
        ),
    )


def demo_steps(seed: int) -> list[Step]:
    """Return the steps of the demo in order: draw its world, then the pipeline to the report."""
    pipeline = demo_pipeline(seed)
    root, run, shards = pipeline.data_root, pipeline.run, pipeline.shards
    world = WorldConfig(data_root=root, seed=seed)
    shown = InspectConfig(shard=shards / _SHARD, data_root=root, html=(run / PAGE_NAME).parent)
    video = root / "demo" / "videos" / f"{_VIDEO}.mp4"
    drawn = PredictConfig(run=run, videos=(video,), shards=shards, overlay=run / FILM_NAME)
    steps = [
        Step(name="world", function=draw_world, config=world),
        *pipeline_steps(pipeline),
        Step(name="page", function=inspect_shard, config=shown),
        Step(name="film", function=predict, config=drawn),
    ]
    table = root / WORLD / TABLE_NAME
    outputs = {"world": table, "check": table, "detect": shards / "job.json"}
    outputs |= {"page": run / PAGE_NAME, "film": run / FILM_NAME}  # nothing is added to a demo
    return [
        replace(step, stale=partial(_missing, outputs[step.name])) if step.name in outputs else step
        for step in steps
    ]


def _missing(output: Path) -> str | None:
    return None if output.exists() else ""


def run_demo(seed: int, reporter: Reporter = SILENT) -> dict[str, Any]:
    """Run the missing steps of the demo; return its results."""
    pipeline = demo_pipeline(seed)
    pipeline.begin()
    seconds = run_steps(demo_steps(seed), reporter)
    detect = json.loads((pipeline.shards / "job.json").read_text())
    evaluation = json.loads((pipeline.run / "eval-validation.json").read_text())
    return {
        "detect": {
            "frames": detect["total_frames"],
            "detections": detect["total_detections"],
            "frames_per_second": detect["frames_per_second"],
        },
        "eval": {
            "split": "validation",
            "num_segments": evaluation["num_segments"],
            **{head: evaluation[head] for head in _HEADS},
            "chance": evaluation["chance"],
        },
        "seconds": seconds | {"total": round(sum(seconds.values()), 1)},
    }


def as_summary(summary: dict[str, Any], pipeline: Pipeline) -> Summary:
    """Return the results of a demo in printable form."""
    evaluation, detect = summary["eval"], summary["detect"]
    seconds, chance = summary["seconds"], evaluation["chance"]
    parts = ", ".join(f"{name} {value:.0f}" for name, value in seconds.items() if name != "total")
    films = counted(evaluation["num_segments"], "validation film")
    frames, objects = counted(detect["frames"], "frame"), counted(detect["detections"], "object")
    return Summary(
        title="Which dish is taken away, and what does the lamp do?",
        facts=[
            ("Detect", f"{frames}, {objects}, {detect['frames_per_second']:.0f} frames/s"),
            ("Activity", f"top-1 on {films}, chance {chance:.1%}"),
            *(
                (f"  {head.replace('_', ' ')}", f"{evaluation[head]['top1']:.1%} ({what})")
                for head, what in _HEADS.items()
            ),
            ("Time", f"{seconds['total']:.0f} s ({parts})"),
            ("Open", str(pipeline.run / "report.html")),
            ("", str(pipeline.run / PAGE_NAME)),
            ("", str(pipeline.run / FILM_NAME)),
        ],
    )
