"""Each command of `orn bench` at its smallest size, and what they share."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from orn.benchmarks.measuring import (
    peak_allocated_bytes,
    require_agreement,
    seconds_in_turns,
    watching_gpu,
)
from orn.shared.errors import PipelineError

ON_CPU = ("--device", "cpu")
LOADER = {"jpeg_only_seconds", "cold_seconds", "two_workers_over_one", "shard_over_pickle"}
DETECT = {"agreeing_share", "parts_seconds", "rest_over_network", "memory", "gpu_busy_share"}


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (("object-head",), {"memory_ratio", "largest_relative_difference"}),
        (("train-step", *ON_CPU), {"bf16_ratio", "losses", "gradient_relative_difference"}),
        (("train-step", *ON_CPU, "--phase", "object"), {"phase", "clips_per_second"}),
        pytest.param(("loader",), LOADER, marks=pytest.mark.slow),
        pytest.param(
            ("detect", *ON_CPU, "--workers", 1, "--precision", "bf16"),
            DETECT | {"against_float32_on_cpu"},
            marks=[pytest.mark.slow, pytest.mark.mmdet],
        ),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_a_tiny_run_gives_its_record(
    orn: Any, tmp_path: Path, words: tuple[str, ...], keys: set[str]
) -> None:
    out = tmp_path / "record.json"
    record = orn("bench", *words, "--tiny", "--repeats", 1, "--out", out, "--json").json
    assert json.loads(out.read_text()) == record
    assert record["ratio"] == pytest.approx(record["reference_seconds"] / record["ours_seconds"])
    assert keys | {"benchmark", "machine"} <= record.keys()
    if memory := record.get("memory"):
        assert "memory" in keys
        assert 0 < memory["long_bytes_above_start"] < memory["long_peak_bytes"] < 2**30
    if "losses" in keys:
        assert record["losses"]["ours"] == pytest.approx(record["losses"]["reference"], rel=1e-4)
    if "against_float32_on_cpu" in keys:
        assert record["against_float32_on_cpu"]["matched_share"] > 0.5


def test_both_sides_are_called_in_turns() -> None:
    calls: list[str] = []
    seconds = seconds_in_turns(lambda: calls.append("a"), lambda: calls.append("b"), repeats=2)
    assert all(each > 0 for each in seconds)
    assert calls == ["a", "a", "b", "b"] * 2  # the first call of each pair does not count


def test_peak_counts_what_is_held_at_once() -> None:
    def compute() -> None:
        for _ in range(3):
            first = torch.empty(2**18)
            second = torch.empty(2**17)
            del first, second

    assert peak_allocated_bytes(compute) == 4 * (2**18 + 2**17)


@pytest.mark.parametrize("difference", [2e-4, float("nan")])
def test_refuses_sides_that_differ(difference: float) -> None:
    assert require_agreement(1e-7, 1e-4) == 1e-7
    with pytest.raises(PipelineError, match=r"at most 0.0001, got"):
        require_agreement(difference, 1e-4)


def test_the_gpu_is_sampled_while_the_block_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = {torch.device("cuda:1"): SimpleNamespace(uuid="b21f")}  # there may be no GPU
    monkeypatch.setattr(torch.cuda, "get_device_properties", cards.get)
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\ntest $1 = --id=GPU-b21f && echo 40 && echo 60\nexec cat $PIPE\n")
    program.chmod(0o755)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setenv("PIPE", str(pipe))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with watching_gpu("cuda:1") as busy:
        pipe.write_text("")  # the program has come to its last line
    assert busy.share == 0.5
    with watching_gpu("cpu") as busy:
        pass
    assert busy.share is None
