"""The result of an ablation: systems next to the paper's results, and contrasts between systems.

Two systems are paired by seed: the same seed gives both the same order of clips, crops and
reference frames, so part of the variation between seeds is common to both.
"""

import json
import math
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from orn.shared.errors import CheckpointError, ConfigError, PipelineError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.text import counted
from orn.shared.text_summary import Summary, Table, filled_columns
from orn.stage2_train.evaluation.bootstrap import CONFIDENCE, student_t
from orn.stage2_train.model.build import planned_network
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.made_from import why_stale
from orn.stage2_train.runs.run_config import recorded_config
from orn.stage2_train.runs.run_folder import (
    BEST_NAME,
    STARTS_NAME,
    read_jsonl,
    read_status,
    result_paths,
    weights_digest,
)
from orn.stage2_train.settings.systems import SYSTEMS, find_system, system_names
from orn.steps.ablation_plan import paper_results

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
_ROUNDING = 1e-9
_Result = Mapping[str, Any]
"""Result of a run, see `read_results`."""
_Side = tuple[str, str]
"""Names of a system and of its settings."""
_Rows = dict[_Side, dict[str, Any]]
"""Rows of the table of systems."""


def stale_training(run: Path) -> str | None:
    """Return "" unless the training of a run is finished and its best weights exist."""
    status = read_status(run)
    is_finished = status is not None and status.finished and (run / BEST_NAME).is_file()
    return None if is_finished else ""


def stale_result(run: Path, split: str) -> str | None:
    """Return why a run must be evaluated on a split: with its best weights, unless these were
    removed since; None if its results are current, and it is not unfinished."""
    status = read_status(run)
    if status is not None and not status.finished:  # may have been evaluated by hand
        return ""
    inputs: dict[str, str] = {}
    with suppress(PipelineError):
        inputs["weights"] = weights_digest(run)
    return why_stale(result_paths(run, split)[0], inputs)


def read_results(out: Path, split: str) -> list[dict[str, Any]]:
    """Return the results on a split of all finished runs in the folder of an ablation, as JSON
    objects, sorted by the order of `SYSTEMS`, settings and seed.

    Returns:
        For each run: `dataset`, `split`, `metric`, `num_segments`, `chance` and the folder `run`;
        `system`, `settings` (those that were set, as in the name of the folder) and `seed`; the
        `commit` of each start, separated by spaces; `heads`, metrics in 0..1 by head and metric
        name, the prediction first; and `backbone`, `parameters` and `seconds` of training, None if
        unknown.

    Raises:
        CheckpointError: if a result file is damaged.
    """
    order = system_names()
    found: list[tuple[int, str, int, Path]] = []
    for path in out.glob(f"*/**/eval-{split}.json"):
        system, *labels, seed = path.parent.relative_to(out).parts
        number = re.fullmatch(r"seed(\d+)", seed)
        if system not in order or number is None or len(labels) > 1:
            continue
        if stale_result(path.parent, split) is None:
            label = labels[0] if labels else ""
            found.append((order.index(system), label, int(number[1]), path))
    return [
        {"system": order[rank], "settings": label, "seed": seed, **_read(path)}
        for rank, label, seed, path in sorted(found)
    ]


def _read(path: Path) -> dict[str, Any]:
    folder, measured, status = path.parent, read_eval(path), read_status(path.parent)
    heads = measured.heads()
    if measured.metric not in next(iter(heads.values()), {}):
        raise CheckpointError(
            f"{path}: not a valid result file of `orn eval`: no {measured.metric} for the "
            "prediction; remove the file and run the ablation again"
        )
    backbone = parameters = None
    with suppress(ConfigError):
        model = recorded_config(folder).recipe.model
        backbone, network = model.backbone, planned_network(model)
        parameters = sum(parameter.numel() for parameter in network.parameters())
    commits = (start.get("commit") for start in read_jsonl(folder / STARTS_NAME))
    shared = ("dataset", "metric", "num_segments", "chance")
    return {
        **{name: getattr(measured, name) for name in shared},
        "split": measured.split,
        "run": str(folder),
        "commit": " ".join(dict.fromkeys(map(str, filter(None, commits)))),
        "heads": heads,
        "backbone": backbone,
        "parameters": parameters,
        "seconds": status and status.seconds,
    }


def ablation_summary(results: Sequence[_Result], *, table: str | None = None) -> dict[str, Any]:
    """Return the comparison of systems as a JSON object.

    A contrast is inconclusive if one of its sides has not learned: if the mean over its seeds does
    not exceed chance.

    Args:
        results: results on one data set and split, in display order.
        table: table of the paper from which its results are shown; None: the system's own.

    Raises:
        ConfigError: if results are not comparable.
    """
    first, sides = results[0], dict[_Side, list[_Result]]()
    shared = ("dataset", "split", "metric", "num_segments")
    for result in results:
        for name in shared:
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
        **{name: first[name] for name in (*shared, "chance")},
        "commits": sorted({result["commit"] for result in results}),
        "systems": list(systems.values()),
        "contrasts": _contrasts(systems),
        "results": list(results),
    }


def mean_interval(values: Sequence[float]) -> dict[str, Any]:
    """Return the `mean` of one or more values, one per seed, with the `half_width` of its 95 %
    confidence interval and the two-sided `p_value` of a mean of 0, both from Student's t (None with
    fewer than two seeds), and `num_seeds`."""
    mean, number = statistics.fmean(values), len(values)
    half_width = p_value = None
    if number > 1:
        from scipy.special import stdtr

        error = statistics.stdev(values) / math.sqrt(number)
        half_width = student_t(number - 1) * error
        p_value = float(2 * stdtr(number - 1, -abs(mean) / error)) if error else float(not mean)
    return {"mean": mean, "half_width": half_width, "p_value": p_value, "num_seeds": number}


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's method, in the given order.

    Rejecting hypotheses with values below 0.05 has a family-wise error rate of 5 %.
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _percent(result: _Result, head: str | None = None) -> float:
    """Return the metric of a head (by default, of the prediction) in percent."""
    return float(100 * result["heads"][head or next(iter(result["heads"]))][result["metric"]])


def _system_row(own: Sequence[_Result], table: str | None) -> dict[str, Any]:
    system = find_system(own[0]["system"])
    score = mean_interval([_percent(result) for result in own])
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
        **{name: _mean(own, name) for name in ("seconds", "parameters")},
        "has_learned": score["mean"] > 100 * own[0]["chance"] + _ROUNDING,
    }


def _mean(results: Sequence[_Result], name: str) -> float | None:
    """Return the mean of a value over the results that have it."""
    values = [result[name] for result in results if result[name] is not None]
    return statistics.fmean(values) if values else None


def _contrasts(systems: _Rows) -> list[dict[str, Any]]:
    """Return the contrasts from the paper, then those between settings of one system, paired by
    their common seeds."""
    contrasts = []
    for better, worse in _pairs(systems):
        ours, theirs = (systems[side]["percent_by_seed"] for side in (better, worse))
        if differences := [ours[seed] - theirs[seed] for seed in ours if seed in theirs]:
            sides = [side for side in (better, worse) if not systems[side]["has_learned"]]
            contrasts.append(
                {
                    "better": _name(better),
                    "worse": _name(worse),
                    **mean_interval(differences),
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
        return f"not above chance: {', '.join(row['not_learned'])}"
    if row["p_holm"] is None:
        return f"not decided: {counted(row['num_seeds'], 'seed')} in common"
    if row["p_holm"] >= 1 - CONFIDENCE:
        return "not decided"
    return "holds" if row["mean"] > 0 else "does not hold"


def write_comparison(comparison: Mapping[str, Any], stem: Path) -> None:
    """Write a comparison as STEM.json and STEM.md (its tables)."""
    write_text(Path(f"{stem}.json"), json.dumps(comparison, indent=2, allow_nan=False) + "\n")
    write_text(Path(f"{stem}.md"), f"{as_summary(comparison).markdown()}\n")


def as_summary(comparison: Mapping[str, Any]) -> Summary:
    """Return the comparison as text."""
    rows, commits = comparison["systems"], comparison["commits"]
    tables = [_system_table(rows, comparison["dataset"]), _contrast_table(comparison["contrasts"])]
    return Summary(
        title=f"{comparison['dataset']}, {comparison['split']}: {comparison['metric']} in percent "
        f"on {counted(comparison['num_segments'], 'segment')}, chance "
        f"{100 * comparison['chance']:.1f}; mean over seeds +- half the width of the 95 % "
        "interval, differences paired by seed",
        tables=[filled_columns(table) for table in tables if table.rows],
        notes=[f"RUNS WITH DIFFERENT COMMITS: {', '.join(commits)}"] if len(commits) > 1 else [],
    )


def _system_table(rows: Sequence[Mapping[str, Any]], dataset: str) -> Table:
    header = (
        *("system", "settings", "paper", dataset, "seeds", "activity head", "object head"),
        *("seconds", "parameters", ""),
    )
    cells = [
        (
            row["system"],
            row["settings"],
            row["paper"].get(dataset, ""),
            _interval_text(row),
            str(row["num_seeds"]),
            _head(row, "activity_head"),
            _head(row, "object_head"),
            *(_number(row[name]) for name in ("seconds", "parameters")),
            row["title"],
        )
        for row in rows
    ]
    return Table(header=header, rows=_with_dashes(cells))


def _contrast_table(contrasts: Sequence[Mapping[str, Any]]) -> Table:
    cells = [
        (
            row["better"],
            row["worse"],
            _interval_text(row),
            str(row["num_seeds"]),
            _p_value(row["p_value"]),
            _p_value(row["p_holm"]),
            row["verdict"],
        )
        for row in contrasts
    ]
    header = ("expected", "over", "difference", "pairs", "p", "p (Holm)", "")
    return Table(header=header, rows=_with_dashes(cells))


def _with_dashes(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[cell or "-" for cell in row] for row in rows]


def _head(row: Mapping[str, Any], head: str) -> str:
    """Return the score of a head in a system with two heads, otherwise an empty string."""
    if len(row["heads"]) == 1 or head not in row["heads"]:
        return ""
    return _interval_text(row["heads"][head])


def _interval_text(figure: Mapping[str, Any]) -> str:
    """Return the result of `mean_interval` as text: the mean with half the width of its
    interval."""
    half_width = figure["half_width"]
    return f"{figure['mean']:.1f}" + ("" if half_width is None else f" +- {half_width:.1f}")


def _number(value: float | None, style: str = ",.0f") -> str:
    return "" if value is None else format(value, style)


def _p_value(value: float | None) -> str:
    return "<0.001" if value is not None and value < 0.0005 else _number(value, ".3f")
