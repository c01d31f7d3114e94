"""What an ablation found: the paper's table beside ours, and which of its orderings hold."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.config.bounded import read_json
from shared.config.files import config_from_dict
from shared.errors import CheckpointError
from shared.text_table import columns, markdown
from stage2_train.ablation.plan import AblationRun
from stage2_train.runs.run_folder import METRICS_NAME, jsonl_records

__all__ = [
    "ORDERINGS",
    "Interval",
    "ablation_report",
    "interval_text",
    "markdown_table",
    "mean_interval",
    "paired_difference",
    "rate_text",
    "report_text",
]

CONFIDENCE = 0.95
_Share = Annotated[float, Field(ge=0, le=1)]
_TABLE2_OTHERS = (
    "activity-head",
    "orn-pixel",
    "orn-mlp",
    "coco-visual",
    "coco-shape",
    "coco-class",
    "coco-intra",
    "clique-1",
    "clique-3",
)
ORDERINGS: tuple[tuple[str, str], ...] = (
    *(("orn", other) for other in _TABLE2_OTHERS),
    *(("object-head", f"{other}-object-head") for other in _TABLE2_OTHERS[1:]),
    ("coco-visual-object-head", "coco-shape-object-head"),
    ("coco-visual-object-head", "coco-class-object-head"),
    ("inflation-10", "inflation-01"),
    ("inflation-10", "inflation-02"),
    ("inflation-10", "inflation-09"),
    ("inflation-02", "inflation-01"),
    ("inflation-09", "inflation-07"),
    ("orn", "r50"),
    ("orn", "r18"),
    ("orn", "i3d"),
    ("orn", "i3d-18"),
    ("orn", "c3d-avg"),
    ("orn", "trn-multiscale"),
)
"""What the paper's tables say: the first is better than the second."""
EXPECTED: tuple[tuple[str, str], ...] = (
    ("activity-head", "one-frame"),
    ("orn", "wide-activity-head"),
    ("orn", "shuffled-frames"),
    ("orn", "boxes"),
    ("orn", "mixed-classes"),
)
"""What should hold of controls if a system relies on what it is meant to rely on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean and how far the truth may lie from it."""

    mean: float
    """Mean over the seeds."""
    half_width: float | None
    """Half of the 95 % interval, from Student's t over the seeds; None with less than two seeds."""
    num_seeds: int
    """How many there are."""

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval; never with less than two seeds."""
        return self.half_width is not None and abs(self.mean) > self.half_width


def interval_text(figures: Mapping[str, Any]) -> str:
    """The mean and half of the interval, where there is one, of an `Interval` as JSON."""
    mean, half_width = figures["mean"], figures["half_width"]
    return f"{mean:.1f}" if half_width is None else f"{mean:.1f} +- {half_width:.1f}"


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of at least one value, one a seed."""
    num_seeds = len(values)
    if num_seeds < 2:
        return Interval(mean=float(values[0]), half_width=None, num_seeds=num_seeds)
    half_width = _student_t(num_seeds - 1) * statistics.stdev(values) / math.sqrt(num_seeds)
    return Interval(mean=statistics.fmean(values), half_width=half_width, num_seeds=num_seeds)


def paired_difference(values: Mapping[int, float], others: Mapping[int, float]) -> Interval | None:
    """How much higher the values are than the others, over the seeds that both have; None without
    one. Pairing takes out what a seed does to both, such as which clips come first."""
    seeds = sorted(values.keys() & others.keys())
    if not seeds:
        return None
    return mean_interval([values[seed] - others[seed] for seed in seeds])


def _student_t(freedom: int) -> float:
    """t with P(|T| < t) = 0.95 of Student's distribution, by bisection of its closed form for whole
    degrees of freedom: Abramowitz and Stegun 1964, eq. 26.7.3 and 26.7.4."""
    low, high = 0.0, math.pi / 2
    while low < (angle := (low + high) / 2) < high:
        low, high = (angle, high) if _share_within(angle, freedom) < CONFIDENCE else (low, angle)
    return math.sqrt(freedom) * math.tan(angle)


def _share_within(angle: float, freedom: int) -> float:
    """P(|T| < sqrt(freedom) tan(angle))."""
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for power in range(1 + odd, freedom, 2):
        total += term
        term *= math.cos(angle) ** 2 * power / (power + 1)
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total


def ablation_report(runs: Sequence[AblationRun], *, split: str) -> dict[str, Any]:
    """Everything that the runs' measurements say, as plain values.

    Raises:
        CheckpointError: if a run is not measured on the split.
    """
    reports = {(run.row.name, run.seed): _read(run, split) for run in runs}
    measured: dict[str, dict[int, float]] = {}  # percent by system and seed
    for (name, seed), report in reports.items():
        measured.setdefault(name, {})[seed] = report.percent
    first = next(iter(reports.values()))
    return {
        "dataset": first.dataset,
        "split": split,
        "metric": first.metric,
        "num_segments": first.num_segments,
        "chance": 100 * first.chance,
        "systems": [_system_row(name, by_seed, runs) for name, by_seed in measured.items()],
        "orderings": [
            row
            for pair in (*ORDERINGS, *EXPECTED)
            if _alike(runs, *pair) and (row := _ordering(measured, *pair)) is not None
        ],
    }


def _alike(runs: Sequence[AblationRun], better: str, worse: str) -> bool:
    """Whether both systems have the same ResNet, as far as they are defined by one: the paper
    compares no others."""
    backbones = {run.row.backbone for run in runs if run.row.name in (better, worse)}
    return len(backbones) <= 1


class _Measured(BaseModel):
    """What is read of a report of `orn eval`."""

    model_config = ConfigDict(strict=True, extra="ignore")

    dataset: str
    metric: str
    num_segments: Annotated[int, Field(ge=0, lt=2**53)]
    chance: _Share
    two_heads: dict[str, Any] | None = None
    activity_head: dict[str, Any] | None = None
    object_head: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _check(self) -> "_Measured":
        value = (self._prediction or {}).get(self.metric)
        if not isinstance(value, float | int) or not 0 <= value <= 1:
            raise ValueError(f"wanted a head with {self.metric!r} from 0 to 1, found none")
        return self

    @property
    def _prediction(self) -> dict[str, Any] | None:
        return self.two_heads or self.activity_head or self.object_head

    @property
    def percent(self) -> float:
        """The metric of the system's prediction."""
        return 100 * float((self._prediction or {})[self.metric])


def _read(run: AblationRun, split: str) -> _Measured:
    path = run.folder / f"eval-{split}.json"
    if not path.is_file():
        raise CheckpointError(
            f"{run.title}: wanted {path}, found none; run the ablation to its end"
        )
    try:
        content = read_json(path, error=CheckpointError)
        return config_from_dict(content, _Measured, source=str(path), error=CheckpointError)
    except CheckpointError as err:
        raise CheckpointError(f"{err}; remove it, and the run is measured again") from err


def _system_row(
    name: str, by_seed: Mapping[int, float], runs: Sequence[AblationRun]
) -> dict[str, Any]:
    own = [run for run in runs if run.row.name == name]
    return {
        "system": name,
        "title": own[0].row.title,
        "overrides": list(own[0].overrides),
        "paper": own[0].row.paper,
        "percent_by_seed": {str(seed): value for seed, value in by_seed.items()},
        **asdict(mean_interval(list(by_seed.values()))),
        **_training_cost([run.folder for run in own]),
    }


def _training_cost(folders: Sequence[Path]) -> dict[str, float | int | None]:
    """`steps` of one run, and `clips_per_second`, the median of all that its runs logged.

    Rates of trainings that shared the cores with others say what the experiment took; what a system
    takes alone may differ.

    Args:
        folders: of the runs of one system; None stands for what they did not log.
    """
    steps: set[int] = set()
    rates: list[float] = []
    for folder in folders:
        for row in jsonl_records(folder / METRICS_NAME):
            step, rate = row.get("step"), row.get("clips_per_second")
            if row.get("group") == "train" and isinstance(step, int):
                steps.add(step)
                rates += [rate] if isinstance(rate, float) and math.isfinite(rate) else []
    return {
        "steps": max(steps, default=None),
        "clips_per_second": round(statistics.median(rates), 1) if rates else None,
    }


def _ordering(
    measured: Mapping[str, Mapping[int, float]], better: str, worse: str
) -> dict[str, Any] | None:
    """Whether the first is better here, too; None where one of them was not measured."""
    if better not in measured or worse not in measured:
        return None
    difference = paired_difference(measured[better], measured[worse])
    if difference is None:
        return None
    verdict = "holds" if difference.mean > 0 else "does not hold"
    if not difference.excludes_zero:
        verdict = "not decided"
    return {"better": better, "worse": worse, "verdict": verdict, **asdict(difference)}


def rate_text(row: Mapping[str, Any]) -> str:
    """Clips a second of a system's training, `-` where they were not logged."""
    rate = row["clips_per_second"]
    return "-" if rate is None else f"{rate:.0f}"


def _tables(report: Mapping[str, Any]) -> list[list[tuple[str, ...]]]:
    """The systems, and the orderings where any are expected."""
    papers = ("epic", "vlog", "something")
    dataset = report["dataset"]
    systems: list[tuple[str, ...]] = [
        ("system", *(f"paper {name}" for name in papers), dataset, "seeds", "clips/s", "")
    ]
    for row in report["systems"]:
        figures = (row["paper"].get(name, "-") for name in papers)
        seeds, rate = str(row["num_seeds"]), rate_text(row)
        systems.append((row["system"], *figures, interval_text(row), seeds, rate, row["title"]))
    orderings: list[tuple[str, ...]] = [("expected", "over", "difference here", "")]
    for row in report["orderings"]:
        orderings.append((row["better"], row["worse"], interval_text(row), row["verdict"]))
    return [systems, orderings] if report["orderings"] else [systems]


def report_text(report: Mapping[str, Any]) -> str:
    """The report for people."""
    chosen = report.get("searched")
    note = f"; {chosen} was chosen on this split" if chosen and report["split"] != "test" else ""
    head = (
        f"{report['dataset']}, {report['split']}: {report['metric']} in percent on "
        f"{report['num_segments']} segments, chance {report['chance']:.1f}; mean over seeds +- "
        f"half of the 95 % interval{note}"
    )
    return "\n\n".join([head, *(columns(rows) for rows in _tables(report))])


def markdown_table(report: Mapping[str, Any]) -> str:
    """Both tables of the report in Markdown."""
    return "\n\n".join(markdown(rows) for rows in _tables(report)) + "\n"
