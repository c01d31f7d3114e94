"""What experiments of `orn demo tables` are made of: worlds, comparisons, curves, as commands.

Draw the world -> true detections -> store frames -> leak report -> comparisons, each with the
first weights that its systems start from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from orn.demo.experiments.request import TablesRequest
from orn.demo.world.dials import FRAMES_PER_SECOND, Dials
from orn.shared.jobs.commands import Job

PICTURES = "demo-classes"
"""What first weights are learned from."""
_VALIDATED_EVERY_EPOCHS = 4
"""Epochs of all films that the data set is drawn with."""
_FIRST_WEIGHTS = "first-weights"
Films = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A data set of the demo world, and what all trainings on it have in common."""

    films: Films
    """How many there are to train on, to validate and to test."""
    dials: tuple[str, ...] = ()
    """Options of `orn demo world`."""
    object_head_steps: int = 0
    """Of the object head alone, in systems of two heads."""
    steps: int
    """Of a training, after those."""
    settings: tuple[str, ...]
    """Of the recipe, to replace, beside steps and precision."""
    by_default: tuple[str, ...] = ()
    """The experiments that are made if none is named."""


_TWO_FRAMES = ('model.object_parts=["shape","class"]', "data.clip_frames=2")
_PLACES = (
    *_TWO_FRAMES,
    # From He's values the sum learns few films by heart (docs/wiring_checks.md).
    "model.mlp_initialization=torch",
    "validation.every_epochs=1000",  # only at the end
)
_BOTH = (
    *_TWO_FRAMES,
    "data.max_objects=3",
    # The complement of the masks is no object here, and hides which of three took whose place.
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
        dials=("--objects", "6", "--classes", "6", "--pull", "30", "--camera", "0"),
        object_head_steps=1000,
        steps=1000,
        settings=("initial_weights=imagenet",),
        by_default=("table2",),
    ),
    "demo-places": World(
        films=(4000, 400, 1000),
        dials=("--columns", "3", "--owners", "2", "--balls", "2"),
        steps=5000,
        # Seen often, few films are learned sooner than many (docs/results.md).
        settings=(*_PLACES, "data.train_segments=500", "optimiser.batch_size=32"),
        by_default=("pairs",),
    ),
    "demo-both": World(
        films=(4000, 400, 1000),
        dials=("--columns", "3", "--texture", "2"),
        object_head_steps=1200,
        steps=800,
        settings=(*_BOTH, "optimiser.batch_size=32"),
        by_default=("both",),
    ),
    PICTURES: World(
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
    PICTURES: replace(_FULL[PICTURES], films=(24, 12, 0), steps=2),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A world as it is drawn here, and where everything about it lies."""

    dataset: str
    films: Films
    dials: tuple[str, ...]
    folder: Path
    variant: str = ""
    """What tells it from another world of the same data set; empty for the first one."""
    detected_frames: int | None = None
    """Of a film those that detections are of; None: every frame."""

    @property
    def name(self) -> str:
        """Of folders and jobs."""
        return f"{self.dataset}-{self.variant}" if self.variant else self.dataset

    @property
    def inputs(self) -> tuple[str, ...]:
        """The options of trainings that say where their data lies."""
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
        """The leak report."""
        return self.folder / "runs" / f"leaks-{self.name}" / "leaks-test.json"

    def jobs(self) -> list[Job]:
        """Return what draws its films, writes what they truly show as shards, and stores frames."""
        drawn = ("--films", ",".join(map(str, self.films)), *self.dials)
        data, shards = ("--data", str(self._data)), self._shards
        picked: tuple[str, ...] = ()
        if self.detected_frames is not None:
            picked = ("--rate", f"{FRAMES_PER_SECOND * self.detected_frames / Dials().frames:g}")
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
        """Return what measures shortcut baselines, whose class counts are the floor of systems."""
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
    """The jobs of a request, in order; each method adds some, and what is shared once."""

    def __init__(self, request: TablesRequest) -> None:
        self.request = request
        self.is_full = not request.short
        self._worlds = _FULL if self.is_full else _SHORT
        self.world = self._worlds[request.dataset]
        self._jobs: dict[str, Job] = {}
        self._first = self._place(request.dataset)
        self._add(*self._first.jobs(), self._first.leak_job())

    @property
    def jobs(self) -> list[Job]:
        """All that was asked for so far."""
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
        place: Place | None = None,
        weights: str | None = _FIRST_WEIGHTS,
    ) -> str:
        """Train and measure systems on the test part; return the name of the job.

        Args:
            name: of the comparison.
            systems: rows of the table; all if empty.
            table: whose rows.
            folder: of the runs, after the world's name, if it is not `name`.
            report: name of the report, if it is not that of the table.
            settings: of the recipe, to replace beside those of the world.
            variants: `NAME` or `NAME@SYSTEM,...` to settings; the others are compared with the
                first one.
            primary: `BETTER:WORSE`, what the comparison is made for.
            late_fusion: whether heads that were trained apart are measured together, too.
            train_films: how many to train on, where it is not all that are drawn.
            times_as_long: how many times as many steps both phases have.
            times_the_seeds: how many times as many seeds as the request names.
            place: another world of the same data set.
            weights: what `first_weights` returned; None for systems that see no pictures.
        """
        if place is None:
            place = self._first
        else:
            self._add(*place.jobs(), place.leak_job())
        if weights == _FIRST_WEIGHTS:
            self.first_weights()
        epochs = _VALIDATED_EVERY_EPOCHS * times_as_long * self.world.films[0]
        chosen = (
            f"validation.every_epochs={epochs // (train_films or place.films[0])}",
            *self._settings(self.world, times_as_long),
            *([f"data.train_segments={train_films}"] if train_films else []),
            *settings,
        )
        out = self._runs(place, folder or name)
        argv = [
            *("ablate", place.dataset, "--table", table, *place.inputs, "--out", str(out)),
            *("--recipe", "demo", "--test"),
            *("--seeds", str(times_the_seeds * self.request.num_seeds)),
            *("--jobs", str(self.request.jobs), "--floor", str(place.leaks)),
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
        job = Job(name=f"{place.name} {name}", argv=tuple(argv), output=path)
        self._add(job)
        return job.name

    def detected_in(self, frames: int) -> Place:
        """Return the first world with detections of so many frames of each film."""
        return replace(self._first, detected_frames=frames)

    def draw_curve(
        self, name: str, varied: str, points: Mapping[int, str], *, over_seconds: bool = False
    ) -> None:
        """Draw comparisons, by value of what is varied, as one curve: the last one, done before,
        with those of the others."""
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
        """Measure the runs of a system on the first world with films backwards."""
        for seed in range(self.request.num_seeds):
            run = self._runs(self._first, folder) / system / f"seed{seed}"
            argv = ("eval", str(run), "--split", "test", "--frame-order", "reversed")
            output = run / "eval-test-reversed.json"
            self._add(Job(name=f"reverse seed{seed}", argv=argv, output=output))

    def first_weights(self, name: str = _FIRST_WEIGHTS, settings: tuple[str, ...] = ()) -> str:
        """Train a ResNet-18 to say which classes a picture shows, and keep its weights in a file;
        return the name."""
        pictures, run = self._place(PICTURES), self.request.folder / "runs" / name
        chosen = (*self._settings(self._worlds[PICTURES]), *settings)
        self._add(
            *pictures.jobs(),
            Job(
                name=name,
                argv=(
                    *("train", PICTURES, *pictures.inputs, "--recipe", "demo", "--system", "r18"),
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

    def _place(self, dataset: str) -> Place:
        world = self._worlds[dataset]
        return Place(
            dataset=dataset, films=world.films, dials=world.dials, folder=self.request.folder
        )

    def _runs(self, place: Place, name: str) -> Path:
        return self.request.folder / "runs" / f"{place.name}-{name}"

    def _weights(self, name: str) -> Path:
        return self.request.folder / f"{name}.pth"

    def _settings(self, world: World, times: int = 1) -> tuple[str, ...]:
        return (
            *world.settings,
            f"precision={self.request.precision}",
            f"phases.object_head_steps={times * world.object_head_steps}",
            f"phases.steps={times * world.steps}",
        )
