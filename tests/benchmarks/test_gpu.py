"""`orn bench gpu`: what it measures, and that nothing keeps it from measuring the rest."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from orn.benchmarks import gpu
from orn.benchmarks.requests import GpuRequest

WRITE = "import sys; open(sys.argv[-1], 'w').write('{}')"
SLEEP = "import os; os.read(os.pipe()[0], 1)"


def states(
    monkeypatch: pytest.MonkeyPatch, out: Path, *codes: str, minutes: float = 2
) -> list[str]:
    """What becomes of measurements that are pieces of Python."""
    chosen = {str(number): ("-c", code) for number, code in enumerate(codes)}
    monkeypatch.setattr(gpu, "jobs", lambda device, tiny: chosen)
    found = gpu.measure_all(GpuRequest(out=out, minutes=minutes, device="cpu", tiny=True))
    assert [each["name"] for each in found] == list(chosen)
    return [each["state"] for each in found]


def test_what_fails_is_written_down_and_the_next_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fail, die = "raise RuntimeError('illegal access')", "import os; os._exit(7)"
    assert states(monkeypatch, tmp_path, WRITE, fail, die, WRITE) == [
        *("done", "failed: RuntimeError: illegal access", "failed: failed with exit code 7", "done")
    ]
    names = {"0.json", "1.failed.json", "2.failed.json", "3.json"}
    assert {path.name for path in tmp_path.iterdir()} == names
    failed = json.loads((tmp_path / "1.failed.json").read_text())
    assert failed["command"][0] == sys.executable and "Traceback" in failed["said"]
    (tmp_path / "0.json").write_text("kept")
    assert states(monkeypatch, tmp_path, fail, WRITE) == ["done", "done"]
    assert (tmp_path / "0.json").read_text() == "kept"
    assert not (tmp_path / "1.failed.json").exists()


def test_the_time_ends_what_is_under_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    began = time.monotonic()
    assert states(monkeypatch, tmp_path, SLEEP, WRITE, minutes=0.01) == [
        *("failed: ran out of time", "no time")
    ]
    assert time.monotonic() - began < 60
    assert {path.name for path in tmp_path.iterdir()} == {"0.failed.json"}


def test_measurements_of_a_card_and_of_a_cpu(orn: Any, tmp_path: Path) -> None:
    on_card = list(gpu.jobs("cuda:0", tiny=False))
    assert on_card[:2] == ["detect-fp32-8", "detect-tf32-8"]
    assert {"detect-fp16-16", "train-resnet50", "loader", "resume"} < {*on_card}
    assert not any("fp16" in name or "tf32" in name for name in gpu.jobs("cpu", tiny=True))
    words = ("bench", "gpu", "--out", tmp_path / "o", "--device", "cpu", "--only", "stagez")
    assert "--only stagez: " in orn(*words, exit_code=2).stderr
