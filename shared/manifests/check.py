"""What a data set holds and lacks on this machine, for `orn manifest check`."""

import itertools
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import VideoDecodeError
from shared.manifests.load import load_listing, load_manifest, locate_videos
from shared.manifests.records import SPLITS, Dataset, Listing
from shared.progress import progress
from shared.text_table import columns, facts, printable
from shared.video import probe

__all__ = ["DatasetReport", "check_dataset", "report_text", "report_to_dict"]

_MOST_SHOWN = 5
"""Ids that the text shows of a long list; JSON has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetReport:
    """A data set as its tables list it, against what is there."""

    dataset: Dataset
    listing: Listing
    split_counts: dict[str, tuple[int, int]]
    """For each split the segments listed, and those whose video is there."""
    class_counts: dict[str, dict[str, int]]
    """For each class the listed segments of each split."""
    unreadable: dict[str, str]
    """For each video that cannot be opened, why; empty if that was not looked at."""
    unsure: int
    """Labels of which the annotators could not tell."""
    warnings: tuple[str, ...]
    """What will trip a training or an evaluation, in sentences."""


def check_dataset(
    name_or_file: str | Path, data_root: Path, *, probe_videos: bool = False
) -> DatasetReport:
    """Loads a data set with its labels and counts.

    Args:
        probe_videos: whether to open each video that is there.

    Raises:
        As `load_dataset`: what cannot be used at all ends the check.
    """
    manifest = load_manifest(name_or_file)
    listing = load_listing(manifest, data_root)
    dataset = locate_videos(manifest, listing, data_root)
    listed = Counter(segment.split for segment in listing.segments)
    present = Counter(segment.split for segment in dataset.segments)
    class_counts = _class_counts(listing)
    return DatasetReport(
        dataset=dataset,
        listing=listing,
        split_counts={split: (listed[split], present[split]) for split in SPLITS},
        class_counts=class_counts,
        unsure=sum(len(segment.unsure) for segment in listing.segments),
        unreadable=_unreadable(dataset) if probe_videos else {},
        warnings=tuple(_warnings(dataset, listed, class_counts)),
    )


def report_to_dict(report: DatasetReport) -> dict[str, Any]:
    """The report as plain values for JSON."""
    dataset, listing = report.dataset, report.listing
    return {
        "dataset": dataset.name,
        "root": str(dataset.root),
        "form": dataset.form,
        "task": dataset.task,
        "metric": dataset.metric,
        "classes": len(listing.classes),
        "videos": {"listed": len(listing.video_ids), "present": len(dataset.videos)},
        "splits": {
            split: {"listed": listed, "present": present}
            for split, (listed, present) in report.split_counts.items()
        },
        "class_counts": report.class_counts,
        "unsure_labels": report.unsure,
        "missing": list(dataset.missing),
        "ignoring_case": list(dataset.ignoring_case),
        "unreadable": report.unreadable,
        "warnings": list(report.warnings),
    }


def report_text(report: DatasetReport) -> str:
    """The report for a person."""
    dataset, listing = report.dataset, report.listing
    about = [
        ("data set", f"{dataset.name} ({dataset.form}, {dataset.task}, {dataset.metric})"),
        ("folder", str(dataset.root)),
        ("videos", f"{len(listing.video_ids):,} listed, {len(dataset.videos):,} there"),
        ("missing", _shortened(dataset.missing)),
        ("only ignoring case", _shortened(dataset.ignoring_case)),
        ("unreadable", _shortened(report.unreadable)),
        ("unsure labels", f"{report.unsure:,}"),
    ]
    splits = [
        (split, f"{listed:,}", f"{present:,}")
        for split, (listed, present) in report.split_counts.items()
    ]
    classes = [
        (printable(name), *(f"{counts[split]:,}" for split in SPLITS))
        for name, counts in report.class_counts.items()
    ]
    sections = [
        facts(about),
        columns([("split", "segments", "there"), *splits]),
        columns([("class", *SPLITS), *classes]),
    ]
    sections += [f"warning: {warning}" for warning in report.warnings]
    return "\n\n".join(sections)


def _class_counts(listing: Listing) -> dict[str, dict[str, int]]:
    counts: Counter[tuple[int, str]] = Counter()
    for segment in listing.segments:
        counts.update((label, segment.split) for label in segment.labels)
    return {
        name: {split: counts[index, split] for split in SPLITS}
        for index, name in enumerate(listing.classes)
    }


def _unreadable(dataset: Dataset) -> dict[str, str]:
    """For each video that is there but cannot be opened, why."""
    reasons = {}
    with progress("check", total=len(dataset.videos), unit="videos") as bar:
        for video in dataset.videos:
            try:
                probe(video.path, rate=video.rate)
            except VideoDecodeError as err:
                reasons[video.id] = str(err)
            bar.advance()
    return reasons


def _warnings(
    dataset: Dataset, listed: Counter[str], class_counts: dict[str, dict[str, int]]
) -> Iterator[str]:
    if not dataset.videos:
        yield f"none of the videos is there; they were looked for under {dataset.root}"
    for split in ("train", "validation"):
        if not listed[split]:
            yield f"no segment belongs to the {split} part"
    num_classes = len(class_counts)
    absent = [name for name, counts in class_counts.items() if not any(counts.values())]
    if absent:
        yield f"of {num_classes} classes, these never occur: {_shortened(absent)}"
    untrained = [
        name
        for name, counts in class_counts.items()
        if any(counts.values()) and not counts["train"]
    ]
    if untrained:
        yield (
            f"of {num_classes} classes, these do not occur in the train part: "
            f"{_shortened(untrained)}"
        )


def _shortened(names: Collection[str]) -> str:
    """The number of names, and the first few."""
    if not names:
        return "0"
    shown = ", ".join(printable(name) for name in itertools.islice(names, _MOST_SHOWN))
    return f"{len(names):,}: {shown}" + (", ..." if len(names) > _MOST_SHOWN else "")
