"""Run folders and JSON lines."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from orn.shared.errors import CheckpointError
from orn.stage2_train.intervals.decoder import fit_decoder
from orn.stage2_train.parts.temperatures import Temperatures, write_temperatures
from orn.stage2_train.runs.run_folder import (
    append_jsonl,
    newest_run,
    read_jsonl,
    record_start,
    weights_digest,
)
from orn.stage2_train.runs.trained import open_model
from tests.worlds.films import write_tiny_model


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
    """Files of the older one are newer, as those of a copy may be."""
    for second, (name, dataset) in enumerate((("new", "demo"), ("old", "demo"), ("other", "vlog"))):
        run = tmp_path / name
        for time in (f"2026-12-01T10:00:0{9 - second}.500+00:00", "2026-12-01T09:00:00+00:00"):
            append_jsonl(run / "starts.jsonl", {"time": time})
        os.utime(run / "starts.jsonl", (second, second))
        (run / "config.json").write_text(json.dumps({"dataset": {"name": dataset}}))
        (run / "model.safetensors").touch()
    append_jsonl(tmp_path / "begun" / "starts.jsonl", {})
    shutil.copytree(tmp_path / "new", tmp_path / "broken")
    (tmp_path / "broken" / "config.json").write_text("no JSON")
    assert newest_run(among=tmp_path) == newest_run("demo", among=tmp_path) == tmp_path / "new"
    assert newest_run("vlog", among=tmp_path) == tmp_path / "other"
    assert newest_run("epic", among=tmp_path) is None


def test_records_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "metrics.jsonl"
    append_jsonl(path, {"step": 1, "loss": 0.5})
    append_jsonl(path, {"step": 2, "loss": float("nan"), "all": [float("inf"), 1.0]})
    assert read_jsonl(path) == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "loss": None, "all": [None, 1.0]},
    ]
    assert [json.loads(line) for line in path.read_text().splitlines()] == read_jsonl(path)


def test_a_decoder_with_other_classes_is_noticed(tmp_path) -> None:
    """A model cannot be opened with it, and the calibration of its run is not current."""
    write_tiny_model(tmp_path)
    for number in (2, 3):
        decoder = fit_decoder([np.array([0, 1])], [], number)
        made_from = {"weights": weights_digest(tmp_path)}
        write_temperatures(tmp_path, Temperatures(decoder=decoder, made_from=made_from))
        if number == 2:
            open_model(tmp_path, device="cpu")
    with pytest.raises(CheckpointError, match="expected a decoder of 2 classes"):
        open_model(tmp_path, device="cpu")
