"""`orn train --from`: all weights but the classifiers' are those of another training."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from orn.stage2_train.model.tensor_files import read_tensors
from orn.stage2_train.runs.run_config import recorded_config
from tests.running import Ran
from tests.stage2_train.training.conftest import before_each_step

CLASSIFIERS = {
    "activity_head.classifier.classify.bias",
    "activity_head.classifier.classify.weight",
    "object_head.reasoning.classify.bias",
    "object_head.reasoning.classify.weight",
}


@pytest.fixture
def started(trained_once, train, tmp_path) -> Callable[..., Ran]:
    """Starts from a training of another number of classes, which `kitchen` has."""
    classes = tmp_path / "data" / "tiny" / "classes.txt"
    classes.write_text(classes.read_text() + "stir\n")
    return lambda *more, **options: train("--from", trained_once["--run"], *more, **options)


def test_a_training_begins_with_them_and_says_so(started, trained_once, tmp_path) -> None:
    taken, _ = read_tensors(Path(trained_once["--run"]) / "model.safetensors", what="", remedy="")
    began = {}

    def note(model, batches, **options) -> None:
        if not began:
            began.update({name: tensor.clone() for name, tensor in model.state_dict().items()})

    with before_each_step(note):
        message = started("--max-steps", "1").stderr
    assert all(torch.equal(began[name], taken[name]) for name in taken if name not in CLASSIFIERS)
    assert "initial weights from run (step 2, tiny)" in message
    assert all(name in message for name in CLASSIFIERS)
    config = recorded_config(tmp_path / "run")
    assert config.started_from is not None
    assert set(config.started_from.random) == CLASSIFIERS


def test_another_network_is_refused_in_a_line_that_names_what_differs(started) -> None:
    message = started("--set", "model.relation_width=7", exit_code=2).stderr
    assert len(message.splitlines()) == 1
    assert "relation_width is 6 there, 7 here" in message
    assert "num_activities" not in message
