"""Training curves name what they show."""

import pytest

from orn.stage2_train.report.curves import training_curves
from tests.worlds.films import train_tiny_network


@pytest.mark.parametrize("without_validation", [False, True])
def test_scores_are_named_validation_only_if_there_is_one(
    tiny_world, tmp_path, without_validation
) -> None:
    train_tiny_network(tiny_world, tmp_path / "run", without_validation=without_validation)
    losses, scores = training_curves(tmp_path / "run", "top1", 0.5)
    kind = "Training" if without_validation else "Validation"
    assert losses.alt == "Training losses of run"
    assert scores.alt == f"{kind} scores of run"
    assert f"{kind.lower()} top1" in scores.data.decode()
