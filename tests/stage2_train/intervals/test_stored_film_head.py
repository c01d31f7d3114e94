"""A stored head over time predicts the same, and a changed file is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from orn.shared.errors import CheckpointError
from orn.stage2_train.intervals import FILM_HEAD_NAME
from orn.stage2_train.intervals.film_features import FilmInputs
from orn.stage2_train.intervals.film_head import FilmHeads
from orn.stage2_train.intervals.stored_film_head import FittedFilmHead, read_film_head
from orn.stage2_train.model.tensor_files import read_tensors, write_tensors
from tests.flipped_bits import with_flipped_bits

INPUTS = FilmInputs(
    followed=(2, 5), score_threshold=0.5, rate=10.0, map_channels=3, reads_motion=True
)


@pytest.fixture
def head(tmp_path) -> FittedFilmHead:
    """A head with random weights, stored in a folder."""
    heads = FilmHeads(INPUTS.num_features, 4, multi_label=False)
    fitted = FittedFilmHead(heads=heads.eval(), inputs=INPUTS)
    fitted.write(tmp_path, config="a")
    return fitted


def restored(folder: Path, *, config: str = "a", labels: int = 4) -> FittedFilmHead | None:
    return read_film_head(folder, config=config, reads=INPUTS, num_labels=labels, multi_label=False)


def test_a_stored_head_predicts_the_same(head, tmp_path):
    features_TS = np.random.default_rng(0).normal(size=(30, INPUTS.num_features))
    own = restored(tmp_path)
    assert own is not None and own.inputs == INPUTS
    one, other = (each.heads.logits(features_TS.astype(np.float16)) for each in (head, own))
    assert np.array_equal(one, other)
    (tmp_path / FILM_HEAD_NAME).unlink()
    assert restored(tmp_path) is None


def test_a_head_of_another_run_or_a_changed_one_is_refused(head, tmp_path):
    path = tmp_path / FILM_HEAD_NAME
    for changes in ({"config": "b"}, {"labels": 3}):
        with pytest.raises(CheckpointError):
            restored(tmp_path, **changes)
    for _ in with_flipped_bits(path):
        with pytest.raises(CheckpointError):
            restored(tmp_path)


@pytest.mark.parametrize("followed", [[], [-1], [2], [0] * 200_000, ["a"], {"a": 1}, None])
def test_other_followed_classes_are_refused(head, tmp_path, followed):
    path = tmp_path / FILM_HEAD_NAME
    tensors, about = read_tensors(path, what="", remedy="")
    write_tensors(path, tensors, {**about, "followed": json.dumps(followed)})
    with pytest.raises(CheckpointError):
        restored(tmp_path)
