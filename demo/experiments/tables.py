"""Build the jobs for `orn demo tables`: data sets, comparisons and curves, as commands.

The order is: draw films, write ground truth shards, store frames, write the leak report, pretrain
initial weights, run comparisons.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from orn.demo.experiments.request import TablesRequest
from orn.demo.world.parameters import FRAMES_PER_SECOND, WorldParameters
from orn.shared.jobs.commands import Job

PRETRAINING = "demo-classes"
"""Data set on which initial weights are trained."""
_VALIDATED_EVERY_EPOCHS = 4
"""Number of epochs between validations when all training films are used."""
_INITIAL_WEIGHTS = "initial-weights"
Films = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A data set of the demo world, and the settings shared by all training runs on it."""

    films: Films
    """Numbers of training, validation and test films."""
    parameters: tuple[str, ...] = ()
    """Options of `orn demo world`."""
    object_head_steps: int = 0
    """Number of steps that train only the object head, in systems with two heads."""
    steps: int
    """Number of further training steps."""
    settings: tuple[str, ...]
    """Overrides of the recipe, except for steps and precision."""
    by_default: tuple[str, ...] = ()
    """The default experiments."""


_TWO_FRAMES = ('model.object_parts=["shape","class"]', "data.clip_frames=2")
_PLACES = (
    *_TWO_FRAMES,
    # With He initialization, the sum memorizes a few films (docs/results.md).
    "model.mlp_initialization=torch",
    "validation.every_epochs=1000",  # only at the end
)
_BOTH = (
    *_TWO_FRAMES,
    "data.max_objects=3",
    # The complement of the masks is not an object here, and hides which object took whose place.
    "model.background_object=false",
    "model.base_width=8",  # enough for four kinds of surface
)
_FULL = {
    "demo": World(
        films=(4000, 400, 1000),
        object_head_steps=800,
        steps=800,
        settings=("initial_weights=imagenet",),
        by_default=("table2", "reversed", "table5"),
    ),
    "demo-touch": World(
        films=(4000, 400, 1000),
        parameters=("--objects", "6", "--classes", "6", "--pull", "30", "--camera", "0"),
        object_head_steps=1000,
        steps=1000,
        settings=("initial_weights=imagenet",),
        by_default=("table2",),
    ),
    "demo-places": World(
        films=(4000, 400, 1000),
        parameters=("--columns", "3", "--owners", "2", "--balls", "2"),
        steps=5000,
        # A few films, repeated often, are learned faster than many (docs/wiring_checks.md).
        settings=(*_PLACES, "data.train_segments=500", "optimiser.batch_size=32"),
        by_default=("pairs",),
    ),
    "demo-both": World(
        films=(4000, 400, 1000),
        parameters=("--columns", "3", "--texture", "2"),
        object_head_steps=1200,
        steps=800,
        settings=(*_BOTH, "optimiser.batch_size=32"),
        by_default=("both",),
    ),
    PRETRAINING: World(
        films=(2400, 200, 0),
        steps=2500,
        settings=("data.clip_frames=1", "optimiser.batch_size=64"),
    ),
}
_SHORT = {
    "demo": replace(_FULL["demo"], films=(48, 24, 24), object_head_steps=1, steps=2),
    "demo-touch": replace(_FULL["demo-touch"], films=(24, 12, 12), object_head_steps=1, steps=2),
    "demo-places": replace(
        _FULL["demo-places"],
        films=(24, 12, 12),
        steps=2,
        settings=(*_PLACES, "data.train_segments=24", "optimiser.batch_size=8"),
    ),
    "demo-both": replace(
        _FULL["demo-both"], films=(24, 12, 12), object_head_steps=1, steps=2, settings=_BOTH
    ),
    PRETRAINING: replace(_FULL[PRETRAINING], films=(24, 12, 0), steps=2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnData:
    """A drawn data set and the paths of its files."""

    dataset: str
    films: Films
    parameters: tuple[str, ...]
    folder: Path
    variant: str = ""
    """Name of this variant of the data set; empty for the main variant."""
    detected_frames: int | None = None
    """Number of frames per film with detections; None for every frame."""

    @property
    def name(self) -> str:
        """Return the name used in folders and jobs."""
        return f"{self.dataset}-{self.variant}" if self.variant else self.dataset

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return the options for the data paths of a training run."""
        return (
            "--data",
            str(self._data),
            "--shards",
            str(self._shards),
            "--clips",
            str(self._clips),
        )

    @property
    def leaks(self) -> Path:
        """Return the path of the leak report."""
        return self.folder / "runs" / f"leaks-{self.name}" / "leaks-test.json"

    def jobs(self) -> list[Job]:
        """Return the jobs that draw films, write ground truth shards, and store frames."""
        drawn = ("--films", ",".join(map(str, self.films)), *self.parameters)
        data, shards = ("--data", str(self._data)), self._shards
        picked: tuple[str, ...] = ()
        if self.detected_frames is not None:
            rate = FRAMES_PER_SECOND * self.detected_frames / WorldParameters().frames
            picked = ("--rate", f"{rate:g}")
        return [
            Job(
                name=f"{self.name} world",
                argv=("demo", "world", self.dataset, *data, *drawn),
                output=self._data / self.dataset / "world.json",
            ),
            Job(
                name=f"{shards.name} truth",
                argv=("demo", "truth", self.dataset, *data, "--out", str(shards), *picked),
                output=shards / "plan.json",
            ),
            Job(
                name=f"{self.name} clips",
                argv=("clips", self.dataset, *data, "--out", str(self._clips)),
                output=self._clips,
            ),
        ]

    def leak_job(self) -> Job:
        """Return the job that measures shortcut baselines, the lower bound for systems."""
        data, out = self.inputs[:4], ("--out", str(self.leaks.parent))
        argv = ("leaks", self.dataset, *data, *out, "--recipe", "demo", "--test")
        return Job(name=f"{self.name} leaks", argv=argv, output=self.leaks)

    @property
    def _data(self) -> Path:
        return self.folder / (f"data-{self.variant}" if self.variant else "data")

    @property
    def _shards(self) -> Path:
        picked = "" if self.detected_frames is None else f"-detected-{self.detected_frames}"
        return self.folder / "shards" / f"{self.name}{picked}"

    @property
    def _clips(self) -> Path:
        return self.folder / "clips" / self.name


class Tables:
    """Collects the jobs for a request; jobs shared by several methods are added once."""

    def __init__(self, request: TablesRequest) -> None:
        self.request = request
        self.is_full = not request.short
        self._worlds = _FULL if self.is_full else _SHORT
        self.world = self._worlds[request.dataset]
        self._jobs: dict[str, Job] = {}
        self._main = self._drawn(request.dataset)
        self._add(*self._main.jobs(), self._main.leak_job())

    @property
    def jobs(self) -> list[Job]:
        """Return the collected jobs in order."""
        return list(self._jobs.values())

    def compare(
        self,
        name: str,
        *,
        systems: tuple[str, ...] = (),
        table: str = "2",
        folder: str | None = None,
        report: str | None = None,
        settings: tuple[str, ...] = (),
        variants: Mapping[str, tuple[str, ...]] | None = None,
        primary: tuple[str, ...] = (),
        late_fusion: bool = False,
        train_films: int | None = None,
        times_as_long: int = 1,
        times_the_seeds: int = 1,
        data: DrawnData | None = None,
        weights: str | None = _INITIAL_WEIGHTS,
    ) -> str:
        """Train systems and evaluate them on the test split; return the name of the job.

        Args:
            name: name of the comparison.
            systems: rows of the table; empty for all.
            table: name of the table.
            folder: folder of the runs, below the name of the data set; None for `name`.
            report: name of the report; None for the name of the table.
            settings: overrides of the recipe, in addition to the data set's.
            variants: settings by `NAME` or `NAME@SYSTEM,...`; variants are compared with the first.
            primary: primary hypotheses, as `BETTER:WORSE`.
            late_fusion: whether to also evaluate separately trained heads together.
            train_films: number of training films; None for all.
            times_as_long: factor applied to the number of steps in both phases.
            times_the_seeds: factor applied to the requested number of seeds.
            data: a different variant of the data set.
            weights: result of `initial_weights`; None for systems without images.
        """
        if data is None:
            data = self._main
        else:
            self._add(*data.jobs(), data.leak_job())
        if weights == _INITIAL_WEIGHTS:
            self.initial_weights()
        epochs = _VALIDATED_EVERY_EPOCHS * times_as_long * self.world.films[0]
        chosen = (
            f"validation.every_epochs={epochs // (train_films or data.films[0])}",
            *self._settings(self.world, times_as_long),
            *([f"data.train_segments={train_films}"] if train_films else []),
            *settings,
        )
        out = self._runs(data, folder or name)
        argv = [
            *("ablate", data.dataset, "--table", table, *data.inputs, "--out", str(out)),
            *("--recipe", "demo", "--test"),
            *("--seeds", str(times_the_seeds * self.request.num_seeds)),
            *("--jobs", str(self.request.jobs), "--floor", str(data.leaks)),
            *(("--systems", ",".join(systems)) if systems else ()),
            *(("--weights", str(self._weights(weights))) if weights else ()),
            *(("--name", report) if report else ()),
            *(("--late-fusion",) if late_fusion else ()),
            *(word for pair in primary for word in ("--primary", pair)),
            *(word for setting in chosen for word in ("--set", setting)),
        ]
        for variant, own in (variants or {}).items():
            argv += ["--variant", f"{variant}:{','.join(own)}" if own else variant]
        path = out / f"{report or f'table-{table}'}-test.json"
        job = Job(name=f"{data.name} {name}", argv=tuple(argv), output=path)
        self._add(job)
        return job.name

    def with_detections_in(self, frames: int) -> DrawnData:
        """Return the main data set with detections in the given number of frames per film."""
        return replace(self._main, detected_frames=frames)

    def draw_curve(
        self, name: str, varied: str, points: Mapping[int, str], *, over_seconds: bool = False
    ) -> None:
        """Draw a curve through comparisons.

        Args:
            name: name of the job.
            varied: name of the varied quantity.
            points: name of the comparison by value of the quantity.
            over_seconds: whether to also draw the curve against the training time.
        """
        *others, last = sorted(points)
        job = self._jobs[points[last]]
        assert job.output is not None
        argv = [
            *job.argv,
            "--curve",
            f"{varied}={last}",
            *(["--over-seconds"] if over_seconds else []),
        ]
        for value in others:
            argv += ["--point", f"{value}={self._jobs[points[value]].output}"]
        output = job.output.with_name(f"curve-{varied.replace(' ', '-')}-test.json")
        self._add(Job(name=f"{self.request.dataset} {name}", argv=tuple(argv), output=output))

    def measure_backwards(self, system: str, *, folder: str) -> None:
        """Evaluate the runs of a system on the main data set with reversed films."""
        for seed in range(self.request.num_seeds):
            run = self._runs(self._main, folder) / system / f"seed{seed}"
            argv = ("eval", str(run), "--split", "test", "--frame-order", "reversed")
            output = run / "eval-test-reversed.json"
            self._add(Job(name=f"reverse seed{seed}", argv=argv, output=output))

    def initial_weights(self, name: str = _INITIAL_WEIGHTS, settings: tuple[str, ...] = ()) -> str:
        """Train a ResNet-18 to classify the objects in an image; return the name of its weights."""
        images, run = self._drawn(PRETRAINING), self.request.folder / "runs" / name
        chosen = (*self._settings(self._worlds[PRETRAINING]), *settings)
        self._add(
            *images.jobs(),
            Job(
                name=name,
                argv=(
                    *("train", PRETRAINING, *images.inputs, "--recipe", "demo", "--system", "r18"),
                    *("--run", str(run), *(word for each in chosen for word in ("--set", each))),
                ),
                output=run / "model.safetensors",
            ),
            Job(
                name=f"{name} export",
                argv=("export", "--resnet", str(run), str(self._weights(name))),
                output=self._weights(name),
            ),
        )
        return name

    def _add(self, *jobs: Job) -> None:
        for job in jobs:
            self._jobs.setdefault(job.name, job)

    def _drawn(self, dataset: str) -> DrawnData:
        world = self._worlds[dataset]
        return DrawnData(
            dataset=dataset,
            films=world.films,
            parameters=world.parameters,
            folder=self.request.folder,
        )

    def _runs(self, data: DrawnData, name: str) -> Path:
        return self.request.folder / "runs" / f"{data.name}-{name}"

    def _weights(self, name: str) -> Path:
        return self.request.folder / f"{name}.pth"

    def _settings(self, world: World, times: int = 1) -> tuple[str, ...]:
        return (
            *world.settings,
            f"precision={self.request.precision}",
            f"phases.object_head_steps={times * world.object_head_steps}",
            f"phases.steps={times * world.steps}",
        )
