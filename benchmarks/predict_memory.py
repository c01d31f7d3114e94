"""Peak memory of `orn predict` on a long video against a short one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from orn.benchmarks.detect_memory import WITHOUT_NETWORK, StripedDetector, long_against_short
from orn.benchmarks.harness import BenchResult, peak_bytes
from orn.shared.manifests.records import Video

if TYPE_CHECKING:
    from torch import nn

    from orn.stage2_train.runs.run_config import RunConfig


_WINDOW_SECONDS = 1.5
_RECIPE = "demo"


def measure(*, short: int, long: int) -> BenchResult:
    """Peak resident bytes of predicting for videos of so many frames, each in a process of its
    own."""
    return long_against_short(
        "predict-memory",
        predict_video,
        short=short,
        long=long,
        detector=WITHOUT_NETWORK,
        network=f"recipe {_RECIPE}, random weights",
        window_seconds=_WINDOW_SECONDS,
    )


def predict_video(path: Path, frames: int) -> tuple[int, dict[str, int]]:
    """Predicts for a video as `orn predict` does."""
    import torch

    from orn.predict_videos.detecting import detected_by
    from orn.predict_videos.inputs import PredictRequest
    from orn.predict_videos.job import predict_all
    from orn.shared.jobs.progress import progress
    from orn.stage2_train.predict.records import SegmentPrediction, WindowPrediction
    from orn.stage2_train.predict.windows import WindowChoice
    from orn.stage2_train.runs.trained import OpenedModel

    torch.set_num_threads(1)
    config, network = _model()
    model = OpenedModel(path=path, config=config, network=network, phase=1, step=0)
    request = PredictRequest(choice=WindowChoice(seconds=_WINDOW_SECONDS))
    before = peak_bytes()
    kinds: list[type] = []
    with progress("predict", total=frames, unit="frames") as bar:
        objects = detected_by(StripedDetector())
        videos = [Video(id="v", path=path)]
        for said in predict_all(model, videos, request, bar=bar, objects=objects):
            kinds.append(type(said))
    return before, {
        "windows": kinds.count(WindowPrediction),
        "segments": kinds.count(SegmentPrediction),
    }


def _model() -> tuple[RunConfig, nn.Module]:
    """A network with random weights, and what is known of it."""
    import torch

    from orn.stage2_train.frames.schema import StoreSettings
    from orn.stage2_train.model.build import build_network
    from orn.stage2_train.recipe import load_recipe
    from orn.stage2_train.runs.run_config import ClipRecord, DatasetRecord, RunConfig
    from orn.stage2_train.runs.trained import normalisation_of

    torch.manual_seed(0)
    recipe = load_recipe(_RECIPE, num_activities=12, clip_frames=4)
    network = build_network(recipe.model).eval()
    dataset = DatasetRecord(
        name=_RECIPE,
        task="single-label",
        metric="top1",
        classes=tuple(f"activity {each}" for each in range(12)),
        num_train=1,
        train_digest="sha256:0",
    )
    return RunConfig(
        recipe_name=_RECIPE,
        recipe=recipe,
        dataset=dataset,
        manifest="demo.toml",
        clips=ClipRecord(frames=StoreSettings(size=(70, 88)), are_stored=True),
        normalisation=normalisation_of(network),
        detector=StripedDetector.entry,
    ), network
