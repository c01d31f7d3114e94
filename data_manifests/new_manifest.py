"""`orn manifest new`: a manifest, a list of classes and, if requested, a split, from the user's own
table. Settings that are not given are inferred (`guess_table`)."""

import os
import shlex
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orn.data_manifests.check import split_advice, watched_as_a_whole
from orn.data_manifests.draw_split import draw_table, split_columns, split_text
from orn.data_manifests.films import OBSERVED_NAME, with_unlabeled
from orn.data_manifests.guess_films import guess_films
from orn.data_manifests.guess_table import (
    TableGuess,
    absolute_path,
    guess_table,
    mirrored_pairs,
    video_pattern,
)
from orn.data_manifests.load import (
    data_root_of,
    load_manifest,
    locate_videos,
    read_listing,
    recorded_data_root,
    usual_data_root,
)
from orn.data_manifests.manifest import LONGEST_NAME_BYTES, Manifest, TableLabels, is_name_character
from orn.data_manifests.records import METRICS, SPLITS, Split
from orn.data_manifests.table import LabeledRow, read_labels
from orn.data_manifests.write_tables import read_back, replace_tables
from orn.shared.config.toml_files import config_from_dict, parse_toml, toml_value
from orn.shared.data_files import not_a_file
from orn.shared.errors import ConfigError, ManifestError
from orn.shared.jobs.outputs import check_output_files
from orn.shared.jobs.progress import SILENT, Reporter
from orn.shared.text import counted, truncate

_TEMPLATE = Path(__file__).with_name("new_manifest.toml.template")
_ALL_TRAIN = "no such column: all rows are train"
_CLASSES_NAME, _SPLIT_NAME = "classes.txt", "split.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConfig:
    """What `plan_manifest` plans; None selects what the table suggests."""

    table: Path
    """CSV table of labels."""
    pattern: str | None = None
    """Path of a video relative to the table's folder, with {id} for its id."""
    name: str | None = None
    """Name of the data set; default: the table's folder."""
    rate: float | None = None
    """Frames per second of videos that are folders of frames."""
    shares: str | None = None
    """Shares of a split to create, in percent, such as 80/10/10."""
    folds: int | None = None
    """Number of folds to create."""
    seed: int = 0
    """Random seed of the split."""
    intervals: bool = False
    """Whether rows are intervals to find in long videos, instead of clips to classify."""
    out: Path | None = None
    """Output file; default: NAME.toml."""
    fresh: bool = False
    """Whether to replace existing files."""
    data_root: Path | None = None
    """Folder of all data sets."""

    def __post_init__(self) -> None:
        if self.shares is not None and self.folds is not None:
            raise ConfigError("--split and --folds: expected at most one, got both; omit one")


def plan_manifest(config: NewConfig) -> tuple[dict[Path, str], dict[str, Any]]:
    """Return the texts of the files to write for a table, and the summary as plain values.

    The files are its list of classes, a split if requested, and last the commented manifest. The
    summary names them, what was `guessed` and why, and the `data_root` for further commands.

    For a table outside of the data root, the parent of its folder is used as its data root.

    Raises:
        DataRootError: if the table does not exist.
        ManifestError: if the table is invalid, or no video is found and no pattern is given.
        ConfigError: if a file would be replaced, or `rate` is missing for frame folders or given
            for video files.
    """
    table, rate = config.table, config.rate
    labeled = read_labels(table)
    guess = guess_table(table, labeled)
    folder = absolute_path(table).parent
    films = guess_films(table, labeled, guess) if config.intervals else None
    if films is not None:
        guess = replace(guess, task=films.task)
    listed = labeled if films is None else with_unlabeled(labeled, films.observed or ())
    split_of = _draw_splits(config, listed)
    usual = usual_manifest(table, config.data_root)
    data_root, root = _data_root(folder, config.data_root)
    pattern, form = video_pattern(table, guess, config.pattern, rate=rate)
    prefix = f"{_clean_name(config.name)}-" if config.name else ""
    name = _clean_name(config.name) if config.name else usual.stem
    path, classes_path = config.out or Path(f"{name}.toml"), folder / f"{prefix}{_CLASSES_NAME}"
    values = {
        "name": name,
        "title": f"{name}, {guess.rows} rows of {table.name}",
        "form": form,
        "task": guess.task,
        "metric": METRICS[guess.task],
        "data_root": recorded_data_root(data_root, path),
        "root": root,
        "pattern": pattern,
        "table": table.name,
        "classes": classes_path.name,
        "flipped": mirrored_pairs(guess.classes),
        "kind": "segments" if films is None else "intervals",
    }
    text = _TEMPLATE.read_text().format(
        **{key: toml_value(value) for key, value in values.items()},
        num_classes=len(guess.classes),
        rate_line=f"rate = {toml_value(rate)}" if rate else "# rate = 30",
        splits="train, validation and test" if split_of or guess.has_split else _ALL_TRAIN,
        column=toml_value(split_columns(config.folds)[0]),
        drawn=_drawn_lines(config, f"{prefix}{_SPLIT_NAME}") if split_of else "",
        intervals="" if films is None else films.lines(),
    )
    files = {classes_path: "".join(f"{class_name}\n" for class_name in guess.classes)}
    split_path = folder / f"{prefix}{_SPLIT_NAME}"
    if split_of:
        files[split_path] = split_text(split_columns(config.folds), split_of)
    files[path] = text
    check_output_files(list(files), reads=[table])
    texts = {path: content for path, content in files.items() if path.is_relative_to(folder)}
    files = _to_write(files, fresh=config.fresh)
    raw = parse_toml(text, where=str(path), error=ManifestError)
    manifest = config_from_dict(raw, Manifest, where=str(path), error=ManifestError)
    assert isinstance(manifest.labels, TableLabels)
    listing = read_back(
        {name: content.encode() for name, content in texts.items()},
        lambda copy: read_listing(manifest, copy),
        folder=folder,
        beside=[table.name, OBSERVED_NAME],
    )
    dataset = replace(locate_videos(manifest, listing, data_root), manifest=None)
    check_output_files(list(files), reads=[video.path for video in dataset.videos])
    num_listed, num_present = len(guess.video_ids), len(dataset.videos)
    unused, whole = guess.unused_columns, watched_as_a_whole(listing)
    summary = {
        "manifest": str(path),
        "classes_file": str(classes_path),
        "split_file": str(split_path) if split_of else None,
        "data_root": str(data_root),
        "name": name,
        "form": form,
        "task": guess.task,
        "metric": manifest.metric,
        "pattern": pattern,
        "classes": len(guess.classes),
        "videos": {"listed": num_listed, "present": num_present},
        "guessed": [
            f"{guess.task}, {form}",
            *([films.reason] if films else []),
            *(
                [f"{counted(whole, 'film')} not in {OBSERVED_NAME}: watched as a whole"]
                if whole
                else []
            ),
            *([f"columns not used: {truncate(', '.join(unused))}"] if unused else []),
            _split_reason(guess, config, split_of),
            f"videos {pattern}: {num_present} of {num_listed} found",
        ],
        "warnings": split_advice(manifest.labels, listing, root=dataset.root),
    }
    return files, summary


def usual_manifest(table: Path, data_root: Path | None) -> Path:
    """Return the default manifest of `plan_manifest` for a table, in the current folder, which is
    named after the folder of the table."""
    folder = absolute_path(table).parent
    _, root = _data_root(folder, data_root)
    return Path(f"{_clean_name(folder.name if root != '.' else table.stem)}.toml")


def has_usual_manifest(table: Path, data_root: Path | None) -> bool:
    """Return whether the default manifest of a table exists and is a manifest of its labels."""
    path = usual_manifest(table, data_root)
    return path.is_file() and root_of_table(load_manifest(path), table, data_root) is not None


def root_of_table(manifest: Manifest, table: Path, data_root: Path | None) -> Path | None:
    """Return the data root under which a manifest reads a table: the given one, its own one or the
    folder two above the table; None if it is the manifest of different labels."""
    own = manifest.labels.table if isinstance(manifest.labels, TableLabels) else ""
    for root in (data_root, data_root_of(manifest, None), absolute_path(table).parent.parent):
        if root is not None and (root / manifest.root / own).resolve() == table.resolve():
            return root
    return None


def _draw_splits(
    config: NewConfig, labeled: Mapping[int, LabeledRow]
) -> dict[str, tuple[Split, ...]]:
    """Return the splits of each video; empty if none are created."""
    if config.shares is None and config.folds is None:
        return {}
    return draw_table(
        config.table, labeled, shares=config.shares, folds=config.folds, seed=config.seed
    )


def _drawn_lines(config: NewConfig, table: str) -> str:
    """Return the lines of a manifest for a drawn split."""
    lines = ["", f"split_table = {toml_value(table)}"]
    if config.seed:
        lines.append(f"seed = {config.seed}")
    if config.folds:
        lines.append(f"folds = {config.folds} # one column of the table of splits each")
    return "\n".join(lines)


def _split_reason(
    guess: TableGuess, config: NewConfig, split_of: Mapping[str, Sequence[Split]]
) -> str:
    if guess.has_split:
        return "split by the column 'split'"
    if not split_of:
        return "no column 'split': all rows are train; create a split with --split 80/10/10"
    counts = Counter(splits[0] for splits in split_of.values())
    numbers = ", ".join(f"{counts[split]} in {split}" for split in SPLITS if counts[split])
    kind = "first fold" if config.folds else "split"
    return f"{kind} of {counted(len(split_of), 'video')}: {numbers}"


def _to_write(files: Mapping[Path, str], *, fresh: bool) -> dict[Path, str]:
    """Return the files that are missing or contain different text."""
    changed = {}
    for path, text in files.items():
        data = text.encode()
        is_as_large = not_a_file(path) is None and path.stat().st_size == len(data)
        if is_as_large and path.read_bytes() == data:
            continue
        changed[path] = text
        if os.path.lexists(path) and not fresh:
            raise ConfigError(
                f"{path}: file exists with different content; replace it with --fresh, or write "
                "different files with --name NAME"
            )
    return changed


def _data_root(folder: Path, data_root: Path | None) -> tuple[Path, str]:
    """Return the data root, and the table's folder relative to it."""
    usual = data_root or usual_data_root()
    absolute = absolute_path(usual)
    if folder.is_relative_to(absolute):
        return usual, folder.relative_to(absolute).as_posix()
    return folder.parent, folder.name or "."


def _clean_name(text: str) -> str:
    composed = unicodedata.normalize("NFC", text.strip())
    kept = "".join(sign if is_name_character(sign) else "-" for sign in composed).strip("-")
    return kept.encode()[:LONGEST_NAME_BYTES].decode(errors="ignore") or "mine"


def write_manifest(config: NewConfig, reporter: Reporter = SILENT) -> Mapping[str, Any]:
    """Write a manifest for a table, and show what was inferred; return the summary."""
    files, made = plan_manifest(config)
    replace_tables({path: text.encode() for path, text in files.items()})
    for reason in made["guessed"]:
        reporter.line(f"guessed: {reason}")
    for line in (
        f"{made['manifest']}: {counted(made['videos']['listed'], 'video')}, "
        f"{made['videos']['present']:,} there",
        f"{made['classes_file']}: {counted(made['classes'], 'class', 'classes')}",
        *([f"{made['split_file']}: the split of each video"] if made["split_file"] else []),
        f"next: orn manifest check {shlex.quote(made['manifest'])}",
    ):
        reporter.line(line)
    return made
