"""The result of an ablation: systems next to the paper's results, and contrasts between systems."""

import json
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.text import counted
from orn.shared.text_summary import Summary, Table, filled_columns
from orn.stage2_train.compare.ablation_plan import paper_results
from orn.stage2_train.evaluation.intervals import CONFIDENCE
from orn.stage2_train.evaluation.over_seeds import holm, interval_text, mean_interval, paired
from orn.stage2_train.settings.systems import SYSTEMS, find_system

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
STILL_FALLS = 0.05
"""Threshold of `loss_fall` above which a loss is still decreasing."""
_ROUNDING = 1e-9
_SETTINGS_END = re.compile(r",(?=[\w.]+=)")
"""The comma between two settings of a label."""
_Result = Mapping[str, Any]
"""Result of a run, see `read_results`."""
_Side = tuple[str, str]
"""Names of a system and of its settings."""
_Rows = dict[_Side, dict[str, Any]]
"""Rows of the table of systems."""


def ablation_summary(results: Sequence[_Result], *, table: str | None = None) -> dict[str, Any]:
    """Return the comparison of systems as a JSON object.

    A contrast is inconclusive if one of its sides has not learned: if the mean over its seeds does
    not exceed chance, or if its loss is still decreasing, by more than 5 % of the first loss over
    the last two tenths of the last phase, on average over its seeds.

    Args:
        results: results on one data set and split, in display order.
        table: table of the paper from which its results are shown; None: the system's own.

    Raises:
        ConfigError: if results are not comparable.
    """
    first, sides = results[0], dict[_Side, list[_Result]]()
    for result in results:
        for name in ("dataset", "split", "metric"):
            if first[name] != result[name]:
                raise ConfigError(
                    where=result["run"],
                    expected=f"the {name} {first[name]!r} as in {first['run']}",
                    got=repr(result[name]),
                    remedy="move the run to another folder",
                )
        sides.setdefault((result["system"], result["settings"]), []).append(result)
    systems = {side: _system_row(own, table) for side, own in sides.items()}
    return {
        **{name: first[name] for name in ("dataset", "split", "metric")},
        "commits": sorted({result["commit"] for result in results}),
        "threads": sorted({result["threads"] for result in results}),
        "systems": list(systems.values()),
        "contrasts": _contrasts(systems),
        "results": list(results),
    }


def _percent(result: _Result, head: str | None = None) -> float:
    """Return the metric of a head (by default, of the prediction) in percent."""
    return float(100 * result["heads"][head or next(iter(result["heads"]))][result["metric"]])


def _system_row(own: Sequence[_Result], table: str | None) -> dict[str, Any]:
    system = find_system(own[0]["system"])
    chance = 100 * (_mean(own, "chance") or 0.0)
    score = mean_interval([_percent(result) for result in own])
    why_not_learned = None
    if score["mean"] <= chance + _ROUNDING:
        why_not_learned = "not above chance"
    elif (_mean(own, "loss_fall") or 0.0) > STILL_FALLS + _ROUNDING:
        why_not_learned = "loss still falls"
    return {
        "system": system.name,
        "settings": own[0]["settings"],
        "title": system.title,
        "paper": paper_results(system, table),
        "backbone": own[0]["backbone"],
        "runs": [result["run"] for result in own],
        "percent_by_seed": {str(result["seed"]): _percent(result) for result in own},
        **score,
        "heads": {
            head: mean_interval([_percent(result, head) for result in own])
            for head in own[0]["heads"]
            if all(head in result["heads"] for result in own)
        },
        **{
            name: _mean(own, name)
            for name in ("steps", "seconds", "clips_per_second", "parameters", "last_loss")
        },
        "num_segments": int(_mean(own, "num_segments") or 0),
        "chance": chance,
        "why_not_learned": why_not_learned,
    }


def _mean(results: Sequence[_Result], name: str) -> float | None:
    """Return the mean of a value of `whole` over the results that have it."""
    values = [result["whole"][name] for result in results if name in result["whole"]]
    return statistics.fmean(values) if values else None


def _contrasts(systems: _Rows) -> list[dict[str, Any]]:
    """Return the contrasts from the paper, then those between settings of one system."""
    contrasts = []
    for better, worse in _pairs(systems):
        by_seed = (systems[side]["percent_by_seed"] for side in (better, worse))
        sides = [side for side in (better, worse) if systems[side]["why_not_learned"]]
        contrasts.append(
            {
                "better": _name(better),
                "worse": _name(worse),
                **paired(*by_seed),
                "p_holm": None,
                "not_learned": [_name(side) for side in sides],
            }
        )
    tested = [row for row in contrasts if row["p_value"] is not None]
    for row, p_value in zip(tested, holm([row["p_value"] for row in tested]), strict=True):
        row["p_holm"] = p_value
    return [row | {"verdict": _verdict(row)} for row in contrasts]


def _pairs(systems: _Rows) -> Iterator[tuple[_Side, _Side]]:
    settings: dict[str, list[str]] = {}
    for system, own in systems:
        settings.setdefault(system, []).append(own)
    for better, worse in ORDERINGS:
        ours, theirs = settings.get(better, []), settings.get(worse, [])
        equal = [(setting, setting) for setting in ours if setting in theirs]
        if len(ours) == len(theirs) == 1:
            equal = [(ours[0], theirs[0])]  # each has settings of its own
        for one, other in equal:
            backbones = {systems[better, one]["backbone"], systems[worse, other]["backbone"]}
            if len(backbones - {None}) <= 1:  # the paper does not compare different ResNets
                yield (better, one), (worse, other)
    for system, (first, *others) in settings.items():
        yield from (((system, other), (system, first)) for other in others)


def _name(side: _Side) -> str:
    return " ".join(filter(None, side))


def _verdict(row: Mapping[str, Any]) -> str:
    if row["not_learned"]:
        return "one side has not learned"
    if row["p_holm"] is None:
        return f"not decided: {counted(row['num_pairs'], 'seed')} in common"
    if row["p_holm"] >= 1 - CONFIDENCE:
        return "not decided"
    return "holds" if row["mean"] > 0 else "does not hold"


def write_comparison(comparison: Mapping[str, Any], stem: Path) -> None:
    """Write a comparison as STEM.json and STEM.md (its tables)."""
    write_text(Path(f"{stem}.json"), json.dumps(comparison, indent=2, allow_nan=False) + "\n")
    write_text(Path(f"{stem}.md"), f"{as_summary(comparison).markdown()}\n")


def as_summary(comparison: Mapping[str, Any]) -> Summary:
    """Return the comparison as text."""
    rows, dataset = comparison["systems"], comparison["dataset"]
    first, *others = (_split_settings(row["settings"]) for row in rows)
    shared = [setting for setting in first if all(setting in other for other in others)]
    notes = [f"all with {', '.join(shared)}"] if shared else []
    if any(row["num_seeds"] == 2 for row in rows):
        notes.append("of two seeds, the mean and both values")
    for name, words in (("commits", "COMMITS"), ("threads", "NUMBERS OF THREADS")):
        if len(comparison[name]) > 1:
            notes.append(f"RUNS WITH DIFFERENT {words}: {', '.join(comparison[name])}")
    segments, chance = _range(comparison, "num_segments", "d"), _range(comparison, "chance", ".1f")
    tables = [_system_table(rows, dataset, shared), _contrast_table(comparison, shared)]
    return Summary(
        title=f"{dataset}, {comparison['split']}: {comparison['metric']} in percent on {segments} "
        f"segments, chance {chance}; mean over seeds +- half the width of the 95 % interval, "
        f"differences paired by seed{''.join(f'; {note}' for note in notes)}",
        tables=[filled_columns(table) for table in tables if table.rows],
    )


def _split_settings(label: str) -> list[str]:
    """Return the settings of a label, whose values may contain commas."""
    return _SETTINGS_END.split(label) if label else []


def _own_settings(row: Mapping[str, Any], shared: Sequence[str]) -> str:
    """Return the settings of a system that not all systems share."""
    own = [setting for setting in _split_settings(row["settings"]) if setting not in shared]
    return ", ".join(own)


def _range(comparison: Mapping[str, Any], figure: str, style: str) -> str:
    """Return the value if all systems share it, otherwise the smallest and the largest value."""
    values = [row[figure] for row in comparison["systems"]]
    least, largest = (format(value, style) for value in (min(values), max(values)))
    return least if least == largest else f"{least} to {largest}"


def _system_table(rows: Sequence[Mapping[str, Any]], dataset: str, shared: Sequence[str]) -> Table:
    header = (
        *("system", "settings", "paper", dataset, "seeds", "activity head", "object head"),
        *("last loss", "seconds", "clips/s", "parameters", ""),
    )
    cells = [
        (
            row["system"],
            _own_settings(row, shared),
            row["paper"].get(dataset, ""),
            interval_text(row),
            str(row["num_seeds"]),
            _head(row, "activity_head"),
            _head(row, "object_head"),
            _number(row["last_loss"], ".2f"),
            *(_number(row[name]) for name in ("seconds", "clips_per_second", "parameters")),
            ", ".join(filter(None, (row["why_not_learned"], row["title"]))),
        )
        for row in rows
    ]
    return Table(header=header, rows=_with_dashes(cells))


def _contrast_table(comparison: Mapping[str, Any], shared: Sequence[str]) -> Table:
    name_of = {
        _name((row["system"], row["settings"])): _name((row["system"], _own_settings(row, shared)))
        for row in comparison["systems"]
    }
    cells = [
        (
            name_of[row["better"]],
            name_of[row["worse"]],
            interval_text(row),
            str(row["num_pairs"]),
            _p_value(row["p_value"]),
            _p_value(row["p_holm"]),
            ", ".join((row["verdict"], *(name_of[side] for side in row["not_learned"]))),
        )
        for row in comparison["contrasts"]
    ]
    header = ("expected", "over", "difference", "pairs", "p", "p (Holm)", "")
    return Table(header=header, rows=_with_dashes(cells))


def _with_dashes(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[cell or "-" for cell in row] for row in rows]


def _head(row: Mapping[str, Any], head: str) -> str:
    """Return the score of a head in a system with two heads, otherwise an empty string."""
    if len(row["heads"]) == 1 or head not in row["heads"]:
        return ""
    return interval_text(row["heads"][head])


def _number(value: float | None, style: str = ",.0f") -> str:
    return "" if value is None else format(value, style)


def _p_value(value: float | None) -> str:
    return "<0.001" if value is not None and value < 0.0005 else _number(value, ".3f")
