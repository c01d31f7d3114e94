"""Run folders and JSON lines."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.config.files import load_config
from shared.errors import ConfigError, PipelineError
from stage2_train.runs.run_folder import append_jsonl, create_run_folder, read_jsonl, record_start


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    epochs: int = 3


def test_folder_holds_settings_and_what_they_ran_with(tmp_path: Path) -> None:
    folder = create_run_folder(tmp_path / "run", label="demo", config=Settings(epochs=5))
    assert load_config(folder / "config.toml", Settings) == Settings(epochs=5)
    (start,) = read_jsonl(folder / "starts.jsonl")
    assert start["versions"]["numpy"]
    assert start["command"]
    assert "commit" in start
    assert start["time"].endswith("+00:00")


def test_resuming_adds_a_start(tmp_path: Path) -> None:
    folder = create_run_folder(tmp_path / "run", label="demo", config=Settings())
    record_start(folder)
    assert len(read_jsonl(folder / "starts.jsonl")) == 2


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    create_run_folder(tmp_path / "run", label="demo", config=Settings(epochs=1))
    with pytest.raises(ConfigError, match="already holds a run"):
        create_run_folder(tmp_path / "run", label="demo", config=Settings(epochs=2))
    assert load_config(tmp_path / "run" / "config.toml", Settings).epochs == 1


def test_folders_made_at_the_same_moment_differ(tmp_path: Path) -> None:
    folders = {
        create_run_folder(None, label="demo", config=Settings(), parent=tmp_path) for _ in range(3)
    }
    assert len(folders) == 3
    assert all(folder.parent == tmp_path for folder in folders)
    assert all(folder.name.startswith("demo-") for folder in folders)


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PipelineError, match=r"file/demo-.* could not be made"):
        create_run_folder(None, label="demo", config=Settings(), parent=tmp_path / "file")


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
