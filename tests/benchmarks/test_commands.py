"""Each command of `orn bench` at its smallest size."""

import json

import pytest

ON_CPU = ("--device", "cpu")
LOADER = {"jpeg_only_seconds", "cold_seconds", "shard_over_pickle"}
DETECT = {"agreeing_share", "stages_cpu_seconds", "ours_wall_seconds", "memory"}


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (("object-head",), {"memory_ratio", "largest_relative_difference"}),
        (("train-step", *ON_CPU), {"bf16_ratio", "losses", "gradient_relative_difference"}),
        pytest.param(("loader",), LOADER, marks=pytest.mark.slow),
        pytest.param(("detect", *ON_CPU), DETECT, marks=[pytest.mark.slow, pytest.mark.mmdet]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_a_tiny_run_gives_its_record(orn, tmp_path, words, keys, monkeypatch) -> None:
    """Also in bf16, which is left out where it is slow."""
    monkeypatch.setattr("orn.shared.devices._computes_bf16_fast", lambda device: True)
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
