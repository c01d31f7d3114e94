"""Training on the stored maps of a frozen image network, and everything that uses such a run."""

import shutil
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.frame_maps import compute_maps
from orn.stage2_train.clips.batches import collate
from orn.stage2_train.clips.clip_draws import ClipRequest
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.model.backbones import load_backbone
from orn.stage2_train.runs.run_config import read_config
from orn.stage2_train.runs.saved_predictions import load_predictions
from orn.stage2_train.runs.trained import data_of_run, open_model
from orn.stage2_train.settings.recipe import Recipe
from orn.stage2_train.settings.resources import DataAndDevice
from tests.emulated_device import emulated_device
from tests.running import LAPTOP, run_orn
from tests.worlds.image_networks import NETWORK, write_image_weights

SETTINGS = (
    *(f"model.backbone={NETWORK}", "model.feature_change=true", "model.activity_dropout=0.2"),
    *(
        "model.aggregation=mean_deviation_trend",
        "model.pair_geometry=true",
        "model.relation_pooling=learned",
        "model.map_dropout=0.1",
    ),
    *('model.object_parts=["shape","appearance","class","box"]', "model.relation_width=16"),
    *("data.crop=[64,96]", "data.flip=false", "precision=fp32", "optimizer.batch_size=2"),
    *("phases.object_head_epochs=1", "phases.epochs=1"),
)
RUN = Path("runs/maps")


def train(*more: object, exit_code: int | None = 0):
    """`orn train` in the folder of the demo's data."""
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    places = ("--weights", "network.pth", "--clips", "clips/maps", "--run", RUN)
    return run_orn("train", "demo", *places, *LAPTOP, *words, *more, exit_code=exit_code)


@pytest.fixture(scope="module")
def made(small_demo_run, tmp_path_factory):
    """The small demo with a run on maps, which `orn train` stored; read-only."""
    folder = shutil.copytree(small_demo_run, tmp_path_factory.mktemp("trained") / "demo")
    write_image_weights(folder / "network.pth")
    with chdir(folder):
        run_orn("clips", "demo", "--backbone", NETWORK, "--weights", "network.pth", "--rate", 1000,
                "--size", "64x96", "--out", "clips/maps", "--device", "cpu")  # fmt: skip
        train()
    return folder


@pytest.fixture
def work(made, tmp_path, monkeypatch):
    """A copy of it, which is the current folder."""
    monkeypatch.chdir(shutil.copytree(made, tmp_path / "demo"))


def validation_clips(store: str | None = None, recipe: Recipe | None = None) -> ClipDataset:
    """Those of the run, or of another recipe, with a store."""
    config = read_config(RUN)
    recipe = recipe or config.recipe
    resources = DataAndDevice(clips=store and Path(store))
    opened = data_of_run(RUN, replace(config, recipe=recipe), resources)
    return opened.clip_dataset(opened.join("validation", recipe), recipe)


def predicted(model: str | Path, video: str, *more: object) -> dict[str, Any]:
    """What `orn predict` says of the only window of a video."""
    film = next(Path("data/demo").rglob(f"{Path(video).name}.mp4"))
    words = ("predict", model, film, "--shards", "shards/demo", "--json", *LAPTOP[2:])
    (window,) = (line for line in run_orn(*words, *more).lines if line["kind"] == "window")
    return window


def test_stored_maps_give_the_logits_of_the_stored_frames(work) -> None:
    """But for rounding to float16."""
    model = open_model(RUN, device="cpu")
    clips, results = validation_clips(), []
    for settings in (clips.settings, replace(clips.settings, reads=frozenset({"frames"}))):
        clips.settings = settings
        batch = collate([clips[place] for place in range(len(clips))])
        assert (batch.maps_BTChw is None) == ("frames" in settings.reads)
        results.append(model.output(batch).logits_BA)
    torch.testing.assert_close(*results, rtol=5e-3, atol=5e-3)


def test_prediction_needs_neither_store_nor_weights(work) -> None:
    run_orn("eval", RUN, *LAPTOP)
    run_orn("export", RUN, "exported")
    shutil.rmtree("clips")
    Path("network.pth").unlink()
    expected = load_predictions(RUN / "predictions-validation.npz")
    for video, logits_A in zip(expected.ids, expected.logits, strict=True):
        actual = predicted("exported", video)["logits"]["two_heads"]
        np.testing.assert_allclose(actual, logits_A, atol=0.05)


def test_everything_that_uses_a_network_runs_on_a_device(work) -> None:
    """Maps, the standardization, training, validation, evaluation, report and prediction."""
    with emulated_device() as device:
        network = load_backbone(NETWORK, file=Path("network.pth")).to(device)
        assert compute_maps(network, np.zeros((2, 64, 96, 3), np.uint8)).shape[0] == 2
        shutil.rmtree(RUN)
        train("--set", "precision=bf16")
        run_orn("eval", RUN, *LAPTOP)
        run_orn("report", RUN, *LAPTOP)
        assert len(predicted(RUN, "validation-000000", "--pairs", "2")["pairs"]) == 2
        assert open_model(RUN).device == device


def test_clips_have_the_stored_motion_of_their_frames(work) -> None:
    """A network that reads none gets none."""
    run_orn("clips", "demo", "--backbone", NETWORK, "--weights", "network.pth", "--rate", 1000,
            "--size", "64x96", "--out", "clips/motion", "--device", "cpu", "--motion")  # fmt: skip
    assert validation_clips("clips/motion")[0].motion is None
    recipe = read_config(RUN).recipe
    moving = replace(recipe, model=replace(recipe.model, motion=True))
    clips = validation_clips("clips/motion", moving)
    for row, segment in enumerate(clips.segments):
        frames = ClipStore(Path("clips/motion")).frames(segment.video_id)
        places = np.searchsorted(frames.seconds, clips[row].seconds)
        assert clips[row].motion.any()
        assert np.array_equal(clips[row].motion, frames.motion(places))


def test_one_clip_of_each_segment_is_trained_on_evaluated_and_predicted(work) -> None:
    """Centered clips of a store with these frames alone are those of a store with all frames."""
    run_orn("clips", "demo", "--backbone", NETWORK, "--weights", "network.pth", "--size", "64x96",
            "--out", "clips/centers", "--device", "cpu")  # fmt: skip
    whole, clips = validation_clips("clips/maps"), validation_clips("clips/centers")
    for row in range(len(clips)):
        assert np.array_equal(whole[row].seconds, clips[row].seconds)
        assert np.array_equal(whole[row].maps, clips[row].maps)
    request = ClipRequest(0, epoch=3)
    assert np.array_equal(clips[request].seconds, clips[0].seconds)
    assert "--rate" in run_orn("eval", RUN, *LAPTOP, "--clips", "clips/centers", "--views", "2",
                               exit_code=2).stderr  # fmt: skip
    train("--clips", "clips/centers", "--run", "runs/centers")
    run_orn("eval", "runs/centers", *LAPTOP)
    predictions = load_predictions(Path("runs/centers/predictions-validation.npz"))
    actual = predicted("runs/centers", predictions.ids[0])["logits"]["two_heads"]
    np.testing.assert_allclose(actual, predictions.logits[0], atol=0.05)
    again = ("--clips", "clips/centers", "--run", "runs/other", "--set", "data.clip_frames=3")
    assert "--rate RATE" in train(*again, exit_code=2).stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--clips", "clips/demo"), "--size 64x96 --clip-frames 4 --out FOLDER"),
        (("--weights", "other.pth"), "maps.weights"),
        (("--set", "data.crop=[64,64]"), "size[1] is 96"),
        (("--set", "model.backbone=timm/test_resnet", "--weights", "resnet.pth"), "maps.backbone"),
        (
            ("--set", "model.motion=true"),
            "orn clips demo --motion --backbone timm/test_efficientnet",
        ),
    ],
)
def test_maps_of_another_network_are_refused(work, more, message) -> None:
    write_image_weights(Path("other.pth"), seed=1)
    write_image_weights(Path("resnet.pth"), network="timm/test_resnet")
    ran = train("--run", "runs/other", *more, exit_code=2)
    assert message in ran.stderr and not Path("runs/other").exists()


def test_flipped_clips_are_mapped_on_the_fly(work) -> None:
    train("--run", "runs/flipped", "--set", "data.flip=true", "--max-steps", 1)
    assert Path("runs/flipped/last.safetensors").is_file()
