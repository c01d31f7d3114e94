"""`orn demo`: the whole pipeline on the demo world, and a summary of its results.

draw the world -> detect every frame -> score the detector -> store clips -> train -> evaluate
-> report
"""

import json
from pathlib import Path
from typing import Any

from orn.demo.detector.average_precision import score_shards
from orn.run.plan_run import Pipeline
from orn.run.run_steps import pipeline_jobs
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.child_processes import Job, job_seconds, run_jobs
from orn.shared.jobs.outputs import default_folder
from orn.shared.text import counted
from orn.shared.text_report import Report

SUMMARY_NAME, PAGE_NAME, FILM_NAME = "summary.json", "objects/index.html", "film.mp4"
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
    return Pipeline(
        manifest="demo",
        data_root=Path("data", tag),
        shards=default_folder("shards", tag, "demo"),
        clips=default_folder("clips", tag, "demo"),
        run=Path("runs", f"demo-{tag}" if tag else "demo"),
        recipe="demo",
        batch_size=8,  # small frames are faster in batches
        seed=seed,
    )


def demo_jobs(seed: int) -> list[Job]:
    """Return the steps of the demo in order: draw its world, then the pipeline to the report."""
    pipeline = demo_pipeline(seed)
    world = Job(
        name="world",
        argv=("demo", "world", "--data", str(pipeline.data_root), "--seed", str(seed)),
        output=pipeline.data_root / "demo" / "world.json",
    )
    pages = (pipeline.run / PAGE_NAME, pipeline.run / FILM_NAME)
    run, shards = str(pipeline.run), str(pipeline.shards)
    data = ("--data", str(pipeline.data_root))
    named = ("--dataset", "demo", *data)
    video = str(pipeline.data_root / "demo" / "videos" / f"{_VIDEO}.mp4")
    page = Job(
        name="page",
        argv=(
            "inspect",
            str(Path(shards, _SHARD)),
            *data,
            "--run",
            run,
            "--html",
            str(pages[0].parent),
        ),
        output=pages[0],
    )
    film = Job(
        name="film",
        argv=("predict", run, video, "--shards", shards, *named, "--overlay", str(pages[1])),
        output=pages[1],
    )
    return [world, *pipeline_jobs(pipeline, may_grow=False), page, film]


def run_demo(seed: int) -> dict[str, Any]:
    """Run the missing steps of the demo; write and return its summary."""
    pipeline = demo_pipeline(seed)
    path = pipeline.run / SUMMARY_NAME
    pipeline.begin()
    ran = run_jobs(demo_jobs(seed), record=pipeline.record)
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
            **{head: evaluation[head] for head in _HEADS},
            "chance": evaluation["chance"],
        },
        "seconds": seconds | {"total": round(sum(seconds.values()), 1)},
    }


def as_report(summary: dict[str, Any], pipeline: Pipeline) -> Report:
    """Return the report of a demo."""
    evaluation, detect = summary["eval"], summary["detect"]
    seconds = summary["seconds"]
    parts = ", ".join(f"{name} {value:.0f}" for name, value in seconds.items() if name != "total")
    return Report(
        title="Which dish is taken away, and what does the lamp do?",
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
            *(
                (f"  {head.replace('_', ' ')}", f"{evaluation[head]['top1']:.1%} ({what})")
                for head, what in _HEADS.items()
            ),
            ("Time", f"{seconds['total']:.0f} s ({parts})"),
            ("Open", str(pipeline.report)),
            ("", str(pipeline.run / PAGE_NAME)),
            ("", str(pipeline.run / FILM_NAME)),
            ("Your videos", "orn run LABELS.csv  # detects, trains, evaluates and reports"),
            ("", "orn predict RUN VIDEO --overlay out.mp4 --html out.html"),
            ("Real videos", "results in docs/results.md"),
        ],
    )
