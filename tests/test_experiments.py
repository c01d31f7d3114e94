"""The scripts of experiments/ run at their smallest size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


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
    ran = subprocess.run(
        [sys.executable, ROOT / "experiments" / script, *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert keys <= json.loads(ran.stdout).keys()
    assert (tmp_path / "a.pth").is_file() == ("average_precision" in keys)
