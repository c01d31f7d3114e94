"""`orn demo`: the whole line on the demo world, and a summary of what came out.

draw the world -> detect every frame -> score the detector -> store clips -> train -> evaluate
-> report
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orn.demo.detector.average_precision import score_shards
from orn.demo.world.dials import WORLDS
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.commands import STEPS_NAME, Job, job_seconds, run_jobs
from orn.shared.report import Report
from orn.shared.text import counted
from orn.stage2_train.line.line import Line, line_jobs

SETTINGS = {"short": ("phases.epochs=1",), "standard": (), "full": ("phases.epochs=40",)}
"""What is set beside the recipe `demo`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlaces:
    """Where one demo keeps its files; demos of other sizes or seeds never share any."""

    data: Path
    shards: Path
    clips: Path
    run: Path

    @property
    def summary(self) -> Path:
        """The results in one JSON file."""
        return self.run / "summary.json"

    @property
    def report(self) -> Path:
        """The page that shows the run."""
        return self.run / "report.html"


def demo_places(size: str, seed: int) -> DemoPlaces:
    """The usual folders for the standard demo with seed 0, folders of their own for any other."""
    tag = "-".join(([size] if size != "standard" else []) + ([f"seed-{seed}"] if seed else []))
    return DemoPlaces(
        data=Path("data", tag),
        shards=Path("shards", tag, "demo"),
        clips=Path("clips", tag, "demo"),
        run=Path("runs", f"demo-{tag}" if tag else "demo"),
    )


def demo_jobs(places: DemoPlaces, *, size: str, seed: int) -> list[Job]:
    """Return the steps of the demo in order: its world, and the line from videos to a report."""
    line = Line(
        manifest="demo",
        data_root=places.data,
        shards=places.shards,
        clips=places.clips,
        run=places.run,
        recipe="demo",
        overrides=SETTINGS[size],
        seed=seed,
    )
    drawing = ("--data", str(places.data), "--size", size, "--seed", str(seed))
    world = Job(
        name="world",
        argv=("demo", "world", "all", *drawing),
        output=places.data / WORLDS[-1] / "world.json",
    )
    return [world, *line_jobs(line, may_grow=False)]


def run_demo(*, size: str, seed: int) -> dict[str, Any]:
    """Carry out what is not done of the demo; write and return its summary."""
    places = demo_places(size, seed)
    ran = run_jobs(demo_jobs(places, size=size, seed=seed), record=places.run / STEPS_NAME)
    if not ran and places.summary.exists():
        return dict(json.loads(places.summary.read_text()))
    summary = summarise(places)
    write_text(places.summary, json.dumps(summary, indent=2) + "\n")
    return summary


def summarise(places: DemoPlaces) -> dict[str, Any]:
    """Return the figures of a finished demo."""
    seconds = job_seconds(places.run / STEPS_NAME)
    detect = json.loads((places.shards / "detect.json").read_text())
    scores = score_shards(places.shards, places.data / "demo" / "ground_truth" / "validation.json")
    evaluation = json.loads((places.run / "eval-validation.json").read_text())
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


def as_report(summary: dict[str, Any], places: DemoPlaces) -> Report:
    """Return the summary for people."""
    evaluation, detect = summary["eval"], summary["detect"]
    heads = [
        (name.replace("_", " "), evaluation[name]["top1"])
        for name in ("two_heads", "activity_head", "object_head")
    ]
    seconds = summary["seconds"]
    parts = ", ".join(f"{name} {value:.0f}" for name, value in seconds.items() if name != "total")
    shard = places.shards / "shard-000000.zarr.zip"
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
            ("Summary", str(places.summary)),
            ("Report", str(places.report)),
            ("Look on", f"orn inspect {shard}"),
            ("", f"tensorboard --logdir {places.run}"),
        ],
        notes=[_meaning(dict(heads))],
    )


def _meaning(heads: dict[str, float]) -> str:
    """Return in a sentence what these figures show and do not."""
    best = max(heads, key=lambda name: heads[name])
    above = "" if best == "two heads" else f"; here the {best} alone is above two heads"
    return (
        "One training with one seed on drawn films shows that every step works, not which head is "
        f"better{above} (docs/results.md has comparisons over seeds)."
    )
