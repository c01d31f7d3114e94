"""Run folders and JSON lines."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.config.files import load_config
from shared.errors import PipelineError
from stage2_train.runs.run_folder import append_jsonl, newest_run, read_jsonl, start_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    epochs: int = 3


def test_folder_holds_settings_and_what_they_ran_with(tmp_path: Path) -> None:
    start_run(tmp_path / "run", Settings(epochs=5), threads=3)
    assert load_config(tmp_path / "run" / "config.toml", Settings) == Settings(epochs=5)
    (start,) = read_jsonl(tmp_path / "run" / "starts.jsonl")
    assert start["versions"]["numpy"]
    assert start["command"]
    assert start["threads"] == 3
    assert "commit" in start
    assert start["time"].endswith("+00:00")


def test_resuming_adds_a_start_and_keeps_the_settings(tmp_path: Path) -> None:
    start_run(tmp_path, Settings(epochs=1), threads=1)
    start_run(tmp_path, Settings(epochs=2), threads=1)
    assert len(read_jsonl(tmp_path / "starts.jsonl")) == 2
    assert load_config(tmp_path / "config.toml", Settings).epochs == 1


def test_the_newest_run_is_the_one_started_last(tmp_path: Path) -> None:
    runs = [
        ("old", "demo", "2026-01-01T00:00:00+00:00", True),
        ("new", "demo", "2026-03-01T00:00:00+00:00", True),
        ("other", "vlog", "2026-04-01T00:00:00+00:00", True),
        ("begun", "demo", "2026-05-01T00:00:00+00:00", False),
    ]
    for name, dataset, start, has_checkpoint in runs:
        append_jsonl(tmp_path / name / "starts.jsonl", {"time": start})
        (tmp_path / name / "config.toml").write_text(f'[dataset]\nname = "{dataset}"\n')
        if has_checkpoint:
            (tmp_path / name / "last.pt").touch()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "last.pt").touch()
    (tmp_path / "broken" / "config.toml").write_text("no TOML")
    assert newest_run("demo", among=tmp_path) == tmp_path / "new"
    append_jsonl(tmp_path / "old" / "starts.jsonl", {"time": "2026-06-01T00:00:00+00:00"})
    assert newest_run("demo", among=tmp_path) == tmp_path / "old"
    assert newest_run("epic", among=tmp_path) is None
    assert newest_run("demo", among=tmp_path / "nowhere") is None


def test_records_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "metrics.jsonl"
    append_jsonl(path, {"step": 1, "loss": 0.5})
    append_jsonl(path, {"step": 2, "loss": float("nan"), "all": [float("inf"), 1.0]})
    assert read_jsonl(path) == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "loss": None, "all": [None, 1.0]},
    ]
    assert [json.loads(line) for line in path.read_text().splitlines()] == read_jsonl(path)


def test_line_torn_by_a_crash_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append_jsonl(path, {"step": 1})
    with path.open("a") as file:
        file.write('{"step": 2, "lo')
    assert read_jsonl(path) == [{"step": 1}]
    append_jsonl(path, {"step": 3})
    assert read_jsonl(path) == [{"step": 1}, {"step": 3}]


def test_no_file_has_no_records(tmp_path: Path) -> None:
    assert read_jsonl(tmp_path / "none.jsonl") == []


def test_disk_that_refuses(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="could not be written"):
        append_jsonl(tmp_path, {"step": 1})
