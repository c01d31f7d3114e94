"""The commands `orn demo` and `orn demo world`.

draw the world -> detect every frame -> score the detector -> store clips -> train -> evaluate
-> report
"""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from orn.shared.common_options import AsJson, Count, DataRoot, Seed
from orn.shared.echo import echo, echo_report
from orn.shared.environment import usable_cores
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.child_processes import Step, run_steps, step_seconds
from orn.shared.jobs.outputs import default_folder
from orn.shared.options import Option, command
from orn.shared.text import counted
from orn.shared.text_report import Report

if TYPE_CHECKING:
    from orn.run.plan_run import Pipeline

SUMMARY_NAME, PAGE_NAME, FILM_NAME = "summary.json", "objects/index.html", "film.mp4"
_HEADS = {
    "two_heads": "the lamp and the dish",
    "activity_head": "reads small frames: the lamp, hardly the dish",
    "object_head": "reads masks and classes: the dish, not the lamp",
}
"""What each head can tell."""
_SHARD, _VIDEO = "shard-000002.zarr.zip", "validation-000000"
"""Shard of most validation films, and the one of them that is drawn."""


def demo_pipeline(seed: int) -> "Pipeline":
    """Return the pipeline of a demo; demos with different seeds never share a file.

    Seed 0 uses the default folders.
    """
    from orn.run.plan_run import Pipeline

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


def demo_steps(seed: int) -> list[Step]:
    """Return the steps of the demo in order: draw its world, then the pipeline to the report."""
    from orn.run.run_steps import pipeline_steps

    pipeline = demo_pipeline(seed)
    world = Step(
        name="world",
        argv=("demo", "world", "--data", str(pipeline.data_root), "--seed", str(seed)),
        outputs=(pipeline.data_root / "demo" / "world.json",),
    )
    page, film = pipeline.run / PAGE_NAME, pipeline.run / FILM_NAME
    run, shards = str(pipeline.run), str(pipeline.shards)
    data = ("--data", str(pipeline.data_root))
    shard, video = Path(shards, _SHARD), pipeline.data_root / "demo" / "videos" / f"{_VIDEO}.mp4"
    page_argv = ("inspect", str(shard), *data, "--html", str(page.parent))
    film_argv = ("predict", run, str(video), "--shards", shards, "--overlay", str(film))
    drawn = [
        Step(name="page", argv=page_argv, outputs=(page,)),
        Step(name="film", argv=film_argv, outputs=(film,)),
    ]
    return [world, *pipeline_steps(pipeline, may_grow=False), *drawn]


def run_demo(seed: int) -> dict[str, Any]:
    """Run the missing steps of the demo; write and return its summary."""
    pipeline = demo_pipeline(seed)
    path = pipeline.run / SUMMARY_NAME
    pipeline.begin()
    ran = run_steps(demo_steps(seed), record=pipeline.record)
    if not ran and path.exists():
        return dict(json.loads(path.read_text()))
    summary = summarize(pipeline)
    write_text(path, json.dumps(summary, indent=2) + "\n")
    return summary


def summarize(pipeline: "Pipeline") -> dict[str, Any]:
    """Return the results of a finished demo."""
    from orn.demo.detector.average_precision import score_shards

    assert pipeline.shards is not None
    seconds = step_seconds(pipeline.record)
    detect = json.loads((pipeline.shards / "job.json").read_text())
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


def as_report(summary: dict[str, Any], pipeline: "Pipeline") -> Report:
    """Return the report of a demo."""
    evaluation, detect = summary["eval"], summary["detect"]
    seconds, chance = summary["seconds"], evaluation["chance"]
    parts = ", ".join(f"{name} {value:.0f}" for name, value in seconds.items() if name != "total")
    films = counted(evaluation["num_segments"], "validation film")
    frames, objects = counted(detect["frames"], "frame"), counted(detect["detections"], "object")
    average_precision = summary["detector"]["segm_ap50"]
    return Report(
        title="Which dish is taken away, and what does the lamp do?",
        facts=[
            ("Detector", f"mask AP50 {average_precision:.3f} on the validation films"),
            ("Detect", f"{frames}, {objects}, {detect['frames_per_second']:.0f} frames/s"),
            ("Activity", f"top-1 on {films}, chance {chance:.1%}"),
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


def _films(value: Any) -> Any:
    parts = value.split(",") if isinstance(value, str) else value
    if len(parts) != 3:
        raise ValueError(
            f"expected three numbers, TRAIN,VALIDATION,TEST, got {value!r}; pass 1600,320,0, for "
            "example"
        )
    return parts


_Films = Annotated[
    tuple[Count, Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]],
    BeforeValidator(_films),
]


@command("demo")
def demo(*, seed: Seed = 0, as_json: AsJson = False) -> None:
    """Run the whole pipeline once: generate films, detect their objects, train, and evaluate.

    Writes to data/, shards/, clips/ and runs/ in the current folder. Completed steps are skipped.
    """
    summary = run_demo(seed)
    echo_report(summary, partial(as_report, pipeline=demo_pipeline(seed)), as_json=as_json)


@command("world")
def demo_world(
    *,
    data_root: DataRoot = None,
    films: Annotated[
        _Films, Option("Number of films per split.", metavar="TRAIN,VALIDATION,TEST")
    ] = (560, 200, 0),
    seed: Seed = 0,
    workers: Annotated[Count | None, Option("Number of processes.", usual="one per core")] = None,
) -> None:
    """Write the films of the demo world to --data, with their label table and ground truth.

    A complete world is skipped, and an interrupted one resumes.
    """
    from orn.data_manifests.load import data_root_of, load_manifest
    from orn.demo.world.make import PARTS, WORLD, write_world

    data_root = data_root_of(load_manifest("demo"), data_root)
    drawn = write_world(
        data_root,
        films=dict(zip(PARTS, films, strict=True)),
        seed=seed,
        workers=workers or usable_cores(),
    )
    done = f"{counted(drawn, 'film')} drawn" if drawn else "complete"
    echo(f"{data_root / WORLD}: {done}", err=True)
