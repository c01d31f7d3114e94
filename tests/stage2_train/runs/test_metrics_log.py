"""The log of a training, across crashes."""

import json

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stage2_train.runs.run_folder import MetricsLog, read_jsonl


def test_lines_and_scalars(tmp_path) -> None:
    with MetricsLog(tmp_path, step=0) as log:
        log.write(1, group="train", values={"phase": "two_heads", "loss": 2.5})
        log.write(1, group="validation", values={"top1": 0.5})
    assert read_jsonl(tmp_path / "metrics.jsonl") == [
        {"step": 1, "group": "train", "phase": "two_heads", "loss": 2.5},
        {"step": 1, "group": "validation", "top1": 0.5},
    ]
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert sorted(events.Tags()["scalars"]) == ["train/loss", "validation/top1"]
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(1, 2.5)]


def test_lines_after_the_checkpoint_are_taken_back(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(tmp_path, step=0) as log:
        for step in (1, 2, 3):
            log.write(step, group="train", values={"loss": float(step)})
    with path.open("a") as file:
        file.write('{"step": 4, "gro')  # killed while writing
    with MetricsLog(tmp_path, step=2) as log:
        log.write(3, group="train", values={"loss": 30.0})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(1, 1.0), (2, 2.0), (3, 30.0)]


def test_inactive_writes_nothing(tmp_path) -> None:
    with MetricsLog(tmp_path, step=0, active=False) as log:
        log.write(1, group="train", values={"loss": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_steps_that_are_no_numbers_are_taken_back(tmp_path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [
        '{"step": "1"}',
        '{"step": [1]}',
        '{"step": 1, "x": "\\ud800"}',
        '{"x": 1}',
        '{"step": 1e9}',
    ]
    path.write_text("\n".join(lines) + "\n")
    with MetricsLog(tmp_path, step=2):
        pass
    assert read_jsonl(path) == [{"step": 1, "x": "?"}, {"x": 1}]
