"""A made EPIC Kitchens 100: tables as published ones are, and runs that were measured on it."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from orn.stage2_train.runs.run_config import DataPaths, RecordedPaths
from orn.stage2_train.runs.saved_predictions import save_predictions
from orn.stage2_train.settings.model_config import NetworkConfig
from tests.worlds.evaluations import predictions_of
from tests.worlds.films import TINY_RECIPE, TINY_RECORD, write_tiny_model

NUM_VERBS, NUM_NOUNS = 97, 300
UNSEEN = ("P18", "P32")
TAIL_VERBS, TAIL_NOUNS = tuple(range(20, NUM_VERBS)), tuple(range(100, NUM_NOUNS))


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeEpic100:
    """Where it lies, and its validation segments."""

    data: Path
    ids: list[str]
    persons: list[str]
    verbs: np.ndarray
    nouns: np.ndarray


def _write(folder: Path, name: str, header: Sequence[str], rows: Sequence[Any]) -> None:
    with (folder / f"EPIC_100_{name}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def make_epic100(folder: Path) -> MadeEpic100:
    """Write tables as published ones are: classes of the published numbers, frequent and rare
    ones, seen and unseen participants."""
    random, num_validation = np.random.default_rng(0), 60
    verbs = np.minimum(random.geometric(0.08, num_validation) - 1, NUM_VERBS - 1)
    nouns = np.minimum(random.geometric(0.02, num_validation) - 1, NUM_NOUNS - 1)
    numbers = random.choice([1, 2, 3, 4, 18, 22, 32], num_validation)
    persons = [f"P{number:02d}" for number in numbers]
    ids = [f"{person}_{row % 9 + 1:02d}_{row}" for row, person in enumerate(persons)]

    def rows(names: Sequence[str], *classes: Sequence[int]) -> list[tuple[object, ...]]:
        times = ("00:00:01.00", "00:00:02.50")
        own = [(name, name[:3], name.rpartition("_")[0], *times) for name in names]
        return [(*row, *labels) for row, *labels in zip(own, *classes, strict=True)]

    tables = folder / "epic100" / "annotations"
    tables.mkdir(parents=True, exist_ok=True)
    columns = ("narration_id", "participant_id", "video_id", "start_timestamp", "stop_timestamp")
    labeled = (*columns, "verb_class", "noun_class")
    train = rows([f"P01_11_{row}" for row in range(20)], range(20), range(20))
    _write(tables, "train", labeled, train)
    _write(tables, "validation", labeled, rows(ids, verbs, nouns))
    test = rows([f"P05_01_{row}" for row in range(12)])
    _write(tables, "test_timestamps", columns, test)
    for kind, number, tail in (("verb", NUM_VERBS, TAIL_VERBS), ("noun", NUM_NOUNS, TAIL_NOUNS)):
        names = [(index, f"{kind}{index}") for index in range(number)]
        _write(tables, f"{kind}_classes", ("id", "key"), names)
        _write(tables, f"tail_{kind}s", (kind,), [(index,) for index in tail])
    unseen = [(person,) for person in UNSEEN]
    _write(tables, "unseen_participant_ids_validation", ("participant_id",), unseen)
    return MadeEpic100(data=folder, ids=ids, persons=persons, verbs=verbs, nouns=nouns)


def make_run(
    folder: Path,
    made: MadeEpic100,
    kind: str,
    *,
    ids: Sequence[str] | None = None,
    steps: float | None = None,
) -> Path:
    """A run on verbs or nouns, right on some of the segments.

    With `steps`, logits are whole numbers of them, so that many are equal.
    """
    number = {"verb": NUM_VERBS, "noun": NUM_NOUNS}[kind]
    model = NetworkConfig(num_activities=number, heads="activity")
    dataset = "epic100" if kind == "verb" else "epic100-nouns"
    paths = DataPaths(
        manifest=dataset, data_root=made.data, shards=folder / "shards", clips=folder / "clips"
    )
    run = folder / kind
    classes = tuple(f"{kind}{index}" for index in range(number))
    record = replace(TINY_RECORD, name=dataset, classes=classes)
    where = {"manifest": dataset, "recorded_paths": RecordedPaths.of(paths, run)}
    write_tiny_model(run, recipe=replace(TINY_RECIPE, model=model), dataset=record, **where)
    labels = {"verb": made.verbs, "noun": made.nouns}[kind]
    random = np.random.default_rng(number)
    logits = random.normal(size=(len(labels), number)).astype(np.float32)
    logits[np.arange(len(labels)), labels] += random.normal(2.5, 1.5, len(labels))
    if steps is not None:
        logits = np.round(logits / steps).astype(np.float32) * np.float32(steps)
    grouped = {"groups": tuple(made.persons), "grouped_by": "participants"}
    predictions = predictions_of(made.ids, labels, activity_logits=logits, **grouped)
    if ids is not None:
        place = {name: row for row, name in enumerate(made.ids)}
        predictions = predictions.reordered(np.array([place[name] for name in ids]))
    save_predictions(run / "predictions-validation.npz", predictions)
    return run
