"""Training on the maps of a frozen video network, stored or computed from windows of frames."""

from pathlib import Path

import numpy as np
import pytest

from orn.stage2_train.runs.saved_predictions import load_predictions
from tests.running import LAPTOP, run_orn
from tests.worlds.video_networks import VIDEO_NETWORK, write_video_weights

SETTINGS = (
    *(f"model.backbone={VIDEO_NETWORK}", "model.feature_change=true"),
    *("model.aggregation=mean_deviation_trend", "model.relation_width=16", "data.crop=[64,64]"),
    *("data.flip=false", "precision=fp32", "phases.object_head_epochs=1", "phases.epochs=1"),
)
RUN = Path("runs/maps")


@pytest.mark.slow
def test_predictions_equal_those_of_stored_maps(small_demo: Path) -> None:
    """But for rounding to float16; without the file of weights, which the run contains."""
    write_video_weights(Path("network.pth"))
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    places = ("--weights", "network.pth", "--clips", "clips/maps", "--run", RUN)
    run_orn("train", "demo", *places, *LAPTOP, *words)  # stores the maps
    run_orn("eval", RUN, *LAPTOP)
    stored = load_predictions(RUN / "predictions-validation.npz")
    Path("network.pth").unlink()
    film = next(small_demo.rglob(f"{Path(stored.ids[0]).name}.mp4"))
    predicted = run_orn("predict", RUN, film, "--shards", "shards/demo", "--json", *LAPTOP[2:])
    (window,) = (line for line in predicted.lines if line["kind"] == "window")
    np.testing.assert_allclose(window["logits"]["two_heads"], stored.logits[0], atol=5e-3)
