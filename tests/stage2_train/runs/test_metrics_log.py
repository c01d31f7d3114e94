"""The log of a training, across crashes."""

import json
import time

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from orn.stage2_train.runs.metrics_log import opened_log


def scalars(folder) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard would show."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_lines_after_the_checkpoint_are_taken_back(tmp_path, monkeypatch) -> None:
    path = tmp_path / "metrics.jsonl"
    with opened_log(tmp_path, step=0) as log:
        for step in (1, 2, 3):
            log.write(step, group="train", values={"loss": float(step), "seconds": step / 10})
        assert log.seconds == 0.1 + 0.2 + 0.3
    with path.open("a") as file:
        file.write('{"step": 4, "gro')  # killed while writing
    later = time.time() + 10  # TensorBoard orders files by the second in which they began
    monkeypatch.setattr(time, "time", lambda: later)
    with opened_log(tmp_path, step=2) as log:
        assert log.seconds == 0.1 + 0.2
        log.write(3, group="train", values={"loss": 30.0})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(1, 1.0), (2, 2.0), (3, 30.0)]
    shown = scalars(tmp_path / "tensorboard")["train/loss"]
    assert shown == [(1, 1.0), (2, 2.0), (3, 30.0)]
