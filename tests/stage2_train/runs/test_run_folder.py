"""Run folders and JSON lines."""

import json
from pathlib import Path

import torch

from orn.stage2_train.runs.run_folder import append_jsonl, newest_run, read_jsonl, record_start


def test_a_folder_holds_what_it_was_started_with(tmp_path: Path) -> None:
    run = tmp_path / "run"
    record_start(run, threads=3, precision="fp32")
    record_start(run, threads=1, precision="bf16")
    start, resumed = read_jsonl(run / "starts.jsonl")
    assert start["versions"]["numpy"]
    assert start["command"]
    assert (start["threads"], resumed["threads"]) == (3, 1)
    assert "commit" in start
    assert start["instruction_set"] == torch.backends.cpu.get_cpu_capability()
    assert start["time"].endswith("+00:00")


def test_the_newest_run_is_the_one_started_last(tmp_path: Path) -> None:
    runs = [
        ("old", "demo", "2026-01-01T00:00:00+00:00", True),
        ("new", "demo", "2026-03-01T00:00:00+00:00", True),
        ("other", "vlog", "2026-04-01T00:00:00+00:00", True),
        ("begun", "demo", "2026-05-01T00:00:00+00:00", False),
    ]
    for name, dataset, start, has_weights in runs:
        append_jsonl(tmp_path / name / "starts.jsonl", {"time": start})
        (tmp_path / name / "config.json").write_text(json.dumps({"dataset": {"name": dataset}}))
        if has_weights:
            (tmp_path / name / "model.safetensors").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.safetensors").touch()
    (tmp_path / "broken" / "config.json").write_text("no JSON")
    append_jsonl(tmp_path / "old" / "starts.jsonl", {"time": "2026-06-01T00:00:00+00:00"})
    assert newest_run("demo", among=tmp_path) == tmp_path / "old"
    assert newest_run("epic", among=tmp_path) is None
    append_jsonl(tmp_path / "other" / "starts.jsonl", {"time": "2026-07-01T00:00:00+00:00"})
    assert newest_run(among=tmp_path) == tmp_path / "other"


def test_records_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "metrics.jsonl"
    append_jsonl(path, {"step": 1, "loss": 0.5})
    append_jsonl(path, {"step": 2, "loss": float("nan"), "all": [float("inf"), 1.0]})
    assert read_jsonl(path) == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "loss": None, "all": [None, 1.0]},
    ]
    assert [json.loads(line) for line in path.read_text().splitlines()] == read_jsonl(path)
