"""What an ablation found: the paper's table beside ours, and which of its orderings hold."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import CheckpointError
from shared.text_table import columns, markdown
from stage2_train.ablation.cost import training_cost
from stage2_train.ablation.plan import AblationRun
from stage2_train.ablation.statistics import (
    Interval,
    interval_text,
    mean_interval,
    paired_difference,
)

__all__ = ["ORDERINGS", "ablation_report", "markdown_table", "rate_text", "report_text"]

_HEADS = ("two_heads", "activity_head", "object_head")
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
class _Measured:
    """What was measured of one system."""

    system: str
    by_seed: Mapping[int, float]
    """Metric of each seed, in percent."""

    @property
    def interval(self) -> Interval:
        return mean_interval(list(self.by_seed.values()))


def ablation_report(runs: Sequence[AblationRun], *, split: str) -> dict[str, Any]:
    """Everything that the runs' measurements say, as plain values.

    Raises:
        CheckpointError: if a run is not measured on the split.
    """
    reports = {(run.row.name, run.seed): _read(run, split) for run in runs}
    systems = list(dict.fromkeys(run.row.name for run in runs))
    measured = {
        name: _Measured(
            system=name,
            by_seed={
                seed: _metric(report) for (own, seed), report in reports.items() if own == name
            },
        )
        for name in systems
    }
    first = next(iter(reports.values()))
    return {
        "dataset": first["dataset"],
        "split": split,
        "metric": first["metric"],
        "num_segments": first["num_segments"],
        "chance": 100 * first["chance"],
        "systems": [_system_row(measured[name], runs) for name in systems],
        "orderings": [
            row
            for pair in (*ORDERINGS, *EXPECTED)
            if _alike(runs, *pair) and (row := _ordering(measured, *pair)) is not None
        ],
    }


def _alike(runs: Sequence[AblationRun], better: str, worse: str) -> bool:
    """Whether both systems have the same ResNet, as far as they are defined by one: the paper
    compares no others."""
    backbones = {
        run.row.backbone or run.recipe_backbone for run in runs if run.row.name in (better, worse)
    }
    return len(backbones) <= 1


def _read(run: AblationRun, split: str) -> dict[str, Any]:
    path = run.folder / f"eval-{split}.json"
    if not path.is_file():
        raise CheckpointError(
            f"{run.title}: wanted {path}, found none; run the ablation to its end"
        )
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _metric(report: Mapping[str, Any]) -> float:
    """The metric of a system's prediction, in percent."""
    head = next(head for head in _HEADS if head in report)
    return 100 * float(report[head][report["metric"]])


def _system_row(measured: _Measured, runs: Sequence[AblationRun]) -> dict[str, Any]:
    run = next(run for run in runs if run.row.name == measured.system)
    return {
        "system": run.row.name,
        "title": run.row.title,
        "overrides": list(run.overrides),
        "paper": run.row.paper,
        "percent_by_seed": {str(seed): value for seed, value in measured.by_seed.items()},
        **measured.interval.as_json(),
        **training_cost([own.folder for own in runs if own.row.name == measured.system]),
    }


def _ordering(measured: Mapping[str, _Measured], better: str, worse: str) -> dict[str, Any] | None:
    """Whether the first is better here, too; None where one of them was not measured."""
    if better not in measured or worse not in measured:
        return None
    difference = paired_difference(measured[better].by_seed, measured[worse].by_seed)
    if difference is None:
        return None
    if not difference.excludes_zero:
        verdict = "not decided"
    else:
        verdict = "holds" if difference.mean > 0 else "does not hold"
    return {"better": better, "worse": worse, "verdict": verdict, **difference.as_json()}


def rate_text(row: Mapping[str, Any]) -> str:
    """Clips a second of a system's training, `-` where they were not logged."""
    rate = row["clips_per_second"]
    return "-" if rate is None else f"{rate:.0f}"


def _system_cells(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    papers = ("epic", "vlog", "something")
    header = (
        "system",
        *(f"paper {name}" for name in papers),
        report["dataset"],
        "seeds",
        "clips/s",
        "",
    )
    return [
        header,
        *(
            (
                row["system"],
                *(row["paper"].get(name, "-") for name in papers),
                interval_text(row),
                str(row["num_seeds"]),
                rate_text(row),
                row["title"],
            )
            for row in report["systems"]
        ),
    ]


def _ordering_cells(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        ("expected", "over", "difference here", ""),
        *(
            (
                row["better"],
                row["worse"],
                interval_text(row),
                row["verdict"],
            )
            for row in report["orderings"]
        ),
    ]


def report_text(report: Mapping[str, Any]) -> str:
    """The report for people."""
    chosen = report.get("searched")
    note = f"; {chosen} was chosen on this split" if chosen and report["split"] != "test" else ""
    parts = [
        f"{report['dataset']}, {report['split']}: {report['metric']} in percent on "
        f"{report['num_segments']} segments, chance {report['chance']:.1f}; mean over seeds +- "
        f"half of the 95 % interval{note}",
        "",
        columns(_system_cells(report)),
    ]
    if report["orderings"]:
        parts += ["", columns(_ordering_cells(report))]
    return "\n".join(parts)


def markdown_table(report: Mapping[str, Any]) -> str:
    """Both tables of the report in Markdown."""
    tables = [_system_cells(report)]
    tables += [_ordering_cells(report)] if report["orderings"] else []
    return "\n\n".join(markdown(rows) for rows in tables) + "\n"
