"""The leak report for people, and what it means."""

from collections.abc import Mapping
from typing import Any

from orn.shared.report import Report, Table
from orn.shared.text import counted
from orn.stage2_train.ablation.report_text import interval_text

_OF_CLASSES = ("classes-seen", "class-counts", "presence")


def meaning(report: Mapping[str, Any]) -> str:
    """In plain words, what the rows mean for a claim that objects matter."""
    rows = {row["name"]: row for row in report["rows"] if row["name"] != "oracle"}
    majority = rows["majority"]["mean"]
    if len(rows) == 1:
        return (
            f"Always saying what is most frequent reaches {majority:.1f} %. Nothing is known of "
            "what objects give away: that needs their detections."
        )
    best = max(rows.values(), key=lambda row: row["mean"])
    parts = [
        f"Nothing here looks at what objects do to each other, and yet {best['mean']:.1f} % come "
        f"out ({best['name']}: {best['title']}); chance is {report['chance']:.1f}, the most "
        f"frequent label {majority:.1f}. So a system shows that relations of objects matter only "
        f"above {best['mean']:.1f} % on these segments, not above chance."
    ]
    of_classes = [row for name, row in rows.items() if name in _OF_CLASSES]
    classes = max(of_classes, key=lambda row: row["mean"], default=None)
    if classes is not None and _is_above(classes, majority):
        parts.append(
            f"Classes alone give away {classes['mean'] - majority:.1f} points: a system that is "
            "told classes can gain as much over pixels without any reasoning, so compare it with "
            "one that is told the same classes (`coco-class`, mixed classes)."
        )
    elif classes is not None and classes["mean"] > majority:
        parts.append(
            f"{report['num_segments']:,} segments are too few to say whether classes alone give "
            f"something away: {classes['name']} reaches {classes['mean']:.1f} %, but the majority "
            f"lies in its interval, {classes['low']:.1f} to {classes['high']:.1f}."
        )
    elif classes is not None:
        parts.append(
            "Classes alone tell no more than the majority: what a system with objects gains does "
            "not come from which objects are there."
        )
    if "boxes" in rows and _is_above(rows["boxes"], majority):
        gain = rows["boxes"]["mean"] - majority
        parts.append(f"So do places and sizes of boxes, by {gain:.1f} points, without classes.")
    middle, unordered = rows.get("middle-frame"), rows.get("unordered-frames")
    if middle and unordered and unordered["mean"] <= middle["mean"]:
        parts.append("More frames, without their order, add nothing to the middle one.")
    if all(row["num_seeds"] is None for row in rows.values()):
        parts.append("These models are linear: trained ones (--train) may find more.")
    return " ".join(parts)


def _is_above(row: Mapping[str, Any], value: float) -> bool:
    """Whether a row's interval is; without one, whether its figure is."""
    low = row["mean"] if row["low"] is None else row["low"]
    return bool(low > value)


def as_report(report: Mapping[str, Any]) -> Report:
    """Return the report for people."""
    skipped = f", {report['num_skipped']:,} left out" if report["num_skipped"] else ""
    rows = []
    for row in report["rows"]:
        seeds = "-" if row["num_seeds"] is None else str(row["num_seeds"])
        ends = "" if row["low"] is None else f" [{row['low']:.1f}, {row['high']:.1f}]"
        rows.append((row["name"], interval_text(row) + ends, seeds, row["title"]))
    return Report(
        title=f"{report['dataset']}, {report['split']}: {report['metric']} in percent on "
        f"{counted(report['num_segments'], 'segment')}{skipped}, chance {report['chance']:.1f}; "
        f"95 % intervals over {report['interval']['over']}, of trained rows half of it over seeds",
        tables=[Table(header=("reads", report["dataset"], "seeds", ""), rows=rows)],
        notes=[note for note in (report.get("note"), report["meaning"]) if note],
    )
