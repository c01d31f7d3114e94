"""The scripts of experiments/ run at their smallest size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.image_weights import inflate, read_weights
from orn.stage2_train.settings.model_config import NetworkConfig
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


@pytest.mark.slow
def test_the_small_start_fits_the_recipe(tmp_path: Path) -> None:
    """Trained on a folder of two classes in the published layout."""
    names, folder = ("n01", "n02"), tmp_path / "tiny-imagenet-200"
    generator = np.random.default_rng(0)
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("\n".join(names))
    for place, name in enumerate(names):
        (folder / "train" / name / "images").mkdir(parents=True)
        for path in (f"train/{name}/images/{name}_0.JPEG", f"val/images/val_{place}.JPEG"):
            image = generator.integers(0, 255, (64, 64, 3), np.uint8)
            Image.fromarray(image).save(folder / path)
    rows = (f"val_{place}.JPEG\t{name}\t0\t0\t9\t9\n" for place, name in enumerate(names))
    (folder / "val" / "val_annotations.txt").write_text("".join(rows))
    words = (folder, tmp_path / "small.pth", "--width", "4", "--epochs", "1")
    script = ROOT / "experiments" / "small_start.py"
    ran = subprocess.run(
        [sys.executable, script, *words], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "top1_rounded" in json.loads(ran.stdout.splitlines()[-1])
    network = build_network(NetworkConfig(num_activities=3, base_width=4))
    inflate(network, read_weights(tmp_path / "small.pth"), name="small.pth")
