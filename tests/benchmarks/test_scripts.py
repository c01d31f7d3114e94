"""Each benchmark at its smallest size."""

import json
import subprocess
import sys
from functools import partial
from importlib import import_module

import pytest

from orn.benchmarks.gpu import jobs

LOADER = {"jpeg_only_seconds", "cold_seconds", "shard_over_pickle"}
DETECT = {"agreeing_share", "stages_cpu_seconds", "ours_wall_seconds", "memory"}
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "options", "keys"),
    [
        ("object_head", {}, {"memory_ratio", "largest_relative_difference"}),
        (
            *("train_step", {"device": "cpu"}),
            {"bf16_ratio", "losses", "gradient_relative_difference"},
        ),
        pytest.param("loader", {}, LOADER, marks=SLOW),
        pytest.param("detect", {"device": "cpu"}, DETECT, marks=[SLOW, pytest.mark.mmdet]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_tiny_run_gives_its_record(name, options, keys, monkeypatch) -> None:
    """Also in bf16, which is left out where it is slow."""
    monkeypatch.setattr("orn.shared.devices._computes_bf16_fast", lambda device: True)
    measure = partial(import_module(f"orn.benchmarks.{name}").measure, tiny=True, repeats=1)
    record = json.loads(json.dumps(measure(**options).record()))
    assert record["ratio"] == pytest.approx(record["reference_seconds"] / record["ours_seconds"])
    assert keys | {"benchmark", "machine"} <= record.keys()
    if memory := record.get("memory"):
        assert "memory" in keys
        assert 0 < memory["long_bytes_above_start"] < memory["long_peak_bytes"] < 2**30
    if "losses" in keys:
        assert record["losses"]["ours"] == pytest.approx(record["losses"]["reference"], rel=1e-4)


@SLOW
def test_a_script_writes_its_record(tmp_path) -> None:
    """In the words of `orn bench gpu`."""
    words, out = jobs("cpu", tiny=True)["train-resnet18"], tmp_path / "record.json"
    subprocess.run([sys.executable, "-P", *words, "--repeats", "1", "--out", out], check=True)
    assert json.loads(out.read_text())["device"] == "cpu"
