"""The head over time: its numbers, padding, and what it learns."""

import numpy as np
import pytest
import torch

from orn.shared.jobs.progress import SILENT
from orn.stage2_train.intervals import film_head
from orn.stage2_train.intervals.film_head import FilmHead, TrainingFilm, train_film_heads
from tests.reference.film_head import logits


def network(features: int = 5, labels: int = 3, *, multi_label: bool = False) -> FilmHead:
    """A network with random weights, as it predicts."""
    torch.manual_seed(0)
    return FilmHead(features, labels, multi_label=multi_label).eval()


def test_logits_equal_those_of_plain_loops():
    head, features_ST = network(), np.random.default_rng(0).normal(size=(5, 20))
    weights = {name: own.double().numpy() for name, own in head.state_dict().items()}
    expected_AT = logits(weights, features_ST, stages=2, layers=6)
    with torch.inference_mode():
        inputs_1ST = torch.from_numpy(features_ST).float()[None]
        got_AT = head(inputs_1ST, torch.ones(1, 1, 20))[-1][0]
    assert got_AT.numpy() == pytest.approx(expected_AT, abs=1e-4)


@pytest.mark.parametrize("multi_label", [False, True])
def test_padding_changes_nothing(multi_label):
    head = network(multi_label=multi_label)
    short_1ST = torch.randn(1, 5, 30)
    padded_1ST = torch.cat([short_1ST, torch.zeros(1, 5, 50)], dim=2)
    valid_11T = (torch.arange(80) < 30).float()[None, None]
    with torch.inference_mode():
        alone = head(short_1ST, torch.ones(1, 1, 30))[-1]
        padded = head(padded_1ST, valid_11T)[-1][:, :, :30]
    assert torch.allclose(alone, padded, atol=1e-5)


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training with few networks and epochs."""
    monkeypatch.setattr(film_head, "_MEMBERS", 1)
    monkeypatch.setattr(film_head, "_EPOCHS", 40)


def films_of(labels_T: np.ndarray, *, number: int = 4) -> list[TrainingFilm]:
    """Films whose first features tell the labels."""
    rng = np.random.default_rng(0)
    columns = labels_T[:, None] == np.arange(3) if labels_T.ndim == 1 else labels_T > 0
    features = np.concatenate([columns, rng.normal(size=(len(labels_T), 4))], axis=1)
    return [TrainingFilm(features=features.astype(np.float16), labels=labels_T)] * number


def train(films: list[TrainingFilm], labels: int, *, multi_label: bool) -> film_head.FilmHeads:
    with SILENT.progress("head", total=1, unit="epochs") as bar:
        return train_film_heads(films, labels, multi_label=multi_label, seed=0, bar=bar)


@pytest.mark.usefixtures("quickly")
def test_a_film_is_learned_and_training_repeats_itself():
    labels_T = np.array([2] * 20 + [0] * 15 + [2] * 10 + [1] * 15)
    films = films_of(labels_T)
    heads, again = (train(films, 3, multi_label=False) for _ in range(2))
    log_TA = heads.logits(films[0].features)
    assert (log_TA.argmax(axis=1) == labels_T).mean() > 0.9
    assert np.exp(log_TA).sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(log_TA, again.logits(films[0].features))


@pytest.mark.usefixtures("quickly")
def test_times_that_were_not_observed_do_not_count_as_a_label():
    labels_T = np.array([0] * 30 + [1] * 30)
    known = films_of(labels_T)
    labels_T = labels_T.copy()
    labels_T[5:25] = -1
    films = [TrainingFilm(features=known[0].features, labels=labels_T)] * 4
    predicted_T = train(films, 3, multi_label=False).logits(known[0].features).argmax(axis=1)
    assert (predicted_T[5:25] == 0).mean() > 0.9


@pytest.mark.usefixtures("quickly")
def test_several_labels_are_learned_side_by_side_also_where_some_times_were_not_observed():
    labels_TA = np.zeros((60, 2), np.float32)
    labels_TA[10:40, 0] = labels_TA[30:55, 1] = 1
    partly_TA = labels_TA.copy()
    partly_TA[15:30] = partly_TA[42:50] = -1
    features = films_of(labels_TA)[0].features
    for known_TA in (labels_TA, partly_TA):
        films = [TrainingFilm(features=features, labels=known_TA)] * 4
        odds_TA = train(films, 2, multi_label=True).logits(features)
        assert ((odds_TA > 0) == labels_TA).mean() > 0.9
