"""`orn demo-tables`: from nothing to the paper's comparisons on a demo world, as commands.

draw the world and pictures to learn first weights from -> true detections -> store clips ->
first weights -> leak report -> table 2 -> reversed films -> table 5
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_manifests.demo.steps import Step, StepRecord, run_steps

__all__ = ["TableSize", "TablesRequest", "run_tables", "table_steps"]

PICTURES = "demo-classes"
MAIN_SYSTEMS = (
    "activity-head",
    "orn",
    "object-head",
    "coco-visual-object-head",
    "coco-class-object-head",
    "coco-shape-object-head",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """How much is drawn and trained."""

    films: dict[str, str]
    """TRAIN,VALIDATION,TEST of each data set."""
    first_weights_steps: int
    """Of the ResNet that all systems start from."""
    object_head_steps: int
    """Of the object head alone, in systems of two heads."""
    steps: int
    """Of both heads; a system of one head has as many as both phases together."""
    table5: tuple[str, ...]
    """Rows of table 5."""


SIZES = {
    "full": TableSize(
        films={
            "demo": "4000,400,1000",
            "demo-touch": "2400,400,1000",
            PICTURES: "2400,200,0",
        },
        first_weights_steps=2500,
        object_head_steps=500,
        steps=1100,
        table5=("inflation-01", "inflation-02", "inflation-09", "inflation-10"),
    ),
    "short": TableSize(
        films={"demo": "48,24,24", "demo-touch": "24,12,12", PICTURES: "24,12,0"},
        first_weights_steps=2,
        object_head_steps=1,
        steps=2,
        table5=("inflation-01", "inflation-10"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TablesRequest:
    """What `orn demo-tables` was asked for."""

    dataset: Literal["demo", "demo-touch"]
    """The world."""
    size: Literal["full", "short"]
    """One of `SIZES`."""
    systems: tuple[str, ...] = MAIN_SYSTEMS
    """Rows of table 2; all of them if empty."""
    num_seeds: int = 3
    """Seeds of each system."""
    jobs: int = 1
    """Trainings at the same time."""

    @property
    def folder(self) -> Path:
        """Where everything lies."""
        return Path("tables") if self.size == "full" else Path("tables-short")


def run_tables(request: TablesRequest) -> tuple[Path, ...]:
    """Runs what is not done.

    Returns:
        The reports, as Markdown.

    Raises:
        PipelineError: if a step failed; it has said why.
    """
    record = StepRecord(request.folder / f"steps-{request.dataset}.json")
    steps = table_steps(request)
    run_steps(steps, record)
    return tuple(path for step in steps for path in step.outputs if path.suffix == ".md")


def table_steps(request: TablesRequest) -> list[Step]:
    """The commands in order; those of the first weights are the same for each world."""
    size, folder = SIZES[request.size], request.folder
    weights = folder / "first-weights.pth"
    steps = [
        *_data_steps(PICTURES, size, folder),
        *_first_weights_steps(size, folder, weights),
        *_data_steps(request.dataset, size, folder),
        _leak_step(request),
        _ablation_step(request, weights, table="2", systems=request.systems),
    ]
    if request.dataset == "demo":
        if "orn" in request.systems or not request.systems:
            steps += [_reverse_step(request, seed) for seed in range(request.num_seeds)]
        systems = SIZES[request.size].table5
        steps.append(_ablation_step(request, weights, table="5", systems=systems))
    return steps


def _data_steps(dataset: str, size: TableSize, folder: Path) -> list[Step]:
    """Films, what they truly show as shards, and the clip store."""
    data = ("--data", str(folder / "data"))
    shards, clips = folder / "shards" / dataset, folder / "clips" / f"{dataset}.h5"
    return [
        Step(
            name=f"{dataset} world",
            title=f"Draw {dataset}",
            arguments=("demo-world", dataset, *data, "--films", size.films[dataset]),
            outputs=(folder / "data" / dataset / "world.json",),
        ),
        Step(
            name=f"{dataset} truth",
            title=f"Write what {dataset} truly shows as shards",
            arguments=("demo-truth", dataset, *data, "--out", str(shards)),
            outputs=(shards / "plan.json",),
        ),
        Step(
            name=f"{dataset} clips",
            title=f"Store the frames of {dataset}",
            arguments=("clips", dataset, *data, "--out", str(clips)),
            outputs=(clips,),
        ),
    ]


def _first_weights_steps(size: TableSize, folder: Path, weights: Path) -> list[Step]:
    run = folder / "runs" / "first-weights"
    return [
        Step(
            name="first weights",
            title="Train a ResNet-18 to say which classes a picture shows",
            arguments=(
                "train", PICTURES, *_inputs(folder, PICTURES), "--system", "r18",
                "--run", str(run), "--set", "data.clip_frames=1",
                "--set", "optimiser.batch_size=64", "--set", "phases.object_head_steps=0",
                "--set", f"phases.steps={size.first_weights_steps}",
            ),
            outputs=(run / "best.pt",),
        ),
        Step(
            name="export",
            title="Write its weights, for all systems to start from",
            arguments=("model", "export", str(run), str(weights)),
            outputs=(weights,),
        ),
    ]  # fmt: skip


def _leak_step(request: TablesRequest) -> Step:
    out = request.folder / "runs" / f"leaks-{request.dataset}"
    data = str(request.folder / "data")
    return Step(
        name="leaks",
        title="Say what gives labels away without training",
        arguments=(
            "demo-leaks", request.dataset, "--data", data, "--untrained", "--out", str(out),
        ),
        outputs=(out / "leaks-validation.md",),
    )  # fmt: skip


def _ablation_step(
    request: TablesRequest, weights: Path, *, table: str, systems: tuple[str, ...]
) -> Step:
    size = SIZES[request.size]
    out = request.folder / "runs" / f"{request.dataset}-table{table}"
    chosen = ("--systems", ",".join(systems)) if systems else ()
    return Step(
        name=f"table {table}",
        title=f"Train and measure table {table} with {request.num_seeds} seeds",
        arguments=(
            "ablate", request.dataset, *_inputs(request.folder, request.dataset),
            "--table", table, *chosen, "--seeds", str(request.num_seeds),
            "--jobs", str(request.jobs), "--weights", str(weights), "--out", str(out),
            "--set", "initial_weights=imagenet", "--set", "validation.every_epochs=4",
            "--set", f"phases.object_head_steps={size.object_head_steps}",
            "--set", f"phases.steps={size.steps}", "--test",
        ),
        outputs=(out / f"table-{table}-test.md",),
    )  # fmt: skip


def _reverse_step(request: TablesRequest, seed: int) -> Step:
    run = request.folder / "runs" / f"{request.dataset}-table2" / "orn" / f"seed{seed}"
    return Step(
        name=f"reverse {seed}",
        title=f"Films backwards, seed {seed}",
        arguments=("demo-reverse", str(run), "--split", "test"),
        outputs=(run / "reversed-test.json",),
    )


def _inputs(folder: Path, dataset: str) -> tuple[str, ...]:
    return (
        "--data", str(folder / "data"),
        "--shards", str(folder / "shards" / dataset),
        "--clips", str(folder / "clips" / f"{dataset}.h5"),
        "--recipe", "demo",
    )  # fmt: skip
