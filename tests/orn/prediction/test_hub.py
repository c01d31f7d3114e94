"""Models that go to the Hugging Face Hub and come from it, without a network."""

import json
import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from orn import load_model
from tests.orn.prediction.conftest import Trained, evaluate_as_new
from tests.running import run_orn

pytest.importorskip("huggingface_hub", reason="needs huggingface_hub (extra hub)")


def test_a_model_predicts_and_is_measured_as_where_it_was_exported(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    run_orn("export", trained.run, tmp_path / "out")
    (tmp_path / "out" / "evil.py").write_text("raise SystemExit")

    def download(name: str, *, allow_patterns: list[str], **_: Any) -> str:
        """What the library does."""
        cache.mkdir(exist_ok=True)
        for path in (tmp_path / "out").iterdir():
            if any(fnmatch(path.name, pattern) for pattern in allow_patterns):
                shutil.copy(path, cache)
        return str(cache) if name == "someone/a-model" else "gone"

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    address = "hf://someone/a-model"
    (video, *_) = trained.videos.values()
    more = (video, "--shards", trained.shards, "--json", "--device", "cpu")
    output = run_orn("predict", address, *more).stdout
    assert output == run_orn("predict", trained.run, *more).stdout
    assert not (cache / "evil.py").exists()
    assert load_model(f"{address}@main", device="cpu").classes == ("right", "down")
    measured = evaluate_as_new(trained, address).json
    own = json.loads((trained.run / "eval-validation.json").read_text())
    assert measured["two_heads"] == own["two_heads"]


@pytest.mark.parametrize("place", ["hf://someone/absent", "hf://../../etc/x"])
def test_what_is_not_there_is_named_in_a_line(place: str, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    words = (place, "film.mp4", "--device", "cpu", "--rate", "1")
    result = run_orn("predict", *words, exit_code=None)
    assert result.exit_code in (1, 2)
    (line,) = result.stderr.strip().splitlines()
    assert place in line
