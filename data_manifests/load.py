"""Load data sets by name: the manifest, its label tables and existing videos."""

import fnmatch
import logging
import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from orn.data_manifests import action_lists, epic, something, table, vlog
from orn.data_manifests.films import with_films
from orn.data_manifests.find_videos import find_videos
from orn.data_manifests.manifest import (
    ActionLabels,
    Epic100Labels,
    EpicLabels,
    Manifest,
    SomethingLabels,
    TableLabels,
    Videos,
    VlogLabels,
)
from orn.data_manifests.records import Dataset, DetectorChoice, Listing, Video, fold_names
from orn.shared.config.toml_files import load_config
from orn.shared.data_files import not_a_file
from orn.shared.errors import DataRootError, ManifestError, PipelineError, UnknownDatasetError
from orn.shared.jobs.plan import Plan
from orn.shared.text import first_few, nearest_first, path_text, truncate

logger = logging.getLogger(__name__)

_NAMED = 3
"""Number of example videos in a message."""
_GENERATED = "demo"
"""Name of the generated data set."""
_SHIPPED = Path(__file__).parent
_DETECTORS = Path(str(files("orn")), "demo", "detector")


def dataset_names() -> list[str]:
    """Return the sorted names of the bundled manifests."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def shipped_detectors() -> dict[str, DetectorChoice]:
    """Return a mapping from the name of each bundled detector to its configuration and weights."""
    return {
        path.stem: DetectorChoice(config=str(path.with_suffix(".py")), checkpoint=path)
        for path in sorted(_DETECTORS.glob("*.pth"))
    }


def load_manifest(name_or_file: str | Path | Manifest) -> Manifest:
    """Return a manifest by name or file; one that is loaded already is returned as it is.

    Raises:
        UnknownDatasetError: if the manifest does not exist.
        ManifestError: if the manifest is invalid.
    """
    if isinstance(name_or_file, Manifest):
        return name_or_file
    text, path = str(name_or_file), Path(name_or_file)
    shipped = _SHIPPED / f"{text}.toml"
    if "/" not in text and not_a_file(shipped) is None:
        path = shipped
    problem = not_a_file(path)
    if problem is None and path.suffix.lower() == ".csv":
        raise UnknownDatasetError(
            f"{truncate(text)}: expected a manifest, got a table of labels; create its manifest "
            f"with `orn manifest new {shlex.quote(text)}`"
        )
    if problem is None:
        return load_config(path, Manifest, error=ManifestError)
    if path.suffix == ".toml" or "/" in text:
        raise UnknownDatasetError(
            f"{truncate(text)}: expected a manifest file at {truncate(str(path.absolute()))}, got "
            f"{problem}; check the path"
        )
    names = ", ".join(nearest_first(text[:80], dataset_names()))
    raise UnknownDatasetError(
        f"unknown data set {truncate(text)!r}; choose one of {names}, or pass the path of a "
        "manifest file"
    )


def manifest_of(plan: Plan, *, remedy: str) -> str:
    """Return the name or file of the manifest of a plan's data set.

    Args:
        plan: plan of a folder of shards.
        remedy: advice to the user if there is no manifest, for the message.

    Raises:
        UnknownDatasetError: if the manifest is missing.
        ManifestError: if its file now describes a different data set.
    """
    if plan.manifest is None:
        try:
            load_manifest(plan.dataset)
        except UnknownDatasetError as err:
            raise UnknownDatasetError(f"{err}; {remedy}") from err
        return plan.dataset
    path = Path(plan.manifest.path)
    if problem := not_a_file(path):
        raise UnknownDatasetError(
            f"{path}: expected the manifest of {plan.dataset!r}, got {problem}; {remedy}"
        )
    name = load_manifest(path).name
    if name != plan.dataset:
        raise ManifestError(
            f"{path}: expected the manifest of {plan.dataset!r}, got {name!r}; {remedy}"
        )
    return str(path)


def data_root_of(manifest: Manifest, given: Path | None) -> Path:
    """Return the data root for a manifest: the given one, otherwise that of the manifest, otherwise
    `usual_data_root`."""
    if given is not None:
        return given
    if manifest.data_root is None:
        return usual_data_root()
    # Parents of a real path are those of its text.
    return Path(os.path.relpath(os.path.realpath(manifest.file.parent) + "/" + manifest.data_root))


def usual_data_root() -> Path:
    """Return the data root of this machine: the variable ORN_DATA, or `data`."""
    return Path(os.environ.get("ORN_DATA") or "data")


def recorded_data_root(data_root: Path, manifest: Path) -> str:
    """Return a data root relative to the folder of a manifest file, for its key `data_root`."""
    return os.path.relpath(data_root, os.path.realpath(manifest.parent))


def folds_of(manifest: str | Manifest) -> tuple[str, ...]:
    """Return the names of a manifest's folds; empty if it has a single split."""
    labels = load_manifest(manifest).labels
    return fold_names(labels.folds or 0) if isinstance(labels, TableLabels) else ()


def load_dataset(
    name_or_file: str | Path | Manifest,
    data_root: Path | None,
    *,
    labels: bool = True,
    needs_videos: bool = False,
    listing: Listing | None = None,
) -> Dataset:
    """Return a data set with its existing videos.

    Args:
        name_or_file: name or file of the manifest.
        data_root: folder of all data sets; None: see `data_root_of`, as in all functions here.
        labels: False if only videos are needed: labels are empty.
        needs_videos: whether to raise an error if no video exists.
        listing: content of the label tables, if it has been read.

    Raises:
        UnknownDatasetError: if the manifest does not exist.
        ManifestError: if the manifest, a label table or a video id is invalid.
        DataRootError: if the data root, the data set's folder or a label table is missing.
    """
    manifest = load_manifest(name_or_file)
    listing = listing or load_listing(manifest, data_root, labels=labels)
    dataset = locate_videos(manifest, listing, data_root)
    if needs_videos and not dataset.videos:
        missing = dataset.missing
        listed = f"none of {len(missing)} listed videos ({first_few(missing, _NAMED)})"
        raise _absent(manifest, dataset.root, listed if missing else "no videos")
    return dataset


def locate_videos(manifest: Manifest, listing: Listing, data_root: Path | None) -> Dataset:
    """Return the data set for a listing, restricted to existing videos.

    Raises:
        DataRootError: if a folder cannot be read.
    """
    folder = data_root_of(manifest, data_root) / manifest.root
    are_folders = manifest.form == "frames"
    files = find_videos(folder, manifest.videos.pattern, listing.video_ids, are_folders=are_folders)
    rates = video_rates(manifest.videos, files)
    return Dataset(
        name=manifest.name,
        task=manifest.task,
        form=manifest.form,
        metric=manifest.metric,
        clip_frames=manifest.clip_frames,
        clip_height=manifest.clips.height,
        clip_width=manifest.clips.width,
        root=folder,
        detector=_detector(manifest),
        classes=listing.classes,
        flipped_classes=manifest.flipped_classes,
        videos=tuple(
            Video(id=video_id, path=Path(video.path), rate=rates[video_id])
            for video_id, video in files.items()
        ),
        segments=tuple(part for part in listing.segments if part.video_id in files),
        missing=tuple(video_id for video_id in listing.video_ids if video_id not in files),
        lost_segments=tuple(part for part in listing.segments if part.video_id not in files),
        ignoring_case=tuple(video_id for video_id, video in files.items() if video.ignoring_case),
        manifest=own_file(manifest),
        films=listing.films,
    )


def own_file(manifest: Manifest) -> Path | None:
    """Return the file of a manifest; None for a bundled manifest."""
    return None if manifest.file.parent == _SHIPPED else manifest.file


def files_of(name_or_file: str | Path, data_root: Path | None) -> Iterator[Path]:
    """Yield the paths of the manifest, its tables and its videos, for commands that must not
    overwrite them; tables need not exist."""
    with suppress(PipelineError):
        manifest = load_manifest(name_or_file)
        yield manifest.file
        folder = data_root_of(manifest, data_root) / manifest.root
        yield from (folder / str(name) for name in manifest.labels.model_dump().values() if name)
        listing = load_listing(manifest, data_root, labels=False, partial=True)
        yield from (video.path for video in locate_videos(manifest, listing, data_root).videos)


def load_listing(
    manifest: Manifest, data_root: Path | None, *, labels: bool = True, partial: bool = False
) -> Listing:
    """Return the content of the label tables, whether or not the videos exist.

    Args:
        manifest: the manifest.
        data_root: folder of all data sets.
        labels: see `load_dataset`.
        partial: whether to accept missing tables, which `Listing.absent` lists.

    Raises:
        ManifestError: if a label table or a video id is invalid.
        DataRootError: if the data root, the data set's folder or a label table is missing.
    """
    data_root = data_root_of(manifest, data_root)
    folder = data_root / manifest.root
    for parent in (data_root, folder):
        if not os.path.isdir(parent):
            got = f"no folder {truncate(str(parent.absolute()))}"
            raise _absent(manifest, folder, got)
    return read_listing(manifest, folder, labels=labels, partial=partial)


def read_listing(
    manifest: Manifest, folder: Path, *, labels: bool = True, partial: bool = False
) -> Listing:
    """Return the content of the label tables in a folder; see `load_listing`."""
    listing = _read_tables(manifest, folder, labels=labels, partial=partial)
    if manifest.kind == "intervals":
        return with_films(listing, manifest, folder, labels=labels)
    return listing


def _read_tables(manifest: Manifest, folder: Path, *, labels: bool, partial: bool) -> Listing:
    spec, task = manifest.labels, manifest.task
    match spec:
        case TableLabels():
            point_seconds = None
            if manifest.kind == "intervals":
                point_seconds = manifest.intervals.point_seconds
            return table.read(
                *(spec, folder),
                task=task,
                form=manifest.form,
                labels=labels,
                point_seconds=point_seconds,
            )
        case VlogLabels():
            return vlog.read(spec, folder, labels=labels, partial=partial)
        case EpicLabels():
            return epic.read(spec, folder, labels=labels)
        case Epic100Labels():
            return epic.read_100(spec, folder, labels=labels, partial=partial)
        case SomethingLabels():
            return something.read(spec, folder, labels=labels, partial=partial)
        case ActionLabels():
            return action_lists.read(spec, folder, labels=labels)


def video_rates(spec: Videos, video_ids: Iterable[str]) -> dict[str, float | None]:
    """Return the frame rate of each video; None for video files, which have their own frame
    rates."""
    rates: dict[str, float | None] = dict.fromkeys(video_ids, spec.rate)
    for pattern, rate in reversed(spec.rates.items()):
        rates |= dict.fromkeys(fnmatch.filter(rates, pattern), rate)
    return rates


def _absent(manifest: Manifest, where: Path, got: str) -> DataRootError:
    """Return the error for a missing data set, with the expected files and how to obtain them."""
    name, labels = manifest.name, manifest.labels
    tables = [getattr(labels, key) for key in labels.lists]
    folder = truncate(str(where.absolute()))
    variable = "the variable ORN_DATA"
    if manifest.data_root is not None:
        variable = f"data_root in {path_text(manifest.file)}"
    if own_file(manifest):
        remedy = "put it there (docs/own_videos.md)"
    elif name == _GENERATED:
        remedy = "generate it with `make demo`"
    else:
        remedy = f'get it as described in data_manifests/README.md under "{name}"'
    return DataRootError(
        f"data set {name!r}: expected {', '.join(tables)} and {manifest.videos.pattern} in "
        f"{folder}, got {got}; {remedy}, or set the folder that contains {manifest.root} with "
        f"--data FOLDER (make: DATA=FOLDER) or {variable}"
    )


def _detector(manifest: Manifest) -> DetectorChoice:
    config = manifest.detector.config
    return shipped_detectors().get(config or "") or DetectorChoice(config=config)
