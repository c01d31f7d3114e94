"""Check a data set on this machine, for `orn manifest check`."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orn.data_manifests.films import OBSERVED_NAME
from orn.data_manifests.find_videos import VIDEO_SUFFIXES
from orn.data_manifests.load import load_listing, load_manifest, locate_videos
from orn.data_manifests.manifest import TableLabels
from orn.data_manifests.records import SPLITS, Dataset, Listing, Segment
from orn.shared.errors import SOME_FAILED, ManifestError
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.text import counted, first_few
from orn.shared.text_summary import Outcome, Summary, summary_of

_FEW_FOR_A_SPLIT = 300
"""Number of clips below which cross-validation is advised."""
FEW_CLIPS = 20
"""Splits with fewer clips have a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckConfig:
    """What `check` does."""

    dataset: str
    """Name or file of the manifest."""
    data_root: Path | None = None
    """Folder of all data sets; default: the data set's."""
    advises: bool = True
    """Whether to warn about the splits, as `orn run` does before its first step."""


def check(config: CheckConfig, reporter: Reporter = SILENT) -> Outcome:
    """Check a data set; see `check_dataset`.

    The exit code is 1 if the label tables are unusable or no video exists, and 3 if some videos are
    missing.
    """
    checked = check_dataset(config.dataset, config.data_root, advises=config.advises)
    has_tables = not checked["problems"] and not checked["absent_tables"]
    exit_code = SOME_FAILED if checked["missing"] else 0
    if not has_tables or not checked["videos"]["present"]:
        exit_code = 1
    return Outcome(checked, _summary, exit_code=exit_code)


def _summary(checked: Mapping[str, Any]) -> Summary:
    """Return the result of `check_dataset` in printable form."""
    values = {
        name: value for name, value in checked.items() if name not in ("warnings", "problems")
    }
    notes = [f"warning: {warning}" for warning in checked["warnings"]]
    notes += [f"problem: {problem}" for problem in checked["problems"]]
    return replace(summary_of(values), notes=notes)


def check_dataset(
    name_or_file: str | Path, data_root: Path | None, *, advises: bool = True
) -> dict[str, Any]:
    """Compare the label tables of a data set with its files, and return counts as plain values.

    Missing tables and invalid labels are reported in `problems`; videos and splits are counted
    anyway.

    Args:
        name_or_file: name or file of the manifest.
        data_root: folder of all data sets; None: the data set's.
        advises: whether to warn about the splits.

    Raises:
        PipelineError: if the manifest or the list of videos cannot be read.
    """
    manifest = load_manifest(name_or_file)
    problems: list[str] = []
    try:
        listing = load_listing(manifest, data_root, partial=True)
    except ManifestError as err:
        listing = load_listing(manifest, data_root, labels=False, partial=True)
        problems = [str(err)]
    dataset = locate_videos(manifest, listing, data_root)
    listed, present = _in_splits(listing), _in_splits(dataset)
    counts = _class_counts(listing)
    return {
        "dataset": dataset.name,
        "root": str(dataset.root),
        "form": dataset.form,
        "task": dataset.task,
        "metric": dataset.metric,
        "problems": problems,
        "warnings": list(_warnings(dataset, listing, listed, manifest.labels, advises=advises)),
        "segments" if listing.films is None else "intervals": len(listing.segments),
        "splits": {split: {"listed": listed[split], "present": present[split]} for split in SPLITS},
        "videos": {"listed": len(listing.video_ids), "present": len(dataset.videos)},
        "classes": len(listing.classes),
        "unsure_labels": sum(len(segment.unsure) for segment in listing.segments),
        "left_out": dict(listing.left_out),
        "absent_tables": list(listing.absent),
        **({"watched_as_a_whole": watched} if (watched := watched_as_a_whole(listing)) else {}),
        "missing": list(dataset.missing),
        "ignoring_case": list(dataset.ignoring_case),
        "class_counts": counts,
    }


def watched_as_a_whole(listing: Listing) -> int:
    """Return the number of films that a table of what was looked at does not name; 0 without such a
    table."""
    films = listing.films
    if films is None or not films.observed:
        return 0
    return sum(video not in films.observed for video in listing.video_ids)


def _in_splits(own: Listing | Dataset) -> Counter[str]:
    """Return the number of segments in each split; of intervals, that of films."""
    if own.films is None:
        return Counter(segment.split for segment in own.segments)
    ids = own.video_ids if isinstance(own, Listing) else [video.id for video in own.videos]
    return Counter(own.films.split_of.get(video, "train") for video in ids)


def _warnings(
    dataset: Dataset, listing: Listing, listed: Mapping[str, int], labels: Any, *, advises: bool
) -> Iterator[str]:
    """Yield warnings about problems that affect training or evaluation."""
    for name in listing.absent:
        yield f"{dataset.root / name} is missing; its content is not counted"
    if not dataset.videos:
        yield f"no video was found under {dataset.root}"
    for split in ("train", "validation"):
        if not listed[split]:
            yield f"the {split} split has no segments"
    yield from unread_advice(labels, dataset)
    if advises:
        yield from split_advice(labels, listing, root=dataset.root)
    if isinstance(labels, TableLabels) and not listed["validation"] and not listed["test"]:
        table = shlex.quote(str(dataset.root / labels.table))
        yield (
            f"there is nothing to evaluate; `orn manifest new {table} --split 80/10/10 --fresh` "
            "creates a split and a new manifest"
        )


def unread_advice(labels: Any, dataset: Dataset) -> Iterator[str]:
    """Yield warnings about films and a table of what was looked at that a data set of intervals
    does not read."""
    if dataset.films is None or not isinstance(labels, TableLabels):
        return
    table, is_read = dataset.root / labels.table, bool(dataset.films.observed)
    path = table.with_name(OBSERVED_NAME)
    if not is_read and path.exists():
        yield (
            f"{path} is not read; set observed = {OBSERVED_NAME!r} in section intervals of the "
            "manifest, or rename the file"
        )
    elif names := _unlisted(dataset):
        tables = f"{table} or {OBSERVED_NAME}" if is_read else str(table)
        yield (
            f"{counted(len(names), 'film')} beside the others without a row in {tables}: "
            f"{first_few(names)}; label them, or list in {OBSERVED_NAME} what has no activities"
        )


def _unlisted(dataset: Dataset) -> list[str]:
    """Return the names of video files in the folders of the videos of a data set that are none of
    them."""
    if dataset.form == "frames":
        return []
    listed = {video.path for video in dataset.videos}
    found = (path for folder in {path.parent for path in listed} for path in folder.iterdir())
    return sorted(
        path.name
        for path in found
        if path.name.lower().endswith(VIDEO_SUFFIXES) and path not in listed
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


def split_warnings(own: Listing | Dataset) -> list[str]:
    """Return a warning for each split that has few segments (of intervals, films) or lacks
    classes."""
    of_split: dict[str, list[Segment]] = {split: [] for split in SPLITS}
    for segment in own.segments:
        of_split[segment.split].append(segment)
    kind, numbers, warnings = "clip", _in_splits(own), []
    classes: Sequence[str] = own.classes
    if own.films is not None:
        kind, classes = "film", [name for name in classes if name != own.films.background]
    for split, segments in of_split.items():
        if 0 < numbers[split] < FEW_CLIPS:
            warnings.append(
                f"{split} split: expected at least {FEW_CLIPS} {kind}s for reliable results, got "
                f"{numbers[split]}; add videos or change the split"
            )
        used = {label for segment in segments for label in (*segment.labels, *segment.unsure)}
        lacking = [name for label, name in enumerate(classes) if label not in used]
        if used and lacking:  # labels of some test splits are not published
            warnings.append(
                f"{split} split: no {kind} of {counted(len(lacking), 'class', 'classes')}: "
                f"{first_few(lacking)}"
            )
    return warnings


def split_advice(labels: Any, own: Listing | Dataset, *, root: Path) -> list[str]:
    """Return the warnings about the splits, and for a small table with a drawn split the advice to
    cross-validate; none for folds, which are evaluated together.

    Args:
        labels: labels of the manifest.
        own: the segments and classes.
        root: folder of the data set.
    """
    is_table = isinstance(labels, TableLabels)
    if is_table and labels.folds:
        return []
    warnings, number = split_warnings(own), len(own.segments)
    if not is_table or not labels.split_table or number >= _FEW_FOR_A_SPLIT:
        return warnings
    kind = "clips" if own.films is None else "intervals"
    return [
        f"expected at least {_FEW_FOR_A_SPLIT} {kind} for one split, got {number}; "
        f"cross-validate: run `orn manifest new {shlex.quote(str(root / labels.table))} --folds 5 "
        "--fresh` first",
        *warnings,
    ]
