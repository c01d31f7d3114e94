"""`orn demo tables`: from nothing to the comparisons of docs/results.md on a world.

Draw the world -> true detections -> store frames -> leak report -> the experiments asked for, each
with the first weights that its systems start from.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from orn.demo.experiments.experiment import (
    Comparison,
    Curve,
    Experiment,
    World,
    experiments_of,
    read_worlds,
)
from orn.demo.experiments.leaks import leak_report
from orn.demo.experiments.reverse import measure_reversed
from orn.demo.steps import Step, StepRecord, call, command, run_steps, store_clips
from orn.demo.world.dials import Dials
from orn.demo.world.make import write_dataset
from orn.demo.world.truth_shards import write_truth_shards
from orn.shared.environment import usable_cores
from orn.shared.errors import ConfigError
from orn.shared.text import counted
from orn.stage2_train.ablation.ablate import ablate, joined_curve
from orn.stage2_train.ablation.plan import AblationRequest, Variation
from orn.stage2_train.ablation.rows import table_rows
from orn.stage2_train.leaks.report import counts_floor
from orn.stage2_train.recipe import load_recipe
from orn.stage2_train.resources import Resources
from orn.stage2_train.runs.trained import export_weights

PICTURES = "demo-classes"
"""What first weights are learned from."""
_VALIDATED_EVERY_EPOCHS = 4
"""Epochs of all films that the data set is drawn with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TablesRequest:
    """What `orn demo tables` was asked for."""

    dataset: str
    size: Literal["full", "short"] = "full"
    experiments: tuple[str, ...] = ()
    """Names, in the order in which they are made; those of the main claims if empty."""
    systems: tuple[str, ...] | None = None
    """In place of those of an experiment that lets choose; all of the table if empty."""
    precision: str = "fp32"
    """Of all trainings."""
    num_seeds: int = 5
    """Seeds of each system."""
    jobs: int = 1
    """Trainings at the same time."""

    @property
    def folder(self) -> Path:
        """Where everything lies."""
        return Path("tables" if self.size == "full" else "tables-short")


def run_tables(request: TablesRequest) -> tuple[Path, ...]:
    """Does what is not done.

    Returns:
        The reports, as Markdown.

    Raises:
        PipelineError: a step failed.
    """
    steps = table_steps(request)
    run_steps(steps, _record(request))
    return tuple(path for step in steps for path in step.outputs if path.suffix == ".md")


def describe_tables(request: TablesRequest) -> dict[str, Any]:
    """What `run_tables` would do."""
    record = _record(request)
    return {
        "folder": str(request.folder),
        "steps": [
            {
                "title": step.title,
                "done": record.is_done(step),
                "outputs": [str(path) for path in step.outputs],
            }
            for step in table_steps(request)
        ],
    }


def _record(request: TablesRequest) -> StepRecord:
    return StepRecord(request.folder / f"steps-{request.dataset}.json")


def table_steps(request: TablesRequest) -> list[Step]:
    """The steps in order; what experiments share is done once.

    Raises:
        ConfigError: an experiment is not one of the world's, or a system not one of the table's.
    """
    return _Tables(request).steps()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A world as it is drawn here, and where everything about it lies."""

    dataset: str
    films: tuple[int, int, int]
    dials: dict[str, Any]
    folder: Path
    variant: str = ""
    """What tells it from another world of the same data set; empty for the first one."""

    @property
    def name(self) -> str:
        """Of folders and steps."""
        return f"{self.dataset}-{self.variant}" if self.variant else self.dataset

    @property
    def data(self) -> Path:
        return self.folder / (f"data-{self.variant}" if self.variant else "data")

    @property
    def shards(self) -> Path:
        return self.folder / "shards" / self.name

    @property
    def clips(self) -> Path:
        return self.folder / "clips" / self.name

    @property
    def resources(self) -> Resources:
        return Resources(data_root=self.data, shards=self.shards, clips=self.clips)

    def runs(self, name: str) -> Path:
        return self.folder / "runs" / f"{self.name}-{name}"

    def steps(self) -> list[Step]:
        """Films, what they truly show as shards, and their frames."""
        name, where = self.name, {"dataset": self.dataset, "root": self.data}
        drawn, plan = self.data / self.dataset / "world.json", self.shards / "plan.json"
        films = {"films": self.films, "dials": self.dials}
        truth, frames = f"Write what {name} truly shows as shards", f"Store the frames of {name}"
        return [
            call(f"{name} world", f"Draw {name}", _draw, drawn, **where, **films),
            call(f"{name} truth", truth, write_truth_shards, plan, **where, out=self.shards),
            call(f"{name} clips", frames, store_clips, self.clips, **where, out=self.clips),
        ]


class _Tables:
    """The steps of a request; each of its methods adds some."""

    def __init__(self, request: TablesRequest) -> None:
        self._request = request
        self._worlds = read_worlds(request.size)
        self._world = self._worlds[request.dataset]
        self._experiments = experiments_of(request.dataset, request.size)
        self._steps: dict[str, Step] = {}
        self._systems_of: dict[str, set[str]] = {}
        """Those that are trained in each folder of the first world; {""} stands for all."""

    def steps(self) -> list[Step]:
        place = self._place(self._request.dataset)
        self._add(*place.steps(), self._leaks(place))
        for name in self._request.experiments or self._world.by_default:
            if name not in self._experiments:
                raise ConfigError(
                    f"--experiments: wanted some of {', '.join(self._experiments)} for "
                    f"{self._request.dataset}, found {name!r}"
                )
            self._make(name, self._experiments[name])
        return list(self._steps.values())

    def _add(self, *steps: Step) -> None:
        for step in steps:
            self._steps.setdefault(step.name, step)

    def _place(self, dataset: str) -> _Place:
        world = self._worlds[dataset]
        return _Place(
            dataset=dataset, films=world.films, dials=world.dials, folder=self._request.folder
        )

    def _leaks(self, place: _Place) -> Step:
        out = self._request.folder / "runs" / f"leaks-{place.name}"
        request = AblationRequest(
            manifest=place.dataset, table="leaks", resources=place.resources, out=out, test=True
        )
        return call(
            f"{place.name} leaks",
            f"Say what gives labels of {place.name} away without training",
            leak_report,
            out / "leaks-test.md",
            request=request,
            untrained=True,
        )

    def _make(self, name: str, experiment: Experiment) -> None:
        points: dict[int, Path] = {}
        for comparison in experiment.comparisons:
            report = self._compare(comparison)
            if comparison.value is not None:
                points[comparison.value] = report
        if experiment.curve is not None:
            for value, shared in experiment.curve.shared.items():
                points[int(value)] = self._compare(self._named(shared))
            self._draw_curve(name, experiment.curve, points)
        if experiment.reversed is not None:
            wanted = experiment.reversed
            if wanted.folder not in self._systems_of:
                self._compare(self._named(wanted.comparison))
            if {"", wanted.system} & self._systems_of[wanted.folder]:
                runs = self._place(self._request.dataset).runs(wanted.folder) / wanted.system
                self._reverse(runs)

    def _named(self, name: str) -> Comparison:
        """A comparison of any experiment on the first world."""
        for experiment in self._experiments.values():
            for comparison in experiment.comparisons:
                if comparison.name == name and comparison.another_world is None:
                    return comparison
        raise ConfigError(f"wanted a comparison {name!r} in some experiment, found none")

    def _compare(self, comparison: Comparison) -> Path:
        """Trains and measures systems; returns the results, as CSV."""
        request = self._request
        place = self._place(request.dataset)
        if comparison.another_world is not None:
            other = comparison.another_world
            place = _Place(
                dataset=request.dataset,
                films=other.films,
                dials=self._world.dials | other.dials,
                folder=request.folder,
                variant=other.name,
            )
            self._add(*place.steps())
        systems = comparison.systems
        if comparison.choosable and request.systems is not None:
            systems = request.systems
            table_rows(comparison.table, systems, load_recipe("demo", num_activities=1))  # known?
        folder = comparison.folder or comparison.name
        if not place.variant:
            self._systems_of.setdefault(folder, set()).update(systems or {""})
        ablation = AblationRequest(
            manifest=request.dataset,
            table=comparison.table,
            out=place.runs(folder),
            resources=place.resources,
            systems=systems,
            seeds=tuple(range(request.num_seeds)),
            recipe="demo",
            overrides=self._settings(comparison, place),
            vary=self._arms(comparison),
            late_fusion=comparison.late_fusion,
            primary=comparison.primary,
            weights=self._first_weights(comparison),
            name=comparison.report,
            test=True,
            jobs=request.jobs,
        )
        report = ablation.out / f"{ablation.report_name}.md"
        seeds = counted(request.num_seeds, "seed")
        title = f"Train and measure {comparison.name} on {place.name}, {seeds}"
        self._add(call(f"{place.name} {comparison.name}", title, _ablate, report, request=ablation))
        return report.with_suffix(".csv")

    def _settings(self, comparison: Comparison, place: _Place) -> tuple[str, ...]:
        world, times = self._world, comparison.times_as_long
        trained_on = comparison.train_films or place.films[0]
        own = comparison.settings
        if comparison.train_films is not None:
            own = (f"data.train_segments={comparison.train_films}", *own)
        every_epochs = _VALIDATED_EVERY_EPOCHS * times * world.films[0] // trained_on
        filled = self._filled(world.settings, world, times, every_epochs=every_epochs)
        return (*filled, *own)

    def _arms(self, comparison: Comparison) -> Variation | None:
        world, times = self._world, comparison.times_as_long
        arms = tuple(
            replace(arm, settings=tuple(self._filled(arm.settings, world, times)))
            for arm in comparison.arms
        )
        return Variation(name="arm", arms=arms) if arms else None

    def _filled(
        self, settings: Sequence[str], world: World, times: int = 1, **values: object
    ) -> Iterator[str]:
        all_steps = times * (world.object_head_steps + world.steps)
        values |= {
            "precision": self._request.precision,
            "object_head_steps": times * world.object_head_steps,
            "steps": times * world.steps,
            "all_steps": all_steps,
            "third_of_all_steps": all_steps // 3,
            "two_thirds_of_all_steps": all_steps - all_steps // 3,
        }
        for setting in settings:
            try:
                yield setting.format(**values)
            except (LookupError, ValueError) as err:
                known = ", ".join(values)
                raise ConfigError(
                    f"setting {setting!r}: wanted some of {known} in braces, found {err}"
                ) from err

    def _first_weights(self, comparison: Comparison) -> Path | None:
        """A ResNet-18 that learns which classes a picture shows, and its weights in a file."""
        if comparison.first_weights == "none":
            return None
        own = comparison.first_weights == "own"
        name = f"first-weights-{comparison.name}" if own else "first-weights"
        pictures = self._place(PICTURES)
        run, weights = (self._request.folder / path for path in (f"runs/{name}", f"{name}.pth"))
        world = self._worlds[PICTURES]
        settings = [*self._filled(world.settings, world), *(comparison.settings if own else ())]
        inputs = ("--data", pictures.data, "--shards", pictures.shards, "--clips", pictures.clips)
        self._add(
            *pictures.steps(),
            command(
                name,
                "Train a ResNet-18 to say which classes a picture shows",
                *("train", PICTURES, *map(str, inputs), "--recipe", "demo", "--system", "r18"),
                *("--run", str(run), *(part for each in settings for part in ("--set", each))),
                outputs=[run / "model.safetensors"],
            ),
            call(
                f"{name} export",
                "Write its weights, for systems to start from",
                export_weights,
                weights,
                run=run,
                out=weights,
            ),
        )
        return weights

    def _draw_curve(self, experiment: str, curve: Curve, points: dict[int, Path]) -> None:
        dataset = self._request.dataset
        stem = self._request.folder / "runs" / f"curve-{dataset}-{experiment}"
        title = f"Draw the curve of {experiment} on {dataset}"
        files = {str(value): points[value] for value in sorted(points)}
        step = call(
            f"{dataset} {experiment}", title, joined_curve, Path(f"{stem}.md"),
            varied=curve.name, files=files, over_seconds=curve.over_seconds, out=stem,
        )  # fmt: skip
        self._add(step)

    def _reverse(self, runs: Path) -> None:
        for seed in range(self._request.num_seeds):
            run = runs / f"seed{seed}"
            name, title = f"reverse {run.name}", f"Films backwards, {run.name}"
            wanted = {"run": run, "split": "test", "device": "auto"}
            self._add(call(name, title, measure_reversed, run / "reversed-test.json", **wanted))


def _draw(dataset: str, root: Path, films: Sequence[int], dials: dict[str, Any]) -> None:
    turned = Dials(**dials)
    write_dataset(dataset, root, films=films, dials=turned, seed=0, workers=usable_cores())


def _ablate(request: AblationRequest) -> None:
    """Systems that tell no more than counts of the objects that they are given have not learned."""
    ablate(replace(request, floor=counts_floor(request)))
