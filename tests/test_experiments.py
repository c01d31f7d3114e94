"""The scripts of benchmarks/experiments/ run at their smallest size."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.running import run_python

SCRIPTS = ROOT / "benchmarks" / "experiments"


@pytest.mark.slow
@pytest.mark.mmdet
@pytest.mark.parametrize(
    ("words", "keys"),
    [
        ("scale.py --videos 24 --shards 8 --clips 0", {"plan", "open_shards", "cold_clip"}),
        (
            "train_demo_detector.py --out a.pth --films 3 --validation-films 1 --steps 2 --batch 2",
            {"average_precision"},
        ),
    ],
)
def test_a_script_prints_its_record(words: str, keys: set[str], tmp_path: Path) -> None:
    script, *options = words.split()
    ran = run_python(SCRIPTS / script, *options, folder=tmp_path, PYTHONPATH="")
    assert keys <= ran.json.keys()
    assert (tmp_path / "a.pth").is_file() == ("average_precision" in keys)
