"""Training on the maps of a frozen video network, stored or computed from windows of frames."""

import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orn.stage2_train.runs.predictions import load_predictions
from tests.running import LAPTOP, run_orn
from tests.worlds.video_networks import VIDEO_NETWORK, write_video_weights

SETTINGS = (
    *(f"model.backbone={VIDEO_NETWORK}", "model.feature_change=true"),
    *("model.aggregation=mean_deviation_trend", "model.relation_width=16", "data.crop=[64,64]"),
    *("data.flip=false", "precision=fp32", "phases.object_head_epochs=1", "phases.epochs=1"),
)
RUN = Path("runs/maps")


def train(*more: object, exit_code: int = 0) -> Any:
    """`orn train` in the folder of the demo's data."""
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    return run_orn("train", "demo", "--run", RUN, *LAPTOP, *words, *more, exit_code=exit_code)


@pytest.fixture(scope="module")
def made(small_demo_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small demo with a run on stored maps, evaluated; `orn train` stored them."""
    folder = tmp_path_factory.mktemp("trained") / "demo"
    shutil.copytree(small_demo_run, folder)
    write_video_weights(folder / "network.pth")
    with chdir(folder):
        train("--weights", "network.pth", "--clips", "clips/maps")
        run_orn("eval", RUN, *LAPTOP)
    return folder


def test_predictions_equal_those_of_stored_maps(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for rounding to float16; without the file of weights, which the run contains."""
    monkeypatch.chdir(made)
    stored = load_predictions(RUN / "predictions-validation.npz")
    Path("network.pth").rename("moved.pth")
    name = stored.ids[0]
    film = next(Path("data/demo").rglob(f"{Path(name).name}.mp4"))
    words = ("predict", RUN, film, "--shards", "shards/demo", "--json", *LAPTOP[2:])
    (window,) = (line for line in run_orn(*words).lines if line["kind"] == "window")
    np.testing.assert_allclose(window["logits"]["two_heads"], stored.logits[0], atol=5e-3)
