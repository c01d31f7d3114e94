"""What a data set holds and lacks on this machine, for `orn manifest check`."""

import itertools
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import ManifestError, VideoDecodeError
from shared.jobs.progress import progress
from shared.manifests.load import load_listing, load_manifest, locate_videos
from shared.manifests.records import SPLITS, Dataset, Listing
from shared.manifests.source import source_of
from shared.text_table import columns, facts, printable
from shared.video.read import probe

_MOST_SHOWN = 8
"""Names that the text shows of a long list; JSON has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetReport:
    """A data set as its tables list it, against what is there."""

    dataset: Dataset
    listing: Listing
    problems: tuple[str, ...]
    """Why the labels cannot be used; videos and splits are counted all the same."""
    split_counts: dict[str, tuple[int, int]]
    """For each split the segments listed, and those whose video is there."""
    class_counts: dict[str, dict[str, int]]
    """For each class the listed segments of each split; empty if no label is known."""
    unreadable: dict[str, str]
    """For each video that cannot be opened, why; empty if that was not looked at."""

    @property
    def never(self) -> list[str]:
        """Classes that no segment has; none is known if a table is absent."""
        return [name for name, counts in self._known_counts.items() if not any(counts.values())]

    @property
    def untrained(self) -> list[str]:
        """Classes that some segments have, but none of the train part."""
        return [
            name
            for name, counts in self._known_counts.items()
            if any(counts.values()) and not counts["train"]
        ]

    @property
    def is_usable(self) -> bool:
        """Whether the label tables can be used and a video is there that can be opened."""
        has_tables = not self.problems and not self.listing.absent
        return has_tables and len(self.dataset.videos) > len(self.unreadable)

    def as_json(self) -> dict[str, Any]:
        """The report as plain values for JSON."""
        dataset, listing = self.dataset, self.listing
        return {
            "dataset": dataset.name,
            "root": str(dataset.root),
            "form": dataset.form,
            "task": dataset.task,
            "metric": dataset.metric,
            "problems": list(self.problems),
            "warnings": list(self._warnings()),
            "segments": len(listing.segments),
            "splits": {
                split: {"listed": listed, "present": present}
                for split, (listed, present) in self.split_counts.items()
            },
            "videos": {"listed": len(listing.video_ids), "present": len(dataset.videos)},
            "classes": len(listing.classes),
            "classes_present": self._num_classes_present,
            "classes_never": self.never,
            "classes_not_in_train": self.untrained,
            "unsure_labels": self._num_unsure,
            "left_out": {row.reason: row.count for row in listing.left_out},
            "absent_tables": list(listing.absent),
            "missing": list(dataset.missing),
            "ignoring_case": list(dataset.ignoring_case),
            "unreadable": self.unreadable,
            "class_counts": self.class_counts,
        }

    def as_text(self) -> str:
        """The report for a person."""
        splits = [
            (split, f"{listed:,}", f"{present:,}")
            for split, (listed, present) in self.split_counts.items()
        ]
        classes = [
            (printable(name), *(f"{counts[split]:,}" for split in SPLITS))
            for name, counts in self.class_counts.items()
        ]
        return "\n\n".join(
            [
                facts(self._facts()),
                columns([("split", "segments", "there"), *splits]),
                *([columns([("class", *SPLITS), *classes])] if classes else []),
                *(f"warning: {warning}" for warning in self._warnings()),
                *(f"problem: {problem}" for problem in self.problems),
            ]
        )

    @property
    def _known_counts(self) -> dict[str, dict[str, int]]:
        return {} if self.listing.absent else self.class_counts

    @property
    def _num_classes_present(self) -> int:
        return sum(any(counts.values()) for counts in self.class_counts.values())

    @property
    def _num_unsure(self) -> int:
        return sum(len(segment.unsure) for segment in self.listing.segments)

    def _facts(self) -> list[tuple[str, str]]:
        dataset, listing = self.dataset, self.listing
        left_out = [f"{row.count:,} {row.reason}" for row in listing.left_out]
        num_left_out = sum(row.count for row in listing.left_out)
        occur = f"{self._num_classes_present:,} occur" if self.class_counts else "not counted"
        known = bool(self._known_counts)
        return [
            ("data set", f"{dataset.name} ({dataset.form}, {dataset.task}, {dataset.metric})"),
            ("folder", str(dataset.root)),
            ("segments", f"{len(listing.segments):,}"),
            ("left out", _shortened(left_out, total=num_left_out)),
            ("videos", f"{len(listing.video_ids):,} listed, {len(dataset.videos):,} there"),
            ("missing", _shortened(dataset.missing)),
            ("only ignoring case", _shortened(dataset.ignoring_case)),
            ("unreadable", _shortened(self.unreadable)),
            ("classes", f"{len(listing.classes):,}, {occur}"),
            ("never occur", _shortened(self.never) if known else "not known"),
            ("not in train", _shortened(self.untrained) if known else "not known"),
            ("unsure labels", f"{self._num_unsure:,}"),
        ]

    def _warnings(self) -> Iterator[str]:
        """What will trip a training or an evaluation, in sentences."""
        for name in self.listing.absent:
            yield f"{self.dataset.root / name} is not there; what it says is not counted"
        if not self.dataset.videos:
            root = self.dataset.root
            yield f"none of the videos is there; they were looked for under {root}"
        for split in ("train", "validation"):
            if not self.split_counts[split][0]:
                yield f"no segment belongs to the {split} part"


def check_dataset(
    name_or_file: str | Path, data_root: Path, *, probe_videos: bool = False
) -> DatasetReport:
    """Loads a data set with its labels and counts, with what there is of its tables.

    Args:
        probe_videos: whether to open each video that is there.

    Raises:
        As `load_dataset` without labels: what cannot be used at all ends the check.
    """
    manifest = load_manifest(name_or_file)
    problems: tuple[str, ...] = ()
    try:
        listing = load_listing(manifest, data_root, partial=True)
    except ManifestError as err:
        listing = load_listing(manifest, data_root, labels=False, partial=True)
        problems = (str(err),)
    dataset = locate_videos(manifest, listing, data_root)
    listed = Counter(segment.split for segment in listing.segments)
    present = Counter(segment.split for segment in dataset.segments)
    return DatasetReport(
        dataset=dataset,
        listing=listing,
        problems=problems,
        split_counts={split: (listed[split], present[split]) for split in SPLITS},
        class_counts=_class_counts(listing),
        unreadable=_unreadable(dataset) if probe_videos else {},
    )


def _class_counts(listing: Listing) -> dict[str, dict[str, int]]:
    counts: Counter[tuple[int, str]] = Counter()
    for segment in listing.segments:
        counts.update((label, segment.split) for label in segment.labels)
    if not counts:
        return {}
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
                probe(source_of(video), rate=video.rate)
            except VideoDecodeError as err:
                reasons[video.id] = str(err)
            bar.advance()
    return reasons


def _shortened(names: Collection[str], *, total: int | None = None) -> str:
    """The number of names (or `total`), and the first few."""
    if not names:
        return "0"
    shown = ", ".join(printable(name) for name in itertools.islice(names, _MOST_SHOWN))
    count = len(names) if total is None else total
    return f"{count:,}: {shown}" + (", ..." if len(names) > _MOST_SHOWN else "")
