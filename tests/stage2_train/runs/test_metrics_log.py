"""The log of a training, across crashes."""

import json
import time

import pytest
from accelerate import Accelerator
from accelerate.tracking import TensorBoardTracker
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from orn.stage2_train.runs.accelerator import build_accelerator
from orn.stage2_train.runs.metrics_log import opened_log
from orn.stage2_train.runs.run_folder import read_jsonl
from orn.stage2_train.settings.recipe import PhaseRecipe


@pytest.fixture
def accelerator() -> Accelerator:
    """Of one process on the CPU."""
    return build_accelerator("fp32", "cpu")


def scalars(folder) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard would show."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_lines_after_the_checkpoint_are_taken_back(accelerator, tmp_path, monkeypatch) -> None:
    path = tmp_path / "metrics.jsonl"
    with opened_log(tmp_path, step=0, accelerator=accelerator) as log:
        for step in (1, 2, 3):
            log.write(step, group="train", values={"loss": float(step), "seconds": step / 10})
        assert log.seconds == 0.1 + 0.2 + 0.3
    with path.open("a") as file:
        file.write('{"step": 4, "gro')  # killed while writing
    later = time.time() + 10  # TensorBoard orders files by the second in which they began
    monkeypatch.setattr(time, "time", lambda: later)
    with opened_log(tmp_path, step=2, accelerator=accelerator) as log:
        assert log.seconds == 0.1 + 0.2
        log.write(3, group="train", values={"loss": 30.0})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(1, 1.0), (2, 2.0), (3, 30.0)]
    shown = scalars(tmp_path / "tensorboard")["train/loss"]
    assert shown == [(1, 1.0), (2, 2.0), (3, 30.0)]


def test_trackers_of_accelerate_get_the_numbers(accelerator, tmp_path) -> None:
    board, recipe = TensorBoardTracker("other", str(tmp_path)), PhaseRecipe(epochs=3)
    with opened_log(
        tmp_path, step=0, accelerator=accelerator, log_with=[board], settings=recipe
    ) as log:
        log.write(1, group="train", values={"phase": "two_heads", "loss": 2.5})
    assert scalars(tmp_path / "other") == scalars(tmp_path / "tensorboard")
    assert scalars(tmp_path / "other") == {"train/loss": [(1, 2.5)]}
    (line,) = read_jsonl(tmp_path / "metrics.jsonl")
    assert line == {"step": 1, "group": "train", "phase": "two_heads", "loss": 2.5}
