"""Object-level visual reasoning in videos: the Python API (see docs/python.md). Importing it is
fast: what does the work of commands is imported on first use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from orn.opened_dataset import OpenedDataset
    from orn.prediction.predict_config import PredictConfig
    from orn.prediction.predict_job import predict
    from orn.prediction.prediction_records import WindowPrediction
    from orn.shared.jobs.progress import SILENT, TERMINAL
    from orn.shared.shards.shard import Shard
    from orn.shared.shards.writer import ShardWriter
    from orn.stage1_detect.detect import detect
    from orn.stage1_detect.detect_config import DetectConfig
    from orn.stage1_detect.detect_unit import Detector
    from orn.stage1_detect.imports.import_config import ImportConfig, ObjectOptions
    from orn.stage1_detect.imports.import_objects import import_objects
    from orn.stage1_detect.mmdet.detector import MmdetDetector
    from orn.stage1_detect.torchvision_detector import TorchvisionDetector
    from orn.stage2_train.clip_store.clips_config import ClipsConfig
    from orn.stage2_train.clip_store.make_clips import make_clips as clips
    from orn.stage2_train.evaluation.eval_config import EvalConfig
    from orn.stage2_train.evaluation.evaluate import evaluate
    from orn.stage2_train.model.inputs import ClipBatch
    from orn.stage2_train.report.importance import Importance
    from orn.stage2_train.report.report_job import ReportConfig
    from orn.stage2_train.report.report_job import write_report as report
    from orn.stage2_train.runs.trained import OpenedModel
    from orn.stage2_train.settings.resources import DataAndDevice
    from orn.stage2_train.training.train import train
    from orn.stage2_train.training.train_config import TrainConfig
    from orn.steps.pipeline import run
    from orn.steps.pipeline_config import PipelineConfig

    __version__: str

__all__ = [
    "detect",
    "import_objects",
    "clips",
    "train",
    "evaluate",
    "report",
    "predict",
    "run",
    "DetectConfig",
    "ImportConfig",
    "ObjectOptions",
    "ClipsConfig",
    "TrainConfig",
    "DataAndDevice",
    "EvalConfig",
    "ReportConfig",
    "PredictConfig",
    "PipelineConfig",
    "SILENT",
    "TERMINAL",
    "open_shard",
    "ShardWriter",
    "load_detector",
    "open_dataset",
    "load_model",
    "predict_video",
    "explain",
    "__version__",
]


_LAZY = {
    "detect": "orn.stage1_detect.detect",
    "import_objects": "orn.stage1_detect.imports.import_objects",
    "clips": "orn.stage2_train.clip_store.make_clips",
    "train": "orn.stage2_train.training.train",
    "evaluate": "orn.stage2_train.evaluation.evaluate",
    "report": "orn.stage2_train.report.report_job",
    "predict": "orn.prediction.predict_job",
    "run": "orn.steps.pipeline",
    "DetectConfig": "orn.stage1_detect.detect_config",
    "ImportConfig": "orn.stage1_detect.imports.import_config",
    "ObjectOptions": "orn.stage1_detect.imports.import_config",
    "ClipsConfig": "orn.stage2_train.clip_store.clips_config",
    "TrainConfig": "orn.stage2_train.training.train_config",
    "DataAndDevice": "orn.stage2_train.settings.resources",
    "EvalConfig": "orn.stage2_train.evaluation.eval_config",
    "ReportConfig": "orn.stage2_train.report.report_job",
    "PredictConfig": "orn.prediction.predict_config",
    "PipelineConfig": "orn.steps.pipeline_config",
    "ShardWriter": "orn.shared.shards.writer",
    "SILENT": "orn.shared.jobs.progress",
    "TERMINAL": "orn.shared.jobs.progress",
}
"""Modules of what is imported on first use."""
_OTHER_NAMES = {"clips": "make_clips", "report": "write_report"}
"""Names in these modules, where they differ."""


def __getattr__(name: str) -> Any:
    """Import a function, a class or the version on first use."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), _OTHER_NAMES.get(name, name))
    if name == "__version__":
        from importlib.metadata import version

        return version("object-relation-network")
    raise AttributeError(f"module 'orn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def open_shard(path: str | Path) -> Shard:
    """Open a shard; its arrays are read on access.

    Example::

        shard = orn.open_shard("shards/demo/shard-000000.zarr.zip")
        for frame in shard["train-000000"]:
            print(frame.seconds, frame.detections.boxes)

    Raises:
        ShardNotFoundError: if the file does not exist.
        ShardFormatError: if the file is damaged or its format version is not supported.
    """
    from orn.shared.shards.shard import Shard

    return Shard(Path(path))


def load_detector(
    checkpoint: str | Path | None = None,
    *,
    config: str | Path | None = None,
    score_threshold: float = 0.3,
    device: str | torch.device = "auto",
) -> MmdetDetector | TorchvisionDetector:
    """Load the detector that `orn detect` would use.

    Example::

        detector = orn.load_detector(config="mask_rcnn_demo")
        detections = detector.detect(frames)  # (H, W, 3) uint8 RGB arrays of equal size

    Args:
        checkpoint: file of weights; a bundled file implies its configuration. None selects the
            weights published for the configuration, downloaded to torch.hub's cache if needed.
        config: a configuration file, a name in MMDetection's model zoo, `torchvision/NAME`, or the
            name of a bundled detector, which implies its weights: `mask_rcnn_demo`.
        score_threshold: detections with a lower score are dropped, 0..1.
        device: `cpu`, `cuda`, `cuda:1`, ...; `auto` selects a GPU if one is available.

    Raises:
        DetectorError: if a configuration or file does not exist, configuration and weights do not
            match, the download fails, or an argument is invalid.
        ConfigError: if the device does not exist.
    """
    from orn.data_manifests.records import DetectorChoice
    from orn.shared.errors import DetectorError
    from orn.stage1_detect.choose_detector import choose_files, load_chosen

    if not 0 <= score_threshold <= 1:
        raise DetectorError(
            f"score_threshold: expected a number from 0 to 1, got {score_threshold}; pass one"
        )
    chosen, weights = choose_files(
        DetectorChoice(),
        config=None if config is None else str(config),
        checkpoint=None if checkpoint is None else Path(checkpoint),
    )
    return load_chosen(
        str(device), config=chosen, checkpoint=weights, score_threshold=score_threshold
    )


def open_dataset(
    manifest: str | Path,
    *,
    data: str | Path | None = None,
    shards: str | Path | None = None,
    clips: str | Path | None = None,
    recipe: str | Path | None = None,
    settings: Sequence[str] = (),
    partial: bool = False,
) -> OpenedDataset:
    """Open a data set with its shards and stored frames.

    Example::

        dataset = orn.open_dataset("demo", data="data")
        for batch in dataset.batches("train", batch_size=16, epochs=2):
            print(batch.ids, batch.frames_BTCHW.shape)

    Args:
        manifest: name or TOML file of the data set.
        data: data root, the folder of all data sets; by default that of the manifest, of the
            variable `ORN_DATA`, or `data`.
        shards: folder of the shards; `shards/DATASET` by default.
        clips: clip store; `clips/DATASET` by default.
        recipe: name or file of the recipe that defines the clips; the data set's by default.
        settings: overrides of individual recipe settings, such as `data.clip_frames=8`.
        partial: whether to skip segments whose video is missing.

    Raises:
        PipelineError: if a file is missing or invalid.
    """
    from orn.opened_dataset import open_with_resources
    from orn.stage2_train.settings.resources import DataAndDevice

    return open_with_resources(
        str(manifest),
        DataAndDevice(
            data_root=None if data is None else Path(data),
            shards=None if shards is None else Path(shards),
            clips=None if clips is None else Path(clips),
            partial=partial,
        ),
        recipe=None if recipe is None else str(recipe),
        settings=settings,
    )


def load_model(path: str | Path, *, device: str | torch.device = "auto") -> OpenedModel:
    """Load a trained network with its best weights and its clip settings.

    Example::

        model = orn.load_model("runs/demo")
        print(model.classes)

    Args:
        path: a run folder, a model folder written by `orn export`, or `hf://ORG/NAME`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        ConfigError: if `path` is not a model or the device does not exist.
        CheckpointError: if the weights are damaged or do not match the network.
    """
    from orn.stage2_train.runs.find_run import local_folder
    from orn.stage2_train.runs.trained import open_model

    return open_model(local_folder(path), device=device)


def predict_video(
    model: OpenedModel,
    video: str | Path,
    detections: str | Path | Detector,
    *,
    rate: float | None = None,
    window: float | None = None,
    threshold: float = 0.5,
    pairs: int = 0,
) -> Iterator[WindowPrediction]:
    """Yield the predicted activity of each window of a video, in order of time.

    A video no longer than one window has one prediction. Predictions are computed lazily.

    Example::

        for prediction in orn.predict_video(model, "film.mp4", detector, pairs=3):
            print(prediction.start_seconds, model.classes[prediction.label])

    Args:
        model: a model from `load_model`.
        video: a file, or a folder of JPEGs.
        detections: a folder of shards that contain the video, which is found by its content; or a
            detector from `load_detector`, which detects objects in every frame.
        rate: frames per second of a folder of JPEGs.
        window: length of a window in seconds; the median length of training segments by default.
        threshold: minimum probability, 0..1, of the `labels` of a multi-label network.
        pairs: number of most important pairs of objects to return with each prediction.

    Raises:
        ConfigError: if an argument is invalid, or the object classes do not match the network.
        VideoDecodeError: if the video cannot be decoded.
        ShardNotFoundError, JoinError: if the video or one of its frames has no detections.
    """
    from orn.prediction.predict_windows import predict_path

    return predict_path(
        model, video, detections, rate=rate, window=window, threshold=threshold, pairs=pairs
    )


def explain(model: OpenedModel, batch: ClipBatch, *, class_B: Tensor | None = None) -> Importance:
    """Return the importance of each pair of objects for the predicted classes.

    Example::

        batch = next(iter(dataset.batches("validation")))
        importance = orn.explain(model, batch)
        print(importance.logit_drop_P)  # logit drop of each pair when it is removed

    Args:
        model: a model from `load_model`.
        batch: B clips, as yielded by `dataset.batches`.
        class_B: (B,) int64 classes to explain instead of the predicted ones.

    Raises:
        ConfigError: if the network relates no pairs of objects.
        ShapeError: if the batch does not match the network.
    """
    from orn.stage2_train.report.importance import explain as explain_network

    inputs = batch.to(model.device)
    return explain_network(model.network, inputs, heads=model.heads, class_B=class_B)
