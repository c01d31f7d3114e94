"""Which pair acts is told from classes and places; what is put first is counted."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from orn.demo.experiments.acting_pairs import true_cliques
from orn.demo.experiments.importance import _groups, _questions, object_areas
from orn.demo.experiments.importance_summary import ClipFindings, as_report, mean_of_runs, summary
from orn.shared.errors import ConfigError
from orn.shared.masks.coco_classes import COCO_CLASSES
from orn.stage2_train.evaluation.statistics import mean_interval, student_t

NAMES = tuple(COCO_CLASSES)


class _OneClip(SimpleNamespace):
    """A batch of one clip."""

    def __len__(self) -> int:
        return 1


def _case(
    classes_TK: list[list[str]], pairs: list[tuple[tuple[int, int], tuple[int, int]]], label=0
):
    """One clip with objects of these classes, and cliques of (frame, slot) and (frame, slot)."""
    labels_TK = torch.tensor([[NAMES.index(each) for each in row] for row in classes_TK])
    batch = _OneClip(
        detector_labels_BTK=labels_TK[None], boxes_BTK4=torch.zeros(1, *labels_TK.shape, 4)
    )
    importance = SimpleNamespace(
        clip_P=torch.zeros(len(pairs), dtype=torch.int64),
        frames_nP=torch.tensor([[pair[end][0] for pair in pairs] for end in (0, 1)]),
        slots_nP=torch.tensor([[pair[end][1] for pair in pairs] for end in (0, 1)]),
        class_B=torch.tensor([label]),
    )
    return batch, importance


PAIRS = [((0, first), (1, second)) for first in range(3) for second in range(3)]


@pytest.mark.parametrize(
    ("dataset", "classes", "row", "label"),
    [
        pytest.param("demo", ("any",), ["banana", "apple", "cup"], 0, id="the roles"),
        pytest.param("demo-touch", ("apple", "cup"), ["person", "apple", "cup"], 1, id="the hand"),
    ],
)
def test_pairs_that_act_do_so_in_both_directions(dataset, classes, row, label) -> None:
    found = true_cliques(dataset, classes, NAMES, *_case([row] * 2, PAIRS, label))
    acting = [pair for pair, true in zip(PAIRS, found, strict=True) if true]
    assert acting == [((0, 0), (1, 2)), ((0, 2), (1, 0))]


@pytest.mark.parametrize("dataset", ["demo", "demo-touch", "demo-places"])
def test_no_pair_acts_without_its_classes(dataset: str) -> None:
    """A detector of other classes, such as one without the hand, finds none."""
    case = _case([["person", "bicycle", "car"]] * 2, PAIRS)
    assert not true_cliques(dataset, ("car",), ("truck", "bicycle", "car"), *case).any()


@pytest.mark.parametrize(("label", "wanted"), [(0, [((0, 0), (1, 2))]), (1, [])])
def test_on_demo_places_the_nearest_ball_acts(label, wanted) -> None:
    batch, importance = _case([["cup", "sports ball", "sports ball"]] * 2, PAIRS, label)
    batch.boxes_BTK4[0, 0, 0] = torch.tensor([10, 10, 20, 20])
    batch.boxes_BTK4[0, 1, 1] = torch.tensor([50, 10, 60, 20])
    batch.boxes_BTK4[0, 1, 2] = torch.tensor([11, 10, 21, 20])
    found = true_cliques("demo-places", ("cup", "nobody"), NAMES, batch, importance)
    assert [pair for pair, true in zip(PAIRS, found, strict=True) if true] == wanted


def test_classes_that_no_clip_asks_for_are_not_explained() -> None:
    config = SimpleNamespace(dataset=SimpleNamespace(classes=("a", "b", "c")))
    asked = _questions(torch.tensor([[1.0, 0.0, 0.0], [1.0, -1.0, 1.0]]), config)
    found = [(class_B.tolist(), asked_B.tolist()) for class_B, asked_B in asked]
    assert found == [([0, 0], [True, True]), ([2, 2], [False, True])]


def test_a_pair_of_classes_is_one_group_whichever_of_them_comes_first() -> None:
    pairs = [((0, 0), (1, 1)), ((0, 1), (1, 0)), ((0, 0), (1, 0))]
    batch, importance = _case([["cup", "apple"]] * 2, pairs)
    clip_N, group_P = _groups(importance, batch)
    assert clip_N.tolist() == [0, 0]
    assert group_P[0] == group_P[1] != group_P[2]


def test_the_background_is_no_large_object() -> None:
    batch = SimpleNamespace(
        detector_labels_BTK=torch.tensor([[[3, 80, 0]]]),
        class_scores_BTKS=torch.zeros(1, 1, 3, 81),
        masks_BTKhw=torch.tensor([0.25, 0.75, 0.0]).reshape(1, 1, 3, 1, 1).expand(-1, -1, -1, 2, 2),
    )
    assert object_areas(batch).tolist() == [[[0.25, 0.0, 0.0]]]


@pytest.mark.slow
def test_a_run_on_the_demo_is_measured(orn, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (
        "demo world demo --films 12,6,0",
        "demo truth demo --out shards/demo",
        "clips demo",
        "train demo --run run --workers 0 --set phases.object_head_steps=1 --set phases.steps=1",
        "demo importance run --all-clips",
        "demo importance run run --all-clips --out both",
    ):
        said = orn(*words.split()).stdout
    report = json.loads((tmp_path / "run" / "importance-validation.json").read_text())
    for network in ("trained", "random_weights"):
        assert report[network]["num_explained"] == 6
        assert 0 < report[network]["first_clique_is_true"]["chance"]["mean"] < 0.2
        deletion, insertion = (
            report[network][way]["logit_drop"] for way in ("deletion", "insertion")
        )
        assert deletion[0]["mean"] == pytest.approx(insertion[-1]["mean"], abs=1e-5)
        assert deletion[-1]["mean"] == pytest.approx(insertion[0]["mean"], abs=1e-5)
    assert "first pair is the acting pair" in said
    assert (tmp_path / "run" / "importance-validation.png").stat().st_size > 1000
    assert orn("demo", "importance", "nowhere", exit_code=None).exit_code != 0


def _report(seed: int, *, dataset: str = "demo", mean: float = 0.5) -> dict:
    curves = {
        name: [{"mean": mean, "half": 0.1}] * 11 for name in ("logit_drop", "activation", "random")
    }
    network = {
        "num_explained": 10,
        "first_clique_is_true": {"logit_drop": {"mean": mean, "half": 0.1}},
        "deletion": curves,
        "insertion": curves,
    }
    names = {"run": f"seed{seed}", "dataset": dataset, "split": "validation", "num_clips": 12}
    return {**names, "trained": network, "random_weights": network}


def test_several_runs_have_means_and_intervals_over_the_runs() -> None:
    found = mean_of_runs([_report(0, mean=0.2), _report(1, mean=0.4)])
    assert found["run"] == ["seed0", "seed1"]
    assert found["trained"]["num_explained"] == 20
    hit = found["trained"]["first_clique_is_true"]["logit_drop"]
    assert hit == pytest.approx({"mean": 0.3, "half": 12.706 * 0.1}, rel=1e-4)
    assert "30.0 +- 127.1" in as_report(found).text()
    with pytest.raises(ConfigError, match="expected the same dataset, got demo, demo-touch"):
        mean_of_runs([_report(0), _report(1, dataset="demo-touch")])


def test_intervals_over_labels_are_over_films() -> None:
    """Labels of one film that agree count once; films of one label give Student's t; and in
    general the half width is the spread of means of films that are drawn anew."""

    def found(films, hits) -> dict:
        clips = [
            ClipFindings(
                film=film,
                first={"object_acts": {"logit_drop": hit}},
                deletion={"logit_drop": [hit]},
                insertion={"logit_drop": [hit]},
            )
            for film, hit in zip(films, hits, strict=True)
        ]
        report = summary(clips)
        assert report["deletion"]["logit_drop"] == [report["first_object_acts"]["logit_drop"]]
        return report["first_object_acts"]["logit_drop"]

    hits = [0.0, 1.0, 1.0, 0.5]
    once, thrice = found("abcd", hits), found("aaabbbcccddd", np.repeat(hits, 3).tolist())
    assert once == pytest.approx(thrice)
    expected = mean_interval(hits)
    assert once == pytest.approx({"mean": expected.mean, "half": expected.half_width})
    assert found("aa", [0.0, 1.0]) == {"mean": 0.5, "half": 0.0}

    random = np.random.default_rng(0)
    films = random.integers(80, size=200)
    hits = (random.random(200) < random.random(80)[films]).astype(float)
    of_film = [hits[films == film] for film in np.unique(films)]
    drawn = [
        np.concatenate([of_film[row] for row in random.integers(len(of_film), size=len(of_film))])
        for _ in range(4000)
    ]
    spread = np.std([each.mean() for each in drawn])
    half = found(films.tolist(), hits.tolist())["half"]
    assert half == pytest.approx(student_t(len(of_film) - 1) * spread, rel=0.05)
