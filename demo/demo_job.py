"""`orn demo`: the whole pipeline on the demo world, and a summary of its results.

draw the world -> detect every frame -> score the detector -> store clips -> train -> evaluate
-> report
"""

import json
from pathlib import Path
from typing import Any

from orn.all_stages.run_steps import Pipeline, pipeline_jobs
from orn.demo.detector.average_precision import score_shards
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.child_processes import Job, job_seconds, run_jobs
from orn.shared.text import counted
from orn.shared.text_report import Report

SETTINGS = {"short": ("phases.epochs=1",), "standard": (), "full": ("phases.epochs=40",)}
"""Settings of the recipe `demo` to override, by size."""
SUMMARY_NAME = "summary.json"


def demo_pipeline(size: str, seed: int) -> Pipeline:
    """Return the pipeline of a demo; demos with different sizes or seeds never share a file.

    The standard size with seed 0 uses the default folders.
    """
    tag = "-".join(([size] if size != "standard" else []) + ([f"seed-{seed}"] if seed else []))
    return Pipeline(
        manifest="demo",
        data_root=Path("data", tag),
        shards=Path("shards", tag, "demo"),
        clips=Path("clips", tag, "demo"),
        run=Path("runs", f"demo-{tag}" if tag else "demo"),
        recipe="demo",
        batch_size=8,  # small frames are faster in batches
        overrides=SETTINGS[size],
        seed=seed,
    )


def demo_jobs(size: str, seed: int) -> list[Job]:
    """Return the steps of the demo in order: draw its world, then the pipeline to the report."""
    pipeline = demo_pipeline(size, seed)
    drawing = ("--data", str(pipeline.data_root), "--size", size, "--seed", str(seed))
    world = Job(
        name="world",
        argv=("demo", "world", "demo", *drawing),
        output=pipeline.data_root / "demo" / "world.json",
    )
    return [world, *pipeline_jobs(pipeline, may_grow=False)]


def run_demo(size: str, seed: int) -> dict[str, Any]:
    """Run the missing steps of the demo; write and return its summary."""
    pipeline = demo_pipeline(size, seed)
    path = pipeline.run / SUMMARY_NAME
    ran = run_jobs(demo_jobs(size, seed), record=pipeline.record)
    if not ran and path.exists():
        return dict(json.loads(path.read_text()))
    summary = summarize(pipeline)
    write_text(path, json.dumps(summary, indent=2) + "\n")
    return summary


def summarize(pipeline: Pipeline) -> dict[str, Any]:
    """Return the results of a finished demo."""
    assert pipeline.shards is not None
    seconds = job_seconds(pipeline.record)
    detect = json.loads((pipeline.shards / "detect.json").read_text())
    scores = score_shards(
        pipeline.shards, pipeline.data_root / "demo" / "ground_truth" / "validation.json"
    )
    evaluation = json.loads(pipeline.evaluation.read_text())
    return {
        "detector": {"segm_ap50": scores["mask_ap50"], "box_ap50": scores["box_ap50"]},
        "detect": {
            "frames": detect["total_frames"],
            "detections": detect["total_detections"],
            "frames_per_second": detect["frames_per_second"],
        },
        "eval": {
            "split": "validation",
            "num_segments": evaluation["num_segments"],
            **{head: evaluation[head] for head in ("two_heads", "activity_head", "object_head")},
            "chance": evaluation["chance"],
        },
        "seconds": seconds | {"total": round(sum(seconds.values()), 1)},
    }


def as_report(summary: dict[str, Any], pipeline: Pipeline) -> Report:
    """Return the report of a demo."""
    evaluation, detect = summary["eval"], summary["detect"]
    heads = [
        (name.replace("_", " "), evaluation[name]["top1"])
        for name in ("two_heads", "activity_head", "object_head")
    ]
    seconds = summary["seconds"]
    parts = ", ".join(f"{name} {value:.0f}" for name, value in seconds.items() if name != "total")
    assert pipeline.shards is not None
    shard = pipeline.shards / "shard-000000.zarr.zip"
    return Report(
        facts=[
            (
                "Detector",
                f"mask AP50 {summary['detector']['segm_ap50']:.3f} on the validation films",
            ),
            (
                "Detect",
                f"{counted(detect['frames'], 'frame')}, {counted(detect['detections'], 'object')}, "
                f"{detect['frames_per_second']:.0f} frames/s",
            ),
            (
                "Activity",
                f"top-1 on {counted(evaluation['num_segments'], 'validation film')}, "
                f"chance {evaluation['chance']:.1%}",
            ),
            *((f"  {name}", f"{value:.1%}") for name, value in heads),
            ("Time", f"{seconds['total']:.0f} s ({parts})"),
            ("Summary", str(pipeline.run / SUMMARY_NAME)),
            ("Report", str(pipeline.report)),
            ("Inspect", f"orn inspect {shard}"),
            ("", f"tensorboard --logdir {pipeline.run}"),
        ],
        notes=[_meaning(dict(heads))],
    )


def _meaning(heads: dict[str, float]) -> str:
    """Return a sentence that interprets the results."""
    best = max(heads, key=lambda name: heads[name])
    above = "" if best == "two heads" else f"; here the {best} alone is above two heads"
    return (
        "One training run with one seed on synthetic films shows that every step works, not which "
        f"head is better{above} (docs/results.md compares heads over several seeds)."
    )
