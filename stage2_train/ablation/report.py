"""What an ablation found: the paper's table beside ours, and which contrasts hold."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.shared.errors import ConfigError
from orn.stage2_train.ablation.results import RunResult
from orn.stage2_train.ablation.rows import AblationRow
from orn.stage2_train.evaluation.bootstrap import redrawn_scores
from orn.stage2_train.evaluation.statistics import CONFIDENCE, holm, mean_interval, student_t, welch
from orn.stage2_train.systems import SYSTEMS

_PARTS = tuple(
    system.name
    for system in SYSTEMS
    if system.table == 2 and system.settings["heads"] == "both" and system.name != "orn"
)
"""The other systems of two heads."""
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
"""What the paper's tables say: the first is better than the second."""
EXPECTED: tuple[tuple[str, str], ...] = (
    ("activity-head", "one-frame"),
    ("orn", "wide-activity-head"),
    ("orn", "shuffled-frames"),
    ("orn", "boxes"),
    ("orn", "mixed-classes"),
    ("orn", "late-fusion"),
    ("late-fusion", "activity-head"),
    ("late-fusion", "object-head"),
)
"""What should hold of controls if a system relies on what it is meant to rely on; and of two heads
that were trained apart."""
STILL_FALLS = 0.05
"""Of `loss_fall`, from where on a loss still falls."""
_ROUNDING = 1e-9
_Side = tuple[str, str]
"""A system, and the arm that it is trained with."""
_Sides = dict[_Side, list[RunResult]]


def ablation_report(
    results: Sequence[RunResult],
    *,
    primary: Sequence[tuple[str, str]] = (),
    rows: Mapping[str, AblationRow] = MappingProxyType({}),
) -> dict[str, Any]:
    """Everything that the results say, as plain values.

    A side of a contrast has not learned if the mean over its seeds is not above the floor (chance
    where no floor is given), or if its loss still falls: by more than 5 % of the first loss from
    the last tenth but one of the last phase to the last tenth, in the mean over its seeds. Such a
    contrast says nothing of what the systems can learn.

    Args:
        results: of one data set and split, in the order to show them in.
        primary: pairs of systems that the comparison is made for; `SYSTEM@VALUE` is a system with
            one arm. Holm corrects for their number. Every other contrast is exploratory.
        rows: what is known of the systems by name.

    Raises:
        ConfigError: if results are of different data, or a primary contrast is of none of them.
    """
    _check_alike(results)
    sides: _Sides = {}
    for result in results:
        sides.setdefault((result.system, result.value), []).append(result)
    first, backbones = results[0], {name: row.backbone for name, row in rows.items()}
    return {
        "dataset": first.dataset,
        "split": first.split,
        "metric": first.metric,
        "varied": first.setting or None,
        "values": list(dict.fromkeys(result.value for result in results)),
        "num_segments": int(_figure(results[:1], "num_segments") or 0),
        "chance": _chance(results[:1]),
        "commits": sorted({result.commit for result in results}),
        "threads": sorted({result.threads for result in results}),
        "systems": [_system_row(side, own, rows) for side, own in sides.items()],
        "orderings": _contrasts(sides, primary, backbones),
    }


def _check_alike(results: Sequence[RunResult]) -> None:
    first = results[0]
    for result in results:
        for name in ("dataset", "split", "setting", "metric"):
            wanted, found = getattr(first, name), getattr(result, name)
            if wanted != found:
                raise ConfigError(
                    f"{result.run}: wanted the {name} {wanted!r} as in {first.run}, found "
                    f"{found!r}; a report is of one {name}"
                )


def _figure(results: Sequence[RunResult], name: str) -> float | None:
    """Mean of a figure of whole runs over those that have it."""
    found = [each.figures["", name] for each in results if ("", name) in each.figures]
    return statistics.fmean(found) if found else None


def _system_row(
    side: _Side, own: Sequence[RunResult], rows: Mapping[str, AblationRow]
) -> dict[str, Any]:
    name, value = side
    row = rows.get(name)
    figures = {
        figure: _figure(own, figure)
        for figure in ("steps", "seconds", "clips_per_second", "parameters", "last_loss")
    }
    heads = [head for head in own[0].heads if all(head in each.heads for each in own)]
    return {
        "system": name,
        "value": value,
        "title": row.title if row else "",
        "paper": row.paper if row else {},
        "percent_by_seed": {str(result.seed): result.percent() for result in own},
        **asdict(mean_interval([result.percent() for result in own])),
        "heads": {
            head: asdict(mean_interval([result.percent(head) for result in own])) for head in heads
        },
        **figures,
        "num_segments": int(_figure(own, "num_segments") or 0),
        "chance": _chance(own),
        "floor": _floor(own),
        "why_not_learned": _why_not_learned(own),
    }


def _chance(own: Sequence[RunResult]) -> float:
    return 100 * (_figure(own, "chance") or 0.0)


def _floor(own: Sequence[RunResult]) -> float:
    floor = _figure(own, "floor")
    return _chance(own) if floor is None else 100 * floor


def _why_not_learned(own: Sequence[RunResult]) -> str | None:
    """Why it cannot be said what a system can learn; None where it has learned."""
    if statistics.fmean(result.percent() for result in own) <= _floor(own) + _ROUNDING:
        return "not above the floor"
    return (
        "loss still falls" if (_figure(own, "loss_fall") or 0.0) > STILL_FALLS + _ROUNDING else None
    )


def _contrasts(
    sides: _Sides, primary: Sequence[tuple[str, str]], backbones: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Primary ones first, in the order of the request, then what the paper expects, then each arm
    over the first one."""
    spreads = {side: _spread(own) for side, own in sides.items()}
    found: dict[tuple[_Side, _Side], dict[str, Any]] = {}
    for kind, better, worse in _pairs(sides, primary):
        ours, theirs = sides[better], sides[worse]
        # The paper compares no systems of different ResNets.
        alike = len({backbones.get(system) for system, _ in (better, worse)} - {None}) <= 1
        same_runs = {each.run for each in ours} == {each.run for each in theirs}
        if (better, worse) in found or same_runs or not (alike or kind == "primary"):
            continue
        difference = welch(*([each.percent() for each in own] for own in (ours, theirs)))
        spread = _common_spread(spreads[better], spreads[worse])
        within = better[1] == worse[1]
        found[better, worse] = {
            "kind": kind,
            "value": better[1] if within else "",
            "better": better[0] if within else "@".join(better),
            "worse": worse[0] if within else "@".join(worse),
            **asdict(difference),
            "bootstrap_half_width": None
            if spread is None or difference.freedom is None
            else student_t(difference.freedom) * spread,
            "not_learned": [
                "@".join(filter(None, side))
                for side in (better, worse)
                if _why_not_learned(sides[side])
            ],
        }
    contrasts = list(found.values())
    tested = [row for row in contrasts if row["kind"] == "primary" and row["p_value"] is not None]
    for row, p_value in zip(tested, holm([row["p_value"] for row in tested]), strict=True):
        row["p_value"] = p_value
    for row in contrasts:
        row["verdict"] = _verdict(row)
    return contrasts


def _pairs(sides: _Sides, primary: Sequence[tuple[str, str]]) -> Iterator[tuple[str, _Side, _Side]]:
    values = tuple(dict.fromkeys(value for _, value in sides))
    for pair in primary:
        fixed = ["@" in name for name in pair]
        wanted = [_sides_of(name, values) for name in pair]
        known = [
            each for each in zip(*wanted, strict=False) if each[0] in sides and each[1] in sides
        ]
        if not known or any(fixed) != all(fixed):
            names = ", ".join("@".join(filter(None, side)) for side in sides)
            raise ConfigError(
                f"--primary {':'.join(pair)}: wanted BETTER:WORSE, two of the systems compared, "
                f"{names}, both with @VALUE or both without"
            )
        yield from (("primary", better, worse) for better, worse in known)
    for value in values:
        for better, worse in (*ORDERINGS, *EXPECTED):
            if (better, value) in sides and (worse, value) in sides:
                yield "exploratory", (better, value), (worse, value)
    for system, value in sides:
        if value != values[0] and (system, values[0]) in sides:
            yield "exploratory", (system, value), (system, values[0])


def _sides_of(name: str, values: Sequence[str]) -> list[_Side]:
    system, at, value = name.partition("@")
    return [(system, value)] if at else [(system, each) for each in values]


def _spread(own: Sequence[RunResult]) -> tuple[tuple[str, ...], NDArray[np.float64]] | None:
    """The films of a system's runs, and its scores in percent for films and seeds drawn anew; None
    where logits are not kept, or for one seed."""
    kept = [found for result in own if (found := result.tallies()) is not None]
    if len(kept) < max(2, len(own)) or any(ids != kept[0][0] for ids, _ in kept):
        return None
    # Of the same runs the same, whatever an arm or a folder is called.
    name = repr([(each.system, each.seed, each.percent()) for each in own])
    return kept[0][0], 100 * redrawn_scores([each for _, each in kept], name=name)


def _common_spread(ours: Any, theirs: Any) -> float | None:
    """Standard deviation of the difference, where both are of the same films."""
    if ours is None or theirs is None or ours[0] != theirs[0]:
        return None
    return float(np.std(ours[1] - theirs[1]))


def _verdict(row: Mapping[str, Any]) -> str:
    if row["not_learned"]:
        return "one side has not learned"
    if row["p_value"] is None or row["p_value"] >= 1 - CONFIDENCE:
        return "not decided"
    return "holds" if row["mean"] > 0 else "does not hold"
