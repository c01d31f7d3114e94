"""What data sets measure by themselves: by hand, and as scikit-learn has it."""

import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support

from orn.shared.manifests.records import Subset
from orn.stage2_train.evaluation.figures import measured_figures
from orn.stage2_train.evaluation.predictions import Predictions
from orn.stage2_train.evaluation.shares import share_figures, subset_shares

LABELS = np.array([0, 0, 1, 1, 2, 2, 3])
GUESSED = np.array([0, 1, 1, 1, 0, 0, 3])
PERSONS = ("a", "a", "b", "b", "c", "c", "c")


def logits_of(guessed=GUESSED, num_classes: int = 5) -> NDArray[np.float32]:
    return np.eye(num_classes, dtype=np.float32)[guessed]


def values(*subsets: Subset, groups=PERSONS, labels=LABELS, **given) -> dict[str, float]:
    shares = subset_shares(labels, logits_of(**given), subsets, participants=groups)
    found = share_figures(shares, groups, num_draws=100)
    return {name: each["value"] for name, each in found.items()}


def test_by_hand() -> None:
    tail, unseen = Subset(name="tail", classes=(2, 3)), Subset(name="unseen", participants=("b",))
    many = Subset(name="many_shot", classes=(0, 2, 4))  # 4 is of no segment, 2 is never predicted
    assert values(tail, unseen, many) == pytest.approx(
        {
            "top1_tail": 1 / 3,
            "top1_unseen": 1,
            "many_shot_precision": (1 / 3 + 0) / 2,
            "many_shot_recall": (1 / 2 + 0) / 2,
        }
    )


def test_many_shot_figures_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    labels, guessed = random.integers(7, size=(2, 90))
    classes = (0, 2, 5, 6)
    precision, recall, _, _ = precision_recall_fscore_support(
        labels, guessed, labels=classes, average="macro", zero_division=0
    )
    many = Subset(name="many_shot", classes=classes)
    found = values(many, groups=("v",) * 90, labels=labels, guessed=guessed, num_classes=7)
    wanted = {"many_shot_precision": precision, "many_shot_recall": recall}
    assert found == pytest.approx(wanted)


def test_what_the_split_does_not_have_is_left_out() -> None:
    nobody = Subset(name="unseen", participants=("z",))
    absent = Subset(name="tail", absent=Path("list.csv"))
    assert values(nobody, absent, Subset(name="many_shot")) == {}
    unseen = [Subset(name="unseen", participants=("a",))]
    assert subset_shares(LABELS, logits_of(), unseen, participants=None) == {}


def test_intervals_are_over_the_persons_of_a_subset() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(3, size=400)
    guessed = np.where(random.random(400) < 0.7, labels, (labels + 1) % 3)
    groups = tuple(f"p{row % 20}" for row in range(400))
    few = Subset(name="unseen", participants=("p0",))
    many = Subset(name="tail", classes=(0, 1))
    shares = subset_shares(labels, logits_of(guessed), [few, many], participants=groups)
    found = share_figures(shares, groups, num_draws=500)
    assert found["top1_unseen"]["low"] is None  # of one person nothing can be told
    own = found["top1_tail"]
    assert own["low"] < own["value"] < own["high"]
    assert own["high"] - own["low"] < 0.25


def test_they_stand_beside_the_other_figures(caplog) -> None:
    predictions = Predictions(
        ids=tuple("abcdefg"),
        labels=LABELS,
        activity_logits=logits_of(),
        object_logits=logits_of(),
        groups=PERSONS,
        grouped_by="participants",
    )
    subsets = [Subset(name="unseen", participants=("a", "c"))]
    with caplog.at_level(logging.WARNING):
        measured = measured_figures(predictions, subsets=subsets, num_draws=50)
    for head in ("two_heads", "activity_head", "object_head"):
        assert measured["figures"][head]["top1_unseen"]["value"] == pytest.approx(2 / 5)
        assert "top1" in measured["figures"][head]
