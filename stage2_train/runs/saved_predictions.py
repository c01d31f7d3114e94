"""The predictions that `orn eval` saves for the segments of a split: predictions-NAME.npz.

N segments, A activity classes.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from orn.shared.data_files import open_file
from orn.shared.errors import CheckpointError, ConfigError
from orn.shared.jobs.atomic_file import write_bytes
from orn.shared.text import command_line, path_text, truncate
from orn.stage2_train.parts.average_parts import PartLogits
from orn.stage2_train.settings.names import (
    CHANGES,
    FILM_HEAD,
    FOLDS,
    PARTS,
    HeadCombination,
    with_combination,
)

GroupKind = Literal["videos", "participants", "groups"]
_FIELDS = {
    part: f"{part.removesuffix('_head')}_logits" for parts in PARTS.values() for part in parts
} | {FILM_HEAD: "film_logits"}
"""Fields with the logits of each head of a network, or of each model of a baseline."""
LOGITS = tuple(_FIELDS.values())
_ARRAYS = ("unsure", "when_changed", "temperatures")
"""Names of the fields with an array, which may be None."""
_NAMES = ("groups", "videos")
"""Names of the fields with a name for each segment, which may be None."""

_MOST_NAMED = 20
_LARGEST_LOGIT = 1e30
"""Sums and means of logits up to this size are finite in float32."""
_SEAL_BYTES = 64
_MOST_BYTES = 1 << 29
"""Maximum file size; a hundred thousand segments with two hundred classes take half of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Predictions of a network, or of a baseline, for N segments."""

    ids: tuple[str, ...]
    """Ids of the segments."""
    labels: NDArray[np.int64] | NDArray[np.float32]
    """(N,) int64 classes, or (N, A) float32 zeros and ones."""
    activity_logits: NDArray[np.float32] | None
    """(N, A) float32 logits of the activity head; None if it was not trained."""
    object_logits: NDArray[np.float32] | None
    """(N, A) float32 logits of the object head; None if it was not trained."""
    forest_logits: NDArray[np.float32] | None = None
    """(N, A) float32 logits of the forest of a model or of a baseline; None without one."""
    film_logits: NDArray[np.float32] | None = None
    """(N, A) float32 logits of a model's head over time; None without one."""
    probe_logits: NDArray[np.float32] | None = None
    """(N, A) float32 logits of a baseline's linear probe; None if there are no feature maps."""
    combination: HeadCombination = "mean"
    """How both heads are combined."""
    temperatures: NDArray[np.float64] | None = None
    """(N, 3) float64 temperatures (`Temperatures.row`); None if they are 1."""
    fitted_on: str = ""
    """Description of the segments on which the temperatures were fitted."""
    groups: tuple[str, ...] | None = None
    """Video, participant or group of each segment; None before `with_groups`."""
    grouped_by: GroupKind = "videos"
    videos: tuple[str, ...] | None = None
    """Video of each segment; None if these are the groups."""
    unsure: NDArray[np.bool_] | None = None
    """(N, A) pairs that average precision ignores; None if it ignores no pairs."""
    when_changed: NDArray[np.int64] | None = None
    """(N, P) predicted class of each segment when changed as in `CHANGES`, -1 if it was not; None
    for multiple labels, and if no segment was changed."""
    made_from: Mapping[str, Any] = field(default_factory=dict)
    """What they were made from."""

    @property
    def logits(self) -> NDArray[np.float32]:
        """(N, A) float32 logits of the prediction; see `by_head`."""
        return next(iter(self.by_head().values()))

    @property
    def parts(self) -> PartLogits | None:
        """Logits of the network and of the forest of a model; None for a baseline."""
        heads = {"activity_head": self.activity_logits, "object_head": self.object_logits}
        for network_NA in with_combination(heads, self.combination).values():
            forest, film = self.forest_logits, self.film_logits
            return PartLogits(network=network_NA, forest=forest, film=film)  # of its heads
        return None

    @property
    def network_logits(self) -> NDArray[np.float32]:
        """(N, A) float32 logits of the network of a model."""
        assert self.parts is not None
        return self.parts.network

    @property
    def sure_NA(self) -> NDArray[np.bool_]:
        """(N, A) pairs that average precision counts."""
        return np.ones(self.logits.shape, np.bool_) if self.unsure is None else ~self.unsure

    def reordered(self, rows: NDArray[np.int64]) -> "Predictions":
        """Return the predictions for the segments in these rows, in this order."""
        values: dict[str, Any] = {}
        for own in fields(self):
            value = getattr(self, own.name)
            if isinstance(value, np.ndarray):
                values[own.name] = value[rows]
            elif isinstance(value, tuple):
                values[own.name] = tuple(value[row] for row in rows.tolist())
        return replace(self, **values)

    def in_order_of(self, ids: Sequence[str], *, run: Path, reference: str) -> "Predictions":
        """Return the predictions in the order of these segment ids.

        Args:
            ids: at least one id.
            run: run that made the predictions, for messages.
            reference: origin of the ids, for messages.

        Raises:
            ConfigError: if these are not exactly the ids of the predictions; lists the differences.
        """
        row_of = {name: row for row, name in enumerate(self.ids)}
        faults = [
            f"{len(others):,} {word} ({some_ids(others)})"
            for word, others in (
                ("missing", [name for name in ids if name not in row_of]),
                ("unexpected", sorted(row_of.keys() - set(ids))),
            )
            if others
        ]
        if faults or not ids or not len(set(ids)) == len(ids) == len(self.ids):
            got = " and ".join(faults) or ("duplicates" if ids else "none")
            raise ConfigError(
                f"{run}: expected the {len(ids):,} segments of {reference}, got {got}; evaluate "
                "all runs on the same split with `orn eval`"
            )
        return self.reordered(np.array([row_of[name] for name in ids], np.int64))

    def by_head(self) -> dict[str, NDArray[np.float32]]:
        """Return (N, A) logits by name in reports: of a model, of its heads and of its forest. The
        prediction comes first, and is calibrated if temperatures were fitted."""
        heads = {name: getattr(self, logits) for name, logits in _FIELDS.items()}
        combined, parts = with_combination(heads, self.combination), self.parts
        if parts is None:
            return combined
        temperature_N3 = np.ones(3) if self.temperatures is None else self.temperatures
        return parts.by_head(combined, temperature_N3)


def joined_predictions(parts: Sequence[Predictions]) -> Predictions:
    """Return the predictions of all parts with the same heads, in this order."""

    def joined(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        if all(array is None for array in arrays):
            return None
        if name == "when_changed":
            missing = [np.full((len(part.ids), len(CHANGES)), -1) for part in parts]
        elif name == "temperatures":
            missing = [np.ones((len(part.ids), 3)) for part in parts]
        else:  # only of `unsure`
            missing = [np.zeros(part.logits.shape, np.bool_) for part in parts]
        pairs = zip(arrays, missing, strict=True)
        return np.concatenate([none if array is None else array for array, none in pairs])

    groups = [name for part in parts for name in (part.groups or part.ids)]
    videos = [name for part in parts for name in (part.videos or part.groups or part.ids)]
    return replace(
        parts[0],
        ids=tuple(name for part in parts for name in part.ids),
        groups=None if parts[0].groups is None else tuple(groups),
        grouped_by=next((p.grouped_by for p in parts if p.grouped_by != "videos"), "videos"),
        videos=None if all(part.videos is None for part in parts) else tuple(videos),
        **{name: joined(name) for name in ("labels", *LOGITS, *_ARRAYS)},
    )


def probabilities(logits_A: NDArray[np.float32], *, multi_label: bool) -> NDArray[np.float32]:
    """Return (..., A) softmax of logits, or their sigmoid for multiple labels."""
    wide_A = logits_A.astype(np.float64)
    if multi_label:
        return (0.5 * (1 + np.tanh(wide_A / 2))).astype(np.float32)
    grown_A = np.exp(wide_A - wide_A.max(axis=-1, keepdims=True))
    return (grown_A / grown_A.sum(axis=-1, keepdims=True)).astype(np.float32)


def some_ids(ids: Sequence[str], most: int = _MOST_NAMED) -> str:
    """Return the first ids and the number of remaining ids."""
    more = f" and {len(ids) - most:,} more" if len(ids) > most else ""
    return ", ".join(truncate(name) for name in ids[:most]) + more


def predictions_of(run: Path, name: str) -> Predictions:
    """Return predictions saved by `orn eval`.

    Args:
        run: the run folder.
        name: name of the evaluation: the split, with suffixes for options of `orn eval`.

    Raises:
        CheckpointError: if there is no such evaluation, or the file is damaged.
    """
    path = run / f"predictions-{name}.npz"
    if not os.path.isdir(run):
        raise CheckpointError(f"{run}: run folder not found; list runs with `orn runs`")
    if not os.path.lexists(path):
        others = ", ".join(sorted(path.name for path in run.glob("predictions-*.npz")))
        split = {} if name in (FOLDS, "validation") else {"split": name}
        command = "report" if name == FOLDS else "eval"
        remedy = f"run `{command_line('orn', command, run, **split)}` first"
        if path.with_name(f"predictions-{FOLDS}.npz").exists():
            remedy = "cross-validated runs are compared with each other, or fold by fold"
        raise CheckpointError(
            f"{run}: expected {path.name}, got {others or 'no predictions'}; {remedy}"
        )
    return load_predictions(path)


def check_finite(
    logits: Mapping[str, NDArray[np.floating[Any]]], names: Sequence[str], *, of: Path
) -> None:
    """Raise CheckpointError if logits are NaN, infinite, or so large that their sum may be.

    Args:
        logits: (N, A) by head.
        names: names of the N rows, for messages.
        of: run or file that contains the logits.
    """
    for head, logits_NA in logits.items():
        wrong_NA = ~(np.abs(logits_NA) <= _LARGEST_LOGIT)
        if wrong_NA.any():
            rows = np.flatnonzero(wrong_NA.any(axis=1)).tolist()
            raise CheckpointError(
                f"{path_text(of)}: {some_ids([names[row] for row in rows], 1)}: expected finite "
                f"logits of the {head.replace('_', ' ')}, got {logits_NA[wrong_NA][0]:g}; use a "
                "different run, or train with a smaller optimizer.learning_rate or precision=fp32"
            )


def load_predictions(path: Path) -> Predictions:
    """Return predictions written by `save_predictions`.

    Raises:
        CheckpointError: if the file is missing or damaged, or a logit is not finite.
    """
    with open_file(path, error=CheckpointError) as file:
        try:
            predictions = _read_arrays(file)
        except Exception as err:  # zipfile and numpy do not document their exceptions
            raise CheckpointError(
                f"{path_text(path)}: expected predictions of `orn eval`, got a damaged or "
                "different file; evaluate the run again"
            ) from err
    check_finite(predictions.by_head(), predictions.ids, of=path)
    return predictions


def _read_arrays(file: BinaryIO) -> Predictions:
    """Return the predictions in a file; memory use is bounded by the size of the file."""
    content = file.read(_MOST_BYTES + 1)
    size = len(content)
    if size > _MOST_BYTES or content[-_SEAL_BYTES:] != _seal(memoryview(content)):
        raise ValueError(f"{size} bytes, or a different digest")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
        if not stored or sum(entry.file_size for entry in entries) > size:
            raise ValueError(f"{size} bytes")
    with np.load(io.BytesIO(content), allow_pickle=False) as loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    names: dict[str, Any] = {
        name: tuple(arrays[name].tolist()) for name in _NAMES if name in arrays
    }
    combination: Any = str(arrays.get("combination", "mean"))
    grouped_by: Any = str(arrays.get("grouped_by", "videos"))
    return Predictions(
        ids=tuple(arrays["ids"].tolist()),
        labels=arrays["labels"],
        **{name: arrays.get(name) for name in LOGITS},
        combination=combination,
        **names,
        grouped_by=grouped_by,
        **{name: arrays.get(name) for name in _ARRAYS},
        fitted_on=str(arrays.get("fitted_on", "")),
        made_from=json.loads(str(arrays["made_from"])),
    )


def save_predictions(path: Path, predictions: Predictions) -> None:
    """Save ids, labels and logits as an .npz file that can be loaded without pickle, whose comment
    is the digest of the bytes before it.

    The output is deterministic.
    """
    arrays: dict[str, Any] = {
        "ids": np.array(predictions.ids, dtype=np.str_),
        "labels": predictions.labels,
        "logits": predictions.logits,
        "made_from": np.array(json.dumps(dict(predictions.made_from))),
    }
    if predictions.combination != "mean":
        arrays["combination"] = np.array(predictions.combination)
    for name in _NAMES:
        if (names := getattr(predictions, name)) is not None:
            arrays[name] = np.array(names, dtype=np.str_)
    if predictions.groups is not None:
        arrays["grouped_by"] = np.array(predictions.grouped_by)
    logits = {name: getattr(predictions, name) for name in LOGITS}
    arrays |= {name: values for name, values in logits.items() if values is not None}
    if predictions.fitted_on:
        arrays["fitted_on"] = np.array(predictions.fitted_on)
    for name in _ARRAYS:
        if (values := getattr(predictions, name)) is not None:
            arrays[name] = values
    file = io.BytesIO()
    np.savez(file, **arrays)
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = bytes(_SEAL_BYTES)
    with file.getbuffer() as content:
        content[-_SEAL_BYTES:] = _seal(content)
    write_bytes(path, file.getvalue())


def _seal(content: memoryview) -> bytes:
    """Return the digest of a file without its comment, as text."""
    return hashlib.sha256(content[:-_SEAL_BYTES]).hexdigest().encode()
