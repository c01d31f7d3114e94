"""A made EPIC Kitchens 100: tables as published ones are, and runs that were measured on it."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from orn.stage2_train.runs.predictions import save_predictions
from orn.stage2_train.runs.run_config import (
    DataPaths,
    Places,
)
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


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def make_epic100(folder: Path, *, num_validation: int, num_test: int = 12) -> MadeEpic100:
    """Classes of the published numbers; frequent and rare ones, seen and unseen participants."""
    annotations = folder / "epic100" / "annotations"
    random = np.random.default_rng(0)
    verbs = np.minimum(random.geometric(0.08, num_validation) - 1, NUM_VERBS - 1)
    nouns = np.minimum(random.geometric(0.02, num_validation) - 1, NUM_NOUNS - 1)
    trained = np.arange(20)
    numbers = random.choice([1, 2, 3, 4, 18, 22, 32], num_validation)
    persons = [f"P{number:02d}" for number in numbers]
    ids = [f"{person}_{row % 9 + 1:02d}_{row}" for row, person in enumerate(persons)]

    def rows(names: Sequence[str], *classes: np.ndarray) -> list[tuple[object, ...]]:
        times = ("00:00:01.00", "00:00:02.50")
        own = [(name, name[:3], name.rpartition("_")[0], *times) for name in names]
        return [(*row, *labels) for row, *labels in zip(own, *classes, strict=True)]

    write_annotations(
        annotations,
        train=rows([f"P01_11_{row}" for row in trained], trained, trained),
        validation=rows(ids, verbs, nouns),
        test=rows([f"P05_01_{row}" for row in range(num_test)]),
        tails=(TAIL_VERBS, TAIL_NOUNS),
        unseen=UNSEEN,
    )
    return MadeEpic100(data=folder, ids=ids, persons=persons, verbs=verbs, nouns=nouns)


def write_annotations(
    folder: Path,
    *,
    train: Sequence[tuple[object, ...]],
    validation: Sequence[tuple[object, ...]],
    test: Sequence[tuple[object, ...]],
    tails: tuple[Sequence[int], Sequence[int]],
    unseen: Sequence[str],
) -> None:
    """Tables as published ones are; rows are narration, participant, video, times, and classes."""
    columns = ("narration_id", "participant_id", "video_id", "start_timestamp", "stop_timestamp")
    labels = ("verb_class", "noun_class")
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in (("train", train), ("validation", validation)):
        _write(folder / f"EPIC_100_{split}.csv", (*columns, *labels), rows)
    _write(folder / "EPIC_100_test_timestamps.csv", columns, test)
    for kind, number, tail in zip(("verb", "noun"), (NUM_VERBS, NUM_NOUNS), tails, strict=True):
        names = [(number_, f"{kind}{number_}") for number_ in range(number)]
        _write(folder / f"EPIC_100_{kind}_classes.csv", ("id", "key"), names)
        _write(folder / f"EPIC_100_tail_{kind}s.csv", (kind,), [(number_,) for number_ in tail])
    name = "EPIC_100_unseen_participant_ids_validation.csv"
    _write(folder / name, ("participant_id",), [(number_,) for number_ in unseen])


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
    paths = DataPaths(manifest=dataset, data_root=made.data, shards=folder / "shards")
    run = folder / kind
    classes = tuple(f"{kind}{index}" for index in range(number))
    record = replace(TINY_RECORD, name=dataset, classes=classes)
    where = {"manifest": dataset, "places": Places.of(paths, run)}
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
