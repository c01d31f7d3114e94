"""The commands of `orn demo tables`, one function a kind of step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from demo.steps import Step

__all__ = [
    "Ablation",
    "World",
    "ablation_step",
    "curve_step",
    "data_steps",
    "first_weights_steps",
    "leak_step",
    "reverse_step",
]

PICTURES = "demo-classes"
"""What first weights are learned from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A data set of the demo world as it is drawn for the tables."""

    dataset: str
    """Its name."""
    films: str
    """TRAIN,VALIDATION,TEST."""
    folder: Path
    """Where everything about it lies, and about other worlds of the same folder."""
    dials: tuple[str, ...] = ()
    """Options of `orn demo world`."""
    variant: str = ""
    """What tells it from another world of the same data set; empty for the first one."""

    @property
    def name(self) -> str:
        """Of folders and steps."""
        return f"{self.dataset}-{self.variant}" if self.variant else self.dataset

    @property
    def data(self) -> Path:
        """The data root."""
        return self.folder / ("data" if not self.variant else f"data-{self.variant}")

    @property
    def shards(self) -> Path:
        """What its films truly show."""
        return self.folder / "shards" / self.name

    @property
    def clips(self) -> Path:
        """The clip store."""
        return self.folder / "clips" / f"{self.name}.h5"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Options of `orn train` and `orn ablate`."""
        return (
            "--data", str(self.data), "--shards", str(self.shards), "--clips", str(self.clips),
            "--recipe", "demo",
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """One call of `orn ablate`."""

    title: str
    """What it is for."""
    name: str
    """What is compared."""
    folder: str
    """Of its runs, after the world's name."""
    table: Literal["2", "5", "controls"]
    """Whose rows."""
    systems: tuple[str, ...]
    """Which of them; all if empty."""
    settings: tuple[str, ...]
    """Settings of the recipe to replace."""
    weights: Path | None = None
    """First weights."""
    report: str | None = None
    """Name of the report; None for that of the table."""
    num_seeds: int
    """Seeds of each system."""
    jobs: int
    """Trainings at the same time."""


def data_steps(world: World) -> list[Step]:
    """Films, what they truly show as shards, and the clip store."""
    data = ("--data", str(world.data))
    return [
        Step(
            name=f"{world.name} world",
            title=f"Draw {world.name}",
            arguments=("demo", "world", world.dataset, *data, "--films", world.films, *world.dials),
            outputs=(world.data / world.dataset / "world.json",),
        ),
        Step(
            name=f"{world.name} truth",
            title=f"Write what {world.name} truly shows as shards",
            arguments=("demo", "truth", world.dataset, *data, "--out", str(world.shards)),
            outputs=(world.shards / "plan.json",),
        ),
        Step(
            name=f"{world.name} clips",
            title=f"Store the frames of {world.name}",
            arguments=("clips", world.dataset, *data, "--out", str(world.clips)),
            outputs=(world.clips,),
        ),
    ]


def first_weights_steps(
    pictures: World, weights: Path, *, num_steps: int, settings: tuple[str, ...] = ()
) -> list[Step]:
    """A ResNet-18 that learns which classes a picture shows, and its weights in a file.

    Args:
        pictures: What it learns from.
        weights: The file; its name is that of the run, too.
        num_steps: How long it learns.
        settings: Of the recipe, to replace.
    """
    run = pictures.folder / "runs" / weights.stem
    return [
        Step(
            name=weights.stem,
            title="Train a ResNet-18 to say which classes a picture shows",
            arguments=(
                "train", pictures.dataset, *pictures.inputs, "--system", "r18", "--run", str(run),
                *_set(
                    (
                        "data.clip_frames=1", "optimiser.batch_size=64",
                        "phases.object_head_steps=0", f"phases.steps={num_steps}", *settings,
                    )
                ),
            ),
            outputs=(run / "best.pt",),
        ),
        Step(
            name=f"{weights.stem} export",
            title="Write its weights, for all systems to start from",
            arguments=("model", "export", str(run), str(weights)),
            outputs=(weights,),
        ),
    ]  # fmt: skip


def leak_step(world: World) -> Step:
    """What gives labels away without training."""
    out = world.folder / "runs" / f"leaks-{world.name}"
    arguments = ("demo", "leaks", world.dataset, "--data", str(world.data), "--untrained")
    return Step(
        name=f"{world.name} leaks",
        title=f"Say what gives labels of {world.name} away without training",
        arguments=(*arguments, "--out", str(out), "--test"),
        outputs=(out / "leaks-test.md",),
    )


def ablation_step(world: World, ablation: Ablation) -> Step:
    """Systems trained and measured on the test part."""
    out = ablation_folder(world, ablation.folder)
    options: list[str] = ["--table", ablation.table]
    if ablation.systems:
        options += ["--systems", ",".join(ablation.systems)]
    options += ["--seeds", str(ablation.num_seeds), "--jobs", str(ablation.jobs)]
    if ablation.weights is not None:
        options += ["--weights", str(ablation.weights)]
    if ablation.report is not None:
        options += ["--name", ablation.report]
    return Step(
        name=f"{world.name} {ablation.name}",
        title=ablation.title,
        arguments=(
            "ablate", world.dataset, *world.inputs, *options, "--out", str(out),
            *_set(ablation.settings), "--test",
        ),
        outputs=(out / f"{ablation.report or f'table-{ablation.table}'}-test.md",),
    )  # fmt: skip


def curve_step(world: World, experiment: str, *, name: str, reports: Mapping[str, Path]) -> Step:
    """Reports of ablations that differ in one thing, joined."""
    stem = ablation_folder(world, experiment).with_name(f"curve-{world.name}-{experiment}")
    points = [f"{value}={path}" for value, path in reports.items()]
    return Step(
        name=f"{world.name} {experiment}",
        title=f"Draw the curve of {experiment} on {world.name}",
        arguments=("curve", name, *points, "--out", str(stem)),
        outputs=(Path(f"{stem}.md"),),
    )


def ablation_folder(world: World, name: str) -> Path:
    """Where the runs of an ablation lie."""
    return world.folder / "runs" / f"{world.name}-{name}"


def reverse_step(run: Path) -> Step:
    """A run measured on films backwards."""
    return Step(
        name=f"reverse {run.name}",
        title=f"Films backwards, {run.name}",
        arguments=("demo", "reverse", str(run), "--split", "test"),
        outputs=(run / "reversed-test.json",),
    )


def _set(settings: Sequence[str]) -> tuple[str, ...]:
    return tuple(part for setting in settings for part in ("--set", setting))
