"""A stored forest predicts what it predicted when it was fitted, and a changed file is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from orn.shared.errors import CheckpointError
from orn.stage2_train.intervals.film_features import FilmInputs
from orn.stage2_train.intervals.film_head import FilmHeads
from orn.stage2_train.intervals.stored_film_head import FittedFilmHead
from orn.stage2_train.model.tensor_files import read_tensors, write_tensors
from orn.stage2_train.parts import FOREST_NAME
from orn.stage2_train.parts.clip_statistics import (
    ClipMaps,
    ClipObjects,
    motion_statistics,
    object_statistics,
)
from orn.stage2_train.parts.fitted_forest import (
    FittedForest,
    ForestInputs,
    read_forest,
)
from orn.stage2_train.runs.run_folder import weights_digest
from orn.stage2_train.settings.model_config import MOTION_CHANNELS
from tests.flipped_bits import with_flipped_bits
from tests.worlds.films import write_tiny_model

INPUTS = ForestInputs(
    num_object_classes=3, followed=(1,), score_threshold=0.1, num_frames=8, reads_motion=True
)


def fitted(multi_label: bool = False) -> tuple[FittedForest, np.ndarray]:
    random = np.random.default_rng(0)
    statistics_NS, labels = (
        random.normal(size=(40, INPUTS.num_statistics)),
        random.integers(3, size=40),
    )
    if multi_label:
        labels = (random.random((40, 3)) < 0.4).astype(np.float32)
    forest = FittedForest.fit(INPUTS, statistics_NS, labels, 3, seed=0, jobs=1)
    return forest, statistics_NS


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_stored_forest_predicts_the_same(tmp_path, multi_label) -> None:
    forest, statistics_NS = fitted(multi_label)
    assert restored(tmp_path) is None
    forest.write(tmp_path, config="a")
    first = (tmp_path / FOREST_NAME).read_bytes()
    read = restored(tmp_path, multi_label=multi_label)
    assert read is not None
    assert read.inputs == INPUTS
    logits_NA = read.logits(statistics_NS)
    assert np.isfinite(logits_NA).all()
    assert np.array_equal(logits_NA, forest.logits(statistics_NS))
    read.write(tmp_path, config="a")
    assert (tmp_path / FOREST_NAME).read_bytes() == first


def restored(folder, *, config: str = "a", multi_label: bool = False) -> FittedForest | None:
    reads = replace(INPUTS, followed=())
    return read_forest(folder, config=config, reads=reads, num_classes=3, multi_label=multi_label)


def test_a_forest_of_another_run_or_a_changed_one_is_refused(tmp_path) -> None:
    fitted()[0].write(tmp_path, config="a")
    path = tmp_path / FOREST_NAME
    with pytest.raises(CheckpointError):
        restored(tmp_path, config="b")
    for _ in with_flipped_bits(path):
        with pytest.raises(CheckpointError):
            restored(tmp_path)


@pytest.mark.parametrize("followed", [[], [3], [-1], [0] * 200_000, ["a"], {"a": 1}, 10**30, None])
def test_other_followed_classes_are_refused(tmp_path, followed) -> None:
    fitted()[0].write(tmp_path, config="a")
    path = tmp_path / FOREST_NAME
    tensors, about = read_tensors(path, what="", remedy="")
    write_tensors(path, tensors, {**about, "followed": json.dumps(followed)})
    with pytest.raises(CheckpointError):
        restored(tmp_path)


def test_the_number_of_statistics_is_known_without_a_clip() -> None:
    """Two frames with an object of the followed class, and one motion map of each."""
    clip = ClipObjects(
        seconds_F=np.arange(2.0),
        frame_N=np.arange(2),
        boxes_N4=np.array([[0, 0, 1, 1]] * 2, float),
        labels_N=np.ones(2, np.int64),
        scores_N=np.ones(2),
    )
    maps = ClipMaps(
        seconds_T=np.arange(2.0),
        maps_TChw=None,
        motion_TChw=np.ones((2, MOTION_CHANNELS, 3, 3), np.float32),
    )
    of_objects_S = object_statistics(clip, num_classes=3, chosen=(1,))
    assert len(of_objects_S) + len(motion_statistics(maps)) == INPUTS.num_statistics


def film_head() -> FittedFilmHead:
    inputs = FilmInputs(
        followed=(1,), score_threshold=0.1, rate=10.0, map_channels=0, reads_motion=False
    )
    heads = FilmHeads(inputs.num_features, 2, multi_label=False)
    return FittedFilmHead(heads=heads, inputs=inputs)


@pytest.mark.parametrize("part", [lambda: fitted()[0], film_head], ids=["forest", "film head"])
def test_the_digest_of_the_weights_covers_each_part(tmp_path, part) -> None:
    write_tiny_model(tmp_path)
    digests, own = {weights_digest(tmp_path)}, part()
    for config in ("a", "b"):
        own.write(tmp_path, config=config)
        digests.add(weights_digest(tmp_path))
    assert len(digests) == 3
