"""An environment without MMDetection detects, trains and predicts."""

import json
from pathlib import Path

import pytest
import torch

from orn.stage1_detect.torchvision_detector import NAMES
from tests.running import Ran, run_python
from tests.stage1_detect.test_torchvision_detector import random_network
from tests.worlds.films import build_world, make_workspace, write_films
from tests.worlds.own_detector import HERE

pytestmark = pytest.mark.slow

BLOCKED = """
from importlib.machinery import PathFinder

NAMES = ("mmdet", "mmcv", "mmcv-lite", "mmengine")
find_spec, find_distributions = PathFinder.find_spec, PathFinder.find_distributions

def found(name, path=None, target=None):
    return None if name in NAMES else find_spec(name, path, target)

def installed(context):
    return [] if context.name in NAMES else find_distributions(context)

PathFinder.find_spec, PathFinder.find_distributions = found, installed
"""


class Without:
    """`orn` in a folder, in processes that cannot import MMDetection."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(BLOCKED)

    def __call__(self, *words: object, exit_code: int = 0) -> Ran:
        site = {"PYTHONPATH": str(self._folder / "site"), "OMP_NUM_THREADS": "1"}
        run = ("-m", "orn", *words)
        return run_python(*run, folder=self._folder, exit_code=exit_code, **site)


def test_an_own_detector_runs_from_videos_to_predictions(tmp_path: Path) -> None:
    orn = Without(tmp_path)
    refused = run_python(*("-c", "import mmdet"), exit_code=1, PYTHONPATH=str(tmp_path / "site"))
    assert "No module named 'mmdet'" in refused.stderr
    world = build_world(tmp_path / "world")
    options = make_workspace(world, tmp_path)
    videos = write_films(world, options)
    own = ("--detector", f"{HERE}:Blocks")
    data = (options["manifest"], "--data", options["--data"], "--recipe", options["--recipe"])
    orn("run", *data, *own, "--run", "run", "--yes", "--set", "optimizer.batch_size=4")
    detector = json.loads((tmp_path / "run" / "config.json").read_text())["detector"]
    assert (detector["config_name"], len(detector["class_names"])) == ("own detector blocks 1", 2)

    video = next(iter(videos.values()))
    (line, *_) = orn("predict", "run", video, *own, "--json").lines
    assert line["kind"] == "window"
    message = orn("predict", "run", video, exit_code=1).stderr
    assert "pass --detector FILE.py:NAME" in message
    other = tmp_path / "other.py"
    other.write_text(Path(HERE).read_text() + "# changed\n")
    changed = ("predict", "run", video, "--detector", f"{other}:Blocks")
    assert "expected the detector that run was trained with" in orn(*changed, exit_code=1).stderr
    assert "predictions may be worse" in orn(*changed, "--any-detector").stderr


def test_torchvision_detects_trains_and_predicts(tmp_path: Path) -> None:
    orn = Without(tmp_path)
    world = build_world(tmp_path / "world")
    options = make_workspace(world, tmp_path)
    video = next(iter(write_films(world, options).values()))
    torch.save(random_network(NAMES[0]).state_dict(), tmp_path / "weights.pth")
    weights = ("--checkpoint", "weights.pth")
    data = (options["manifest"], "--data", options["--data"], "--recipe", options["--recipe"])
    detector = ("--config", NAMES[0], *weights, "--rate", 1)
    orn("detect", *data[:3], *detector)
    orn("run", *data, *detector, "--run", "run", "--yes", "--set", "optimizer.batch_size=4")
    job = json.loads((tmp_path / "shards" / "tiny" / "job.json").read_text())
    assert job["total_frames"] == 12 and job["total_detections"] > 0
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())["detector"]
    assert (recorded["config_name"], len(recorded["class_names"])) == (NAMES[0], 80)
    (line, *_) = orn("predict", "run", video, *weights, "--json").lines
    assert line["kind"] == "window"


def test_doctor_lists_what_is_missing_and_what_still_works(tmp_path: Path) -> None:
    checks = {one["name"]: one for one in Without(tmp_path)("doctor", "--json").json["checks"]}
    for name in ("mmdet", "mmengine", "mmcv-lite"):
        assert (checks[name]["status"], checks[name]["found"]) == ("warning", "not installed")
    assert checks["mmcv"]["status"] == "warning"
    assert "mmcv, mmdet, mmengine not installed" in checks["mmcv"]["found"]
    assert "--detector FILE.py:NAME" in checks["mmcv"]["found"]
    assert checks["weights"]["status"] == "ok" and NAMES[1] in checks["weights"]["found"]
