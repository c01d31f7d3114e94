"""Loading data sets by name: the manifest, its label tables, and the videos that are there."""

import fnmatch
import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import resources
from pathlib import Path

from orn.shared.config.files import load_config
from orn.shared.data_files import is_folder, is_there, not_a_file
from orn.shared.errors import (
    DataRootError,
    ManifestError,
    PipelineError,
    UnknownDatasetError,
)
from orn.shared.manifests import epic, something, table, vlog
from orn.shared.manifests.records import Dataset, DetectorChoice, Listing, Video
from orn.shared.manifests.schema import (
    Epic100Labels,
    EpicLabels,
    Manifest,
    Rate,
    RateTable,
    SomethingLabels,
    TableLabels,
    Videos,
    VlogLabels,
)
from orn.shared.manifests.source import find_ids, find_videos, named_folders
from orn.shared.manifests.text_files import read_column
from orn.shared.nearest import nearest_first
from orn.shared.text import counted, truncate

logger = logging.getLogger(__name__)

_NAMED = 3
"""Videos that a message names."""
_GENERATED = "demo"
"""First part of the names of data sets that are drawn, not downloaded."""


def dataset_names() -> list[str]:
    """Return the names of the manifests that come with the project, sorted."""
    return sorted(path.stem for path in _shipped_folder().glob("*.toml"))


def shipped_detectors() -> dict[str, DetectorChoice]:
    """Return the detectors that come with the project by name: configuration and weights."""
    folder = Path(str(resources.files("orn.demo.detector")))
    return {
        path.stem: DetectorChoice(config=str(path.with_suffix(".py")), checkpoint=path)
        for path in sorted(folder.glob("*.pth"))
    }


def load_manifest(name_or_file: str | Path) -> Manifest:
    """Return the manifest of a name, or in a file of one's own.

    Raises:
        UnknownDatasetError: if there is no such manifest; lists those that there are.
        ManifestError: if the file is no valid manifest.
    """
    text = str(name_or_file)
    path = Path(name_or_file)
    shipped = _shipped_folder() / f"{text}.toml"
    if "/" not in text and not_a_file(shipped) is None:
        path = shipped
    problem = not_a_file(path)
    if problem is None:
        return load_config(path, Manifest, error=ManifestError)
    if path.suffix == ".toml" or "/" in text:
        raise UnknownDatasetError(
            f"{truncate(text)}: {problem.replace('file', 'manifest file')}, looked for it at "
            f"{truncate(str(path.absolute()))}"
        )
    names = ", ".join(nearest_first(text[:80], dataset_names()))
    raise UnknownDatasetError(
        f"no data set is called {truncate(text)!r}; there are {names} (and any manifest file, by "
        "its path)"
    )


def load_dataset(name_or_file: str | Path, data_root: Path, *, labels: bool = True) -> Dataset:
    """Return a data set as it lies under a data root.

    Args:
        labels: False for work that needs only the videos: labels stay empty, and if there are no
            label tables the videos are those that lie where the manifest says.

    Raises:
        UnknownDatasetError, ManifestError: as `load_manifest`; also for label tables that cannot
            be used and for video ids that would leave the data root.
        DataRootError: if the data root, the data set's folder or a label table is not there.
    """
    manifest = load_manifest(name_or_file)
    return locate_videos(manifest, load_listing(manifest, data_root, labels=labels), data_root)


def require_videos(dataset: Dataset, name_or_file: str | Path, data_root: Path) -> None:
    """Check that there are videos of a data set that was loaded from this manifest.

    Raises:
        DataRootError: there are none; the message says where they are expected.
    """
    if dataset.videos:
        return
    manifest = load_manifest(name_or_file)
    num_listed, examples = len(dataset.missing), ", ".join(dataset.missing[:_NAMED])
    more = ", ..." if num_listed > _NAMED else ""
    found = f"none of {num_listed} listed videos ({examples}{more})" if num_listed else "no videos"
    raise _absent(manifest, data_root, found)


def locate_videos(manifest: Manifest, listing: Listing, data_root: Path) -> Dataset:
    """Return the part of a listing whose videos are there.

    Raises:
        ManifestError: for a video whose rate is not in the table of rates.
        DataRootError: if the data root, the data set's folder or the table of rates is not there.
    """
    folder = _dataset_folder(manifest, data_root)
    are_folders = manifest.form == "frames"
    found = find_videos(folder, manifest.videos.pattern, listing.video_ids, are_folders=are_folders)
    rates = video_rates(manifest.videos, folder, found)
    paths = [video.path for video in found.values()]
    inside = named_folders(folder, manifest.videos.pattern, paths, data_root)
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
        reversed_classes=manifest.reversed_classes,
        videos=tuple(
            Video(id=video_id, path=video.path, rate=rates[video_id], inside=inside)
            for video_id, video in found.items()
        ),
        segments=tuple(part for part in listing.segments if part.video_id in found),
        missing=tuple(video_id for video_id in listing.video_ids if video_id not in found),
        ignoring_case=tuple(video_id for video_id, video in found.items() if video.ignoring_case),
        subsets=listing.subsets,
        manifest=own_file(manifest),
    )


def own_file(manifest: Manifest) -> Path | None:
    """Return the file of a manifest; None if it comes with the project."""
    is_shipped = manifest.source.parent == _shipped_folder()
    return None if is_shipped else manifest.source


def files_of(name_or_file: str | Path, data_root: Path) -> Iterator[Path]:
    """Yield the manifest, its tables, and the files or folders of its videos, as far as they can be
    found, for commands that must not write over one; a table need not be there."""
    with suppress(PipelineError):
        manifest = load_manifest(name_or_file)
        yield manifest.source
        folder = data_root / manifest.root
        yield from (folder / str(name) for name in manifest.labels.model_dump().values() if name)
        if manifest.videos.rate_table is not None:
            yield folder / manifest.videos.rate_table.table
        listing = load_listing(manifest, data_root, labels=False, partial=True)
        yield from (video.path for video in locate_videos(manifest, listing, data_root).videos)


def load_listing(
    manifest: Manifest, data_root: Path, *, labels: bool = True, partial: bool = False
) -> Listing:
    """Return what the label tables of a data set say, whether or not the videos are there.

    Args:
        labels: as for `load_dataset`.
        partial: whether to do with a part of the tables; `Listing.absent` names the others.

    Raises:
        As `load_dataset`.
    """
    folder = _dataset_folder(manifest, data_root)
    spec, task = manifest.labels, manifest.task
    has_tables = any(is_there(folder / getattr(spec, key)) for key in spec.lists)
    if not labels and not has_tables:
        ids = find_ids(folder, manifest.videos.pattern, are_folders=manifest.form == "frames")
        if ids:
            logger.info(
                "%s has no label tables; taking the %s in it", folder, counted(len(ids), "video")
            )
        return Listing(classes=(), video_ids=ids, segments=())
    match spec:
        case TableLabels():
            return table.read(spec, folder, task=task, form=manifest.form, labels=labels)
        case VlogLabels():
            return vlog.read(spec, folder, labels=labels, partial=partial)
        case EpicLabels():
            return epic.read(spec, folder, task=task, labels=labels)
        case Epic100Labels():
            return epic.read_100(spec, folder, task=task, labels=labels, partial=partial)
        case SomethingLabels():
            return something.read(spec, folder, labels=labels, partial=partial)


def video_rates(spec: Videos, folder: Path, video_ids: Iterable[str]) -> dict[str, float | None]:
    """Return the frames a second of each video; None where the video file knows.

    Raises:
        DataRootError: if the table of rates is not there.
        ManifestError: if it lacks a video, or a rate in it is none.
    """
    if spec.rate_table is not None:
        return {**_rates_of_table(spec.rate_table, folder, video_ids)}
    rates: dict[str, float | None] = dict.fromkeys(video_ids, spec.rate)
    for pattern, rate in reversed(spec.rates.items()):
        rates |= dict.fromkeys(fnmatch.filter(rates, pattern), rate)
    return rates


def _rates_of_table(spec: RateTable, folder: Path, video_ids: Iterable[str]) -> dict[str, float]:
    path, what = folder / spec.table, "the rates of videos"
    videos = read_column(path, what, spec.video)
    rates = dict(zip(videos, read_column(path, what, spec.rate, Rate), strict=True))
    wanted = list(video_ids)
    lacking = [video_id for video_id in wanted if video_id not in rates]
    if lacking:
        raise ManifestError(
            f"{path}: expected the rate of each video, got none of {len(lacking)}, the first is "
            f"{lacking[0]!r}; add a row for each"
        )
    return {video_id: rates[video_id] for video_id in wanted}


def _shipped_folder() -> Path:
    return Path(str(resources.files("orn.data_manifests")))


def _dataset_folder(manifest: Manifest, data_root: Path) -> Path:
    """Return the folder of a data set, which may be a link to another disk."""
    for folder in (data_root, data_root / manifest.root):
        if not is_folder(folder):
            found = f"no folder {truncate(str(folder.absolute()))}"
            raise _absent(manifest, data_root, found)
    return data_root / manifest.root


def _absent(manifest: Manifest, data_root: Path, found: str) -> DataRootError:
    """Return the error for a data set of which there is nothing but `found` to work with: what is
    to lie where, and how to get it."""
    name, labels = manifest.name, manifest.labels
    tables = [getattr(labels, key) for key in labels.lists]
    folder = truncate(str((data_root / manifest.root).absolute()))
    if own_file(manifest):
        remedy = "put it there (docs/own_videos.md)"
    elif name.split("-")[0] == _GENERATED:
        remedy = f"draw it with `make demo` or `orn demo world {name}`"
    else:
        remedy = f'get it as data_manifests/README.md says under "{name}"'
    return DataRootError(
        f"data set {name!r}: expected {', '.join(tables)} and {manifest.videos.pattern} in "
        f"{folder}, got {found}; {remedy}, or name the folder that holds {manifest.root} with "
        "--data FOLDER (make: DATA=FOLDER) or the variable ORN_DATA"
    )


def _detector(manifest: Manifest) -> DetectorChoice:
    wanted = manifest.detector
    own = None if wanted.checkpoint is None else manifest.source.parent / wanted.checkpoint
    shipped = shipped_detectors().get(wanted.config or "")
    if shipped is None:
        return DetectorChoice(config=wanted.config, checkpoint=own)
    return DetectorChoice(config=shipped.config, checkpoint=own or shipped.checkpoint)
