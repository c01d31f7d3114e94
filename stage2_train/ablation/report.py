"""The report of an ablation: results next to the paper's results, and contrasts between systems."""

import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_jsonable_python

from orn.shared.config.bounded import read_json
from orn.shared.config.fields import explain
from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.report import Report, Table, filled_columns
from orn.shared.text import counted
from orn.stage2_train.ablation.figures import RunResult, write_csv
from orn.stage2_train.ablation.pictures import plot_report
from orn.stage2_train.ablation.plan import AblationRow
from orn.stage2_train.evaluation.statistics import (
    CONFIDENCE,
    holm,
    interval_text,
    mean_interval,
    paired,
)
from orn.stage2_train.systems import SYSTEMS

_PARTS = tuple(
    system.name
    for system in SYSTEMS
    if system.table == 2 and system.settings["heads"] == "both" and system.name != "orn"
)
"""The other systems with two heads."""
ORDERINGS: tuple[tuple[str, str], ...] = (
    ("orn", "object-head"),
    ("activity-head", "object-head"),
    *(("orn", other) for other in ("activity-head", *_PARTS)),
    *(("object-head", f"{other}-object-head") for other in _PARTS),
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
"""Orderings reported in the paper's tables: the first system is better than the second."""
EXPECTED: tuple[tuple[str, str], ...] = (
    ("orn", "late-fusion"),
    ("late-fusion", "activity-head"),
    ("late-fusion", "object-head"),
)
"""Expected orderings of late fusion: the first system is better than the second."""
STILL_FALLS = 0.05
"""Threshold of `loss_fall` above which a loss is still decreasing."""
_ROUNDING = 1e-9
_Side = tuple[str, str]
"""Names of a system and of a variant."""
_Rows = dict[_Side, dict[str, Any]]
"""Rows of the table of systems."""


def ablation_report(
    results: Sequence[RunResult],
    *,
    primary: Sequence[tuple[str, str]] = (),
    rows: Mapping[str, AblationRow] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the report on results as a JSON object.

    A contrast is inconclusive if one of its sides has not learned: if the mean over its seeds does
    not exceed the floor (chance by default), or if its loss is still decreasing, by more than 5 %
    of the first loss over the last two tenths of the last phase, on average over its seeds.

    Args:
        results: results on one data set and split, in display order.
        primary: pairs of systems, or of `SYSTEM@VALUE`, that were specified in advance. Every other
            contrast is exploratory. Holm's method corrects for the number of contrasts.
        rows: descriptions of the systems by name.

    Raises:
        ConfigError: if results are not comparable, or a primary contrast refers to an unknown
            system.
    """
    first, sides = results[0], dict[_Side, list[RunResult]]()
    for result in results:
        for name in ("dataset", "split", "setting", "metric"):
            expected, got = getattr(first, name), getattr(result, name)
            if expected != got:
                raise ConfigError(
                    f"{result.runs[0]}: expected the {name} {expected!r} as in {first.runs[0]}, "
                    f"got {got!r}; report each {name} separately"
                )
        sides.setdefault((result.system, result.value), []).append(result)
    systems = {side: _system_row(own, rows.get(side[0])) for side, own in sides.items()}
    report = {
        "dataset": first.dataset,
        "split": first.split,
        "metric": first.metric,
        "varied": first.setting or None,
        "values": list(dict.fromkeys(result.value for result in results)),
        "commits": sorted({result.commit for result in results}),
        "threads": sorted({result.threads for result in results}),
        "systems": list(systems.values()),
        "contrasts": _contrasts(systems, primary),
        "results": results,
    }
    return dict(to_jsonable_python(report))


def _system_row(own: Sequence[RunResult], row: AblationRow | None) -> dict[str, Any]:
    whole = {
        name: _mean(own, name)
        for name in ("steps", "seconds", "clips_per_second", "parameters", "last_loss")
    }
    chance = 100 * (_mean(own, "chance") or 0.0)
    floor = _mean(own, "floor")
    floor = chance if floor is None else 100 * floor
    score = mean_interval([result.percent() for result in own])
    why_not_learned = None
    if score.mean <= floor + _ROUNDING:
        why_not_learned = "not above the floor"
    elif (_mean(own, "loss_fall") or 0.0) > STILL_FALLS + _ROUNDING:
        why_not_learned = "loss still falls"
    return {
        "system": own[0].system,
        "value": own[0].value,
        "title": row.title if row else "",
        "paper": row.paper if row else {},
        "backbone": row.backbone if row else None,
        "runs": [run for result in own for run in result.runs],
        "percent_by_seed": {result.seed: result.percent() for result in own},
        **asdict(score),
        "heads": {
            head: asdict(mean_interval([result.percent(head) for result in own]))
            for head in own[0].heads
            if all(head in each.heads for each in own)
        },
        **whole,
        "num_segments": int(_mean(own, "num_segments") or 0),
        "chance": chance,
        "floor": floor,
        "why_not_learned": why_not_learned,
    }


def _mean(results: Sequence[RunResult], name: str) -> float | None:
    """Return the mean of a value of `whole` over the results that have it."""
    found = [each.whole[name] for each in results if name in each.whole]
    return statistics.fmean(found) if found else None


def _contrasts(systems: _Rows, primary: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Return contrasts: primary, then from the paper, then between each variant and the first."""
    found: dict[frozenset[_Side], dict[str, Any]] = {}
    for kind, better, worse in _pairs(systems, primary):
        ours, theirs = systems[better], systems[worse]
        # The paper does not compare systems with different ResNets.
        alike = len({ours["backbone"], theirs["backbone"]} - {None}) <= 1
        sides = frozenset((better, worse))
        if sides in found or ours["runs"] == theirs["runs"] or not (alike or kind == "primary"):
            continue
        within = better[1] == worse[1]
        found[sides] = {
            "kind": kind,
            "value": better[1] if within else "",
            "better": better[0] if within else "@".join(better),
            "worse": worse[0] if within else "@".join(worse),
            **asdict(paired(ours["percent_by_seed"], theirs["percent_by_seed"])),
            "p_holm": None,
            "not_learned": [
                "@".join(filter(None, side))
                for side in (better, worse)
                if systems[side]["why_not_learned"]
            ],
        }
    contrasts = list(found.values())
    tested = [row for row in contrasts if row["p_value"] is not None]
    for row, p_value in zip(tested, holm([row["p_value"] for row in tested]), strict=True):
        row["p_holm"] = p_value
    return [row | {"verdict": _verdict(row)} for row in contrasts]


def _pairs(
    systems: _Rows, primary: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, _Side, _Side]]:
    values = tuple(dict.fromkeys(value for _, value in systems))
    for pair in primary:
        fixed = ["@" in name for name in pair]
        known = [
            each
            for each in zip(*(_sides_of(name, values) for name in pair), strict=False)
            if each[0] in systems and each[1] in systems
        ]
        if not known or any(fixed) != all(fixed):
            names = ", ".join("@".join(filter(None, side)) for side in systems)
            raise ConfigError(
                f"--primary {':'.join(pair)}: expected BETTER:WORSE with two of {names}, both with "
                "@VALUE or both without"
            )
        yield from (("primary", better, worse) for better, worse in known)
    for value in values:
        for better, worse in (*ORDERINGS, *EXPECTED):
            if (better, value) in systems and (worse, value) in systems:
                yield "exploratory", (better, value), (worse, value)
    for system, value in systems:
        if value != values[0] and (system, values[0]) in systems:
            yield "exploratory", (system, value), (system, values[0])


def _sides_of(name: str, values: Sequence[str]) -> list[_Side]:
    system, at, value = name.partition("@")
    return [(system, value)] if at else [(system, each) for each in values]


def _verdict(row: Mapping[str, Any]) -> str:
    if row["not_learned"]:
        return "one side has not learned"
    if row["p_holm"] is None:
        return f"not decided: {counted(row['num_pairs'], 'seed')} in common"
    if row["p_holm"] >= 1 - CONFIDENCE:
        return "not decided"
    return "holds" if row["mean"] > 0 else "does not hold"


class _KeptReport(BaseModel):
    """The fields of a JSON report that are read."""

    results: list[RunResult] = Field(min_length=1)


def joined_report(varied: str, files: Mapping[str, Path]) -> dict[str, Any]:
    """Return a joint report on several ablations.

    Args:
        varied: name of the quantity that differs between them.
        files: their JSON reports by the value of that quantity, in display order.

    Raises:
        ConfigError: if a file is not a report of an ablation, or the results are not comparable.
    """
    joined: list[RunResult] = []
    for value, path in files.items():
        try:
            results = _KeptReport.model_validate(read_json(path)).results
        except ValidationError as err:
            raise ConfigError(
                f"{path}: not a valid report of `orn ablate`: {explain(err, _KeptReport)}; pass "
                "the .json file that it wrote"
            ) from err
        if results[0].setting:
            raise ConfigError(
                f"{path}: expected a report without --vary and --variant, got one that varies "
                f"{results[0].setting}; pass a different report"
            )
        joined += [replace(result, setting=varied, value=value) for result in results]
    return ablation_report(joined)


def write_report(report: Mapping[str, Any], stem: Path, *, over_seconds: bool = False) -> None:
    """Write a report as STEM.json, STEM.md (its tables), STEM.csv (its results) and STEM.png."""
    write_csv([RunResult(**each) for each in report["results"]], Path(f"{stem}.csv"))
    write_text(Path(f"{stem}.json"), json.dumps(report, indent=2, allow_nan=False) + "\n")
    write_text(Path(f"{stem}.md"), f"{as_report(report).markdown()}\n")
    plot_report(report, Path(f"{stem}.png"), over_seconds=over_seconds)


_Columns = dict[str, Callable[[Mapping[str, Any]], str]]
"""Functions that format the cells of a row, by column."""


def as_report(report: Mapping[str, Any]) -> Report:
    """Return the report in printable form."""
    notes = [f"floor {_range(report, 'floor', '.1f')}"]
    if report["varied"]:
        notes.append(f"against {report['varied']}")
    for name, words in (("commits", "COMMITS"), ("threads", "NUMBERS OF THREADS")):
        if len(report[name]) > 1:
            notes.append(f"RUNS WITH DIFFERENT {words}: {', '.join(report[name])}")
    chosen = report.get("searched")
    if chosen and report["split"] != "test":
        notes.append(f"{chosen} was chosen on this split")
    segments, chance = _range(report, "num_segments", "d"), _range(report, "chance", ".1f")
    return Report(
        title=f"{report['dataset']}, {report['split']}: {report['metric']} in percent on "
        f"{segments} segments, chance {chance}, {'; '.join(notes)}; mean over seeds +- half the "
        "width of the 95 % interval, differences paired by seed",
        tables=_tables(report),
    )


def _range(report: Mapping[str, Any], figure: str, style: str) -> str:
    """Return the value if all systems share it, otherwise the smallest and the largest value."""
    values = [row[figure] for row in report["systems"]]
    least, largest = (format(value, style) for value in (min(values), max(values)))
    return least if least == largest else f"{least} to {largest}"


def _tables(report: Mapping[str, Any]) -> list[Table]:
    """Return the table of systems and, if there are contrasts, their table."""
    varied = report["varied"] or ""
    systems: _Columns = {
        varied: lambda row: row["value"],
        "system": lambda row: row["system"],
        "paper epic": lambda row: row["paper"].get("epic", ""),
        "paper vlog": lambda row: row["paper"].get("vlog", ""),
        "paper something": lambda row: row["paper"].get("something", ""),
        report["dataset"]: lambda row: interval_text(row["mean"], row["half_width"]),
        "seeds": lambda row: str(row["num_seeds"]),
        "activity head": lambda row: _head(row, "activity_head"),
        "object head": lambda row: _head(row, "object_head"),
        "last loss": lambda row: _number(row["last_loss"], ".2f"),
        "seconds": lambda row: _number(row["seconds"]),
        "clips/s": lambda row: _number(row["clips_per_second"]),
        "parameters": lambda row: _number(row["parameters"]),
        " ": lambda row: ", ".join(filter(None, (row["why_not_learned"], row["title"]))),
    }
    contrasts: _Columns = {
        varied: lambda row: row["value"],
        "contrast": lambda row: row["kind"],
        "expected": lambda row: row["better"],
        "over": lambda row: row["worse"],
        "difference": lambda row: interval_text(row["mean"], row["half_width"]),
        "pairs": lambda row: str(row["num_pairs"]),
        "p": lambda row: _p_value(row["p_value"]),
        "p (Holm)": lambda row: _p_value(row["p_holm"]),
        " ": lambda row: ", ".join((row["verdict"], *row["not_learned"])),
    }
    tables = ((systems, report["systems"]), (contrasts, report["contrasts"]))
    return [
        filled_columns(
            Table(
                header=tuple(name.strip() for name in cells),
                rows=[[cell(row) or "-" for cell in cells.values()] for row in rows],
            )
        )
        for cells, rows in tables
        if rows
    ]


def _head(row: Mapping[str, Any], head: str) -> str:
    """Return the score of a head in a system with two heads, otherwise an empty string."""
    if len(row["heads"]) == 1 or head not in row["heads"]:
        return ""
    return interval_text(row["heads"][head]["mean"], row["heads"][head]["half_width"])


def _number(value: float | None, style: str = ",.0f") -> str:
    return "" if value is None else format(value, style)


def _p_value(value: float | None) -> str:
    return "<0.001" if value is not None and value < 0.0005 else _number(value, ".3f")
