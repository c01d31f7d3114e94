"""A stored forest predicts what it predicted when it was fitted, and a changed file is refused."""

import numpy as np
import pytest

from orn.shared.errors import CheckpointError
from orn.stage2_train.parts import FOREST_NAME
from orn.stage2_train.parts.fitted_forest import (
    FittedForest,
    ForestInputs,
    read_forest,
)

INPUTS = ForestInputs(
    num_object_classes=3, followed=(1,), score_threshold=0.1, num_frames=8, reads_motion=True
)


def fitted(multi_label: bool = False) -> tuple[FittedForest, np.ndarray]:
    random = np.random.default_rng(0)
    statistics_NS, labels = random.normal(size=(40, 9)), random.integers(3, size=40)
    if multi_label:
        labels = (random.random((40, 3)) < 0.4).astype(np.float32)
    forest = FittedForest.fit(INPUTS, statistics_NS, labels, 3, seed=0, jobs=1)
    return forest, statistics_NS


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_stored_forest_predicts_the_same(tmp_path, multi_label) -> None:
    forest, statistics_NS = fitted(multi_label)
    assert read_forest(tmp_path, config="a") is None
    forest.write(tmp_path, config="a")
    first = (tmp_path / FOREST_NAME).read_bytes()
    restored = read_forest(tmp_path, config="a")
    assert restored is not None
    assert restored.inputs == INPUTS
    logits_NA = restored.logits(statistics_NS)
    assert np.isfinite(logits_NA).all()
    assert np.array_equal(logits_NA, forest.logits(statistics_NS))
    restored.write(tmp_path, config="a")
    assert (tmp_path / FOREST_NAME).read_bytes() == first


def test_a_forest_of_another_run_or_a_changed_one_is_refused(tmp_path) -> None:
    fitted()[0].write(tmp_path, config="a")
    path = tmp_path / FOREST_NAME
    content = path.read_bytes()
    with pytest.raises(CheckpointError):
        read_forest(tmp_path, config="b")
    random = np.random.default_rng(1)
    for _ in range(60):
        place, bit = int(random.integers(len(content))), 1 << int(random.integers(8))
        changed = bytearray(content)
        changed[place] ^= bit
        path.write_bytes(changed)
        with pytest.raises(CheckpointError):
            read_forest(tmp_path, config="a")
