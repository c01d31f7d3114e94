"""`orn bench gpu`: nothing keeps it from measuring the rest."""

from pathlib import Path

import pytest

from orn.benchmarks import gpu

WRITE = "import sys; open(sys.argv[-1], 'w').write('{}')"
FAIL = "raise RuntimeError('illegal access')"
SLEEP = "import os; os.read(os.pipe()[0], 1)"


def states(
    monkeypatch: pytest.MonkeyPatch, out: Path, *codes: str, minutes: float = 2
) -> list[str]:
    """What becomes of measurements that are pieces of Python."""
    chosen = {str(number): ("-c", code) for number, code in enumerate(codes)}
    monkeypatch.setattr(gpu, "jobs", lambda device, tiny: chosen)
    results = gpu.measure_all(out, minutes=minutes, device="cpu", tiny=True)
    return [result["state"] for result in results]


def test_what_fails_is_measured_again_and_what_is_done_is_not(monkeypatch, tmp_path) -> None:
    failed = "failed: RuntimeError: illegal access"
    assert states(monkeypatch, tmp_path, WRITE, FAIL, WRITE) == ["done", failed, "done"]
    assert (tmp_path / "1.failed.json").is_file()
    assert states(monkeypatch, tmp_path, FAIL, WRITE) == ["done", "done"]
    assert not (tmp_path / "1.failed.json").exists()
    late = states(monkeypatch, tmp_path / "late", SLEEP, WRITE, minutes=0.01)
    assert late == ["failed: ran out of time", "no time"]
