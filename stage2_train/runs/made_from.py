"""What an output was made from, and whether it is still current.

Each output stores one record, `made_from`, with a digest of each kind of input:

    config   settings and options that change it
    weights  of the network and of the forest
    temperatures  of probabilities
    labels   segments with their times and labels; of long videos, intervals and windows
    objects  shards with the videos of these segments
    frames   stored frames of these videos, by their content
    outputs  other outputs that it reads, by name

A run and an exported model store it in `made_from.json`, temperatures, an evaluation and its
predictions in their files, and a report at its end.
"""

import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orn.data_manifests.records import Dataset, Segment
from orn.shared.data_files import file_digest, json_digest, read_bounded, read_json
from orn.shared.errors import PipelineError
from orn.shared.text import counted
from orn.stage2_train.parts import TEMPERATURES_NAME
from orn.stage2_train.parts.temperatures import load_temperatures
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.run_config import labels_digest, recorded_config
from orn.stage2_train.runs.run_folder import CONFIG_NAME, MADE_FROM_NAME
from orn.stage2_train.runs.saved_predictions import load_predictions
from orn.stage2_train.settings.recipe import Recipe

MadeFrom = Mapping[str, Any]
"""Digests by kind of input; `outputs` are digests by name. Inputs that an output does not have are
omitted."""
_IN_PAGE = "<!-- made from "
_MOST_BYTES = 1 << 30
_WORDS = {
    "config": "settings have changed",
    "weights": "the weights of the model have changed",
    "temperatures": "the temperatures have changed",
    "labels": "labels have changed",
    "objects": "objects have changed",
    "frames": "frames have changed",
}


def why_stale(output: Path, inputs: MadeFrom) -> str | None:
    """Return what has changed since an output was made, such as "labels have changed"; "" if it is
    missing or cannot be read; None if it is current.

    Args:
        output: a run folder, the folder of an exported model, an evaluation, predictions or a
            report.
        inputs: inputs that it would be made from now; others are not compared.
    """
    recorded = recorded_inputs(output)
    if recorded is None:
        return ""
    kinds = [kind for kind in _WORDS if kind in inputs and recorded.get(kind) != inputs[kind]]
    if "labels" in kinds:  # of other segments, perhaps of other videos
        kinds = [kind for kind in kinds if kind not in ("objects", "frames")]
    known = recorded.get("outputs", {})
    now = inputs.get("outputs", known)
    names = [name for name in {**known, **now} if known.get(name) != now.get(name)]
    changed = [*(_WORDS[kind] for kind in kinds), *(f"{name} has changed" for name in names)]
    return ", ".join(changed) or None


def recorded_inputs(output: Path) -> MadeFrom | None:
    """Return what an output was made from; None if it is missing, damaged or has no record."""
    try:
        if output.name.startswith("eval-"):
            recorded: Any = read_eval(output).made_from
        elif output.name == TEMPERATURES_NAME:
            recorded = load_temperatures(output).made_from
        elif output.suffix == ".npz":
            recorded = load_predictions(output).made_from
        elif output.suffix == ".html":
            page = read_bounded(output, most_bytes=_MOST_BYTES).decode()
            recorded = json.loads(page.rpartition(_IN_PAGE)[2].removesuffix(" -->\n"))
        else:
            recorded = read_json(output / MADE_FROM_NAME)
    except (PipelineError, ValueError, RecursionError):
        return None
    is_record = isinstance(recorded, dict) and isinstance(recorded.get("outputs", {}), dict)
    return recorded if is_record else None


def in_page(inputs: MadeFrom) -> str:
    """Return the record as a comment at the end of a page."""
    return f"{_IN_PAGE}{json.dumps(inputs)} -->\n"


def output_digests(folder: Path, outputs: Iterable[Path]) -> dict[str, str]:
    """Return the digests of files by their path relative to a folder; missing files are omitted."""
    paths = [path for path in outputs if path.is_file()]
    return {os.path.relpath(path, folder): file_digest(path) for path in paths}


def training_labels(dataset: Dataset, recipe: Recipe) -> str:
    """Return the digest of the segments of a data set for training; of long videos, also of what
    was looked at in them, and of what makes windows."""
    labels, films = labels_digest(_trained(dataset, recipe)), dataset.films
    if films is None:
        return labels
    splits = recipe.data.training_splits
    trained = sorted(video for video, split in films.split_of.items() if split in splits)
    observed = [[asdict(own) for own in films.observed.get(video, ())] for video in trained]
    return json_digest([labels, trained, observed, films.rate, films.window_seconds])


def clip_labels(dataset: Dataset, clips: Sequence[Segment]) -> str:
    """Return the digest of the clips of a data set; of windows, also of the intervals in their
    videos."""
    if dataset.films is None:
        return labels_digest(clips)
    videos = {clip.video_id for clip in clips}
    return labels_digest([*clips, *(own for own in dataset.segments if own.video_id in videos)])


def _trained(dataset: Dataset, recipe: Recipe) -> tuple[Segment, ...]:
    splits = recipe.data.training_splits
    return tuple(segment for segment in dataset.segments if segment.split in splits)


def training_change(run: Path, dataset: Dataset, recipe: Recipe) -> str | None:
    """Return how training data differ from those of the run in a folder, such as "45 training clips
    instead of 40"; None if they are the same or there is no run."""
    if not (run / CONFIG_NAME).is_file():
        return None
    before, labels = recorded_config(run).dataset, training_labels(dataset, recipe)
    # that of usable segments, which are all if there are as many
    is_known = before.num_train == len(_trained(dataset, recipe))
    known = before.train_digest if is_known else labels
    clips = counted(len(_trained(dataset, recipe)), "training clip")
    classes = counted(len(dataset.classes), "class", "classes")
    changes = []
    if (recorded_inputs(run) or {}).get("labels", known) != labels:
        is_other = dataset.films is None and clips != counted(before.num_train, "training clip")
        changes.append(
            f"{clips} instead of {before.num_train:,}" if is_other else "other training labels"
        )
    if dataset.classes != before.classes:
        is_other = len(dataset.classes) != len(before.classes)
        instead = f"{classes} instead of {len(before.classes):,}"
        changes.append(instead if is_other else "other names of classes")
    return ", ".join(changes) or None


def free_run(usual: Path, change_since: Callable[[Path], str | None]) -> tuple[Path, str | None]:
    """Return the folder for a run: the usual one, or if it has a run on other training data, the
    first free name of NAME-2, NAME-3, ...; and how the latest run on other data differs.

    Args:
        usual: the usual folder.
        change_since: returns how the training data differ from those of the run in a folder; None
            if they do not.
    """
    run, why = usual, None
    for number in itertools.count(2):
        if (change := change_since(run)) is None:
            break
        run, why = usual.with_name(f"{usual.name}-{number}"), f"{run}: {change}"
    return run, why
