"""The report of `orn manifest check`, for a person and as JSON."""

import itertools
from collections.abc import Collection
from typing import Any

from shared.manifests.check import DatasetReport
from shared.manifests.records import SPLITS
from shared.text_table import columns, facts, printable

__all__ = ["report_text", "report_to_dict"]

_MOST_SHOWN = 8
"""Names that the text shows of a long list; JSON has all."""


def report_to_dict(report: DatasetReport) -> dict[str, Any]:
    """The report as plain values for JSON."""
    dataset, listing = report.dataset, report.listing
    return {
        "dataset": dataset.name,
        "root": str(dataset.root),
        "form": dataset.form,
        "task": dataset.task,
        "metric": dataset.metric,
        "problems": list(report.problems),
        "warnings": list(report.warnings),
        "segments": len(listing.segments),
        "splits": {
            split: {"listed": listed, "present": present}
            for split, (listed, present) in report.split_counts.items()
        },
        "videos": {"listed": len(listing.video_ids), "present": len(dataset.videos)},
        "classes": len(listing.classes),
        "classes_present": report.num_classes_present,
        "classes_never": list(report.never),
        "classes_not_in_train": list(report.untrained),
        "unsure_labels": report.unsure,
        "left_out": {row.reason: row.count for row in listing.left_out},
        "absent_tables": list(listing.absent),
        "missing": list(dataset.missing),
        "ignoring_case": list(dataset.ignoring_case),
        "unreadable": report.unreadable,
        "class_counts": report.class_counts,
    }


def report_text(report: DatasetReport) -> str:
    """The report for a person."""
    sections = [
        facts(_facts(report)),
        columns([("split", "segments", "there"), *_split_rows(report)]),
    ]
    if report.class_counts:
        sections.append(columns([("class", *SPLITS), *_class_rows(report)]))
    sections += [f"warning: {warning}" for warning in report.warnings]
    sections += [f"problem: {problem}" for problem in report.problems]
    return "\n\n".join(sections)


def _facts(report: DatasetReport) -> list[tuple[str, str]]:
    dataset, listing = report.dataset, report.listing
    left_out = [f"{row.count:,} {row.reason}" for row in listing.left_out]
    occur = f"{report.num_classes_present:,} occur" if report.class_counts else "not counted"
    known = report.class_counts and not listing.absent
    return [
        ("data set", f"{dataset.name} ({dataset.form}, {dataset.task}, {dataset.metric})"),
        ("folder", str(dataset.root)),
        ("segments", f"{len(listing.segments):,}"),
        ("left out", _shortened(left_out, total=sum(row.count for row in listing.left_out))),
        ("videos", f"{len(listing.video_ids):,} listed, {len(dataset.videos):,} there"),
        ("missing", _shortened(dataset.missing)),
        ("only ignoring case", _shortened(dataset.ignoring_case)),
        ("unreadable", _shortened(report.unreadable)),
        ("classes", f"{len(listing.classes):,}, {occur}"),
        ("never occur", _shortened(report.never) if known else "not known"),
        ("not in train", _shortened(report.untrained) if known else "not known"),
        ("unsure labels", f"{report.unsure:,}"),
    ]


def _split_rows(report: DatasetReport) -> list[tuple[str, str, str]]:
    return [
        (split, f"{listed:,}", f"{present:,}")
        for split, (listed, present) in report.split_counts.items()
    ]


def _class_rows(report: DatasetReport) -> list[tuple[str, ...]]:
    return [
        (printable(name), *(f"{counts[split]:,}" for split in SPLITS))
        for name, counts in report.class_counts.items()
    ]


def _shortened(names: Collection[str], *, total: int | None = None) -> str:
    """The number of names (or `total`), and the first few."""
    if not names:
        return "0"
    shown = ", ".join(printable(name) for name in itertools.islice(names, _MOST_SHOWN))
    count = len(names) if total is None else total
    return f"{count:,}: {shown}" + (", ..." if len(names) > _MOST_SHOWN else "")
