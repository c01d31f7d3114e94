"""What a data set holds and lacks on this machine, for `orn manifest check`."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ManifestError, VideoDecodeError
from shared.jobs.progress import progress
from shared.manifests.load import load_listing, load_manifest, locate_videos
from shared.manifests.records import SPLITS, Dataset, Listing
from shared.manifests.schema import Manifest
from shared.video.read import probe

__all__ = ["DatasetReport", "check_dataset"]


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
    never: tuple[str, ...]
    """Classes that no segment has; empty if a table is absent."""
    untrained: tuple[str, ...]
    """Classes that some segments have, but none of the train part; empty if a table is absent."""
    unreadable: dict[str, str]
    """For each video that cannot be opened, why; empty if that was not looked at."""
    unsure: int
    """Labels of which the annotators could not tell."""
    warnings: tuple[str, ...]
    """What will trip a training or an evaluation, in sentences."""

    @property
    def num_classes_present(self) -> int:
        """Number of classes that some listed segment has."""
        return sum(any(counts.values()) for counts in self.class_counts.values())

    @property
    def is_usable(self) -> bool:
        """Whether the label tables can be used and a video is there that can be opened."""
        has_tables = not self.problems and not self.listing.absent
        return has_tables and len(self.dataset.videos) > len(self.unreadable)


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
    listing, problems = _load(manifest, data_root)
    dataset = locate_videos(manifest, listing, data_root)
    listed = Counter(segment.split for segment in listing.segments)
    present = Counter(segment.split for segment in dataset.segments)
    class_counts = _class_counts(listing)
    never, untrained = ((), ()) if listing.absent else _unseen(class_counts)
    return DatasetReport(
        dataset=dataset,
        listing=listing,
        problems=problems,
        split_counts={split: (listed[split], present[split]) for split in SPLITS},
        class_counts=class_counts,
        never=never,
        untrained=untrained,
        unsure=sum(len(segment.unsure) for segment in listing.segments),
        unreadable=_unreadable(dataset) if probe_videos else {},
        warnings=tuple(_warnings(dataset, listing, listed)),
    )


def _load(manifest: Manifest, data_root: Path) -> tuple[Listing, tuple[str, ...]]:
    """The listing, without labels if they cannot be used, and why they cannot."""
    try:
        return load_listing(manifest, data_root, partial=True), ()
    except ManifestError as err:
        return load_listing(manifest, data_root, labels=False, partial=True), (str(err),)


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


def _unseen(class_counts: dict[str, dict[str, int]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Classes that never occur, and those that do, but not in the train part."""
    never = tuple(name for name, counts in class_counts.items() if not any(counts.values()))
    untrained = tuple(
        name
        for name, counts in class_counts.items()
        if any(counts.values()) and not counts["train"]
    )
    return never, untrained


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


def _warnings(dataset: Dataset, listing: Listing, listed: Counter[str]) -> Iterator[str]:
    for name in listing.absent:
        yield f"{dataset.root / name} is not there; what it says is not counted"
    if not dataset.videos:
        yield f"none of the videos is there; they were looked for under {dataset.root}"
    for split in ("train", "validation"):
        if not listed[split]:
            yield f"no segment belongs to the {split} part"
